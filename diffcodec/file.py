"""A .dfc file, or what was received of one, taken apart once for all who need its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.strips import strip_count, strips
from diffcodec.errors import OptionError
from diffcodec.theory.chain import Chain, Tables, chain_of


@dataclass(frozen=True)
class File:
    """data: all of it that may be used, bytes_used: how much of it was; start: where the payload
    begins; payload: its complete layers are verified."""

    data: bytes
    bytes_used: int
    header: Header
    start: int
    chain: Chain
    payload: Payload

    @staticmethod
    def parse(
        data: bytes,
        tables: Tables,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
    ) -> File:
        """Parse all of a file, or only so many bytes, bits per pixel or steps of it.

        Raises BitstreamError for damage and for a chain that the network's tables lack, OptionError
        where no image would be left.
        """
        header, start = parse_header(data)
        data = cut(data, header, start, max_bytes, bpp)
        chain = chain_of(header, tables)
        total = None if header.total_bytes is None else header.total_bytes - start
        strips = strip_count(header.width) if header.version >= 2 else 0
        plan = chain.plan(header.dims, header.code, strips)
        payload = parse_payload(data[start:], plan, total, max_steps)
        used = len(data)
        if max_steps is not None and len(payload.steps) >= max_steps:
            used = start + (payload.steps[-1].bytes_end if max_steps else 0)
        return File(data, used, header, start, chain, payload)

    @property
    def complete(self) -> bool:
        """Whether all of it is here, to the exact pixels."""
        return self.header.total_bytes == len(self.data)

    @property
    def step_ends(self) -> list[int]:
        """Bytes of the file up to the end of every complete step."""
        return [self.start + step.bytes_end for step in self.payload.steps if step.complete]

    @property
    def damage(self) -> tuple[str, ...]:
        """A sentence on each strip of exact pixels that is damaged; other damage is not parsed."""
        columns, blocks = strips(self.header.width), self.payload.blocks
        return tuple(
            f"the exact pixels of columns {part.start} to {part.stop - 1} (strip {i + 1} of "
            f"{len(columns)}) are damaged"
            for i, (block, part) in enumerate(zip(blocks, columns, strict=False))
            if block.damaged
        )


def cut(data: bytes, header: Header, start: int, max_bytes: int | None, bpp: float | None) -> bytes:
    """The prefix that max_bytes or bpp asks for; OptionError if no image would be left."""
    if bpp is not None:
        max_bytes = bytes_of_bpp(bpp, header)
    if max_bytes is None:
        return data
    if max_bytes < start:
        raise OptionError(f"the header alone takes {start} bytes; {max_bytes} hold no image")
    return data[:max_bytes]


def bytes_of_bpp(bpp: float, header: Header) -> int:
    """Whole bytes of a file of `bpp` bits per pixel."""
    return int(bpp * header.width * header.height / 8)


def with_length(draft: Header, payload: bytes) -> bytes:
    """Header and payload, the header stating the length of both."""
    total = 0
    while True:  # the length's own length may grow once
        head = replace(draft, total_bytes=total).pack()
        if len(head) + len(payload) == total:
            return head + payload
        total = len(head) + len(payload)
