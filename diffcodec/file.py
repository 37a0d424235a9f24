"""A .dfc file, or what was received of one, taken apart once for all who need its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffcodec.beside import NOTHING, Beside, parse_beside, payload_end
from diffcodec.bitstream.container import EXTENDED, PLAIN, Header, parse_header
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.strips import strip_count, strips
from diffcodec.checks import check_stop
from diffcodec.errors import OptionError
from diffcodec.theory.chain import Chain, Tables, chain_of


@dataclass(frozen=True)
class File:
    """data: all of it that may be used, bytes_used: how much of it was; head: bytes of the header;
    start: where the payload begins; payload: its complete layers are verified; beside: the rest."""

    data: bytes
    bytes_used: int
    header: Header
    head: int
    start: int
    chain: Chain
    payload: Payload
    beside: Beside

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
        check_stop(max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)
        header, head = parse_header(data)
        data = cut(data, header, head, max_bytes, bpp)
        chain = chain_of(header, tables)
        start, end = head + header.front, payload_end(header)
        strips = strip_count(header.width) if header.version >= 2 else 0
        plan = chain.plan(
            header.dims, header.code, strips, header.coded.sample_bytes, header.promised
        )
        total = None if end is None else end - start
        payload = parse_payload(data[start:end], plan, total, max_steps)
        beside, used = parse_beside(data, header, head), len(data)
        if max_steps is not None and len(payload.steps) >= max_steps:
            beside, used = replace(beside, back=NOTHING), start + payload.steps[-1].bytes_end
        return File(data, used, header, head, start, chain, payload, beside)

    @property
    def complete(self) -> bool:
        """Whether all of it is here, to the exact pixels and what follows them."""
        return self.header.total_bytes == len(self.data)

    @property
    def step_ends(self) -> list[int]:
        """Bytes of the file up to the end of every complete step."""
        return [self.start + step.bytes_end for step in self.payload.steps if step.complete]

    @property
    def damage(self) -> tuple[str, ...]:
        """A sentence on each section, and each strip of exact pixels, that is damaged; other damage
        is not parsed."""
        columns, blocks = strips(self.header.width), self.payload.blocks
        return (
            *self.beside.damage,
            *(
                f"the exact pixels of columns {part.start} to {part.stop - 1} (strip {i + 1} of "
                f"{len(columns)}) are damaged"
                for i, (block, part) in enumerate(zip(blocks, columns, strict=False))
                if block.damaged
            ),
        )


def cut(data: bytes, header: Header, head: int, max_bytes: int | None, bpp: float | None) -> bytes:
    """The prefix that max_bytes or bpp asks for; OptionError if no image would be left."""
    if bpp is not None:
        max_bytes = bytes_of_bpp(bpp, header)
    if max_bytes is None:
        return data
    if max_bytes < head:
        raise OptionError(f"the header alone takes {head} bytes; {max_bytes} hold no image")
    return data[:max_bytes]


def bytes_of_bpp(bpp: float, header: Header) -> int:
    """Whole bytes of a file of `bpp` bits per pixel."""
    return int(bpp * header.width * header.height / 8)


def versioned(header: Header) -> Header:
    """With the version that says all of it: version 3 only where version 2 cannot."""
    return replace(header, version=EXTENDED if header.extended else PLAIN)


def with_length(draft: Header, payload: bytes, front: bytes = b"", back: bytes = b"") -> bytes:
    """Header, front block, payload and back block, the header stating the length of all."""
    body, total = front + payload + back, 0
    while True:  # the length's own length may grow once
        head = replace(draft, total_bytes=total).pack()
        if len(head) + len(body) == total:
            return head + body
        total = len(head) + len(body)
