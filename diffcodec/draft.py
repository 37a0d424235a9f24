"""A file that is being made: all of it but the payload, which decides on its length."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffcodec.bitstream.container import Header
from diffcodec.bitstream.step_codes import BY_NAME, StepCode
from diffcodec.errors import OptionError
from diffcodec.file import bytes_of_bpp, versioned, with_length
from diffcodec.progressive.effort import Effort
from diffcodec.progressive.parts import Parts
from diffcodec.theory.chain import Chain, Tables, choose_chain


@dataclass(frozen=True)
class Draft:
    """header: without the length of the file and of `back`; levels: that it names; front, back:
    blocks before and after the payload, the latter only of a file with a lossless end."""

    header: Header
    levels: Chain
    front: bytes
    back: bytes

    @property
    def payload_at(self) -> int:
        """Bytes before the payload of a file that stops before its lossless end."""
        return len(self.header.pack()) + len(self.front)

    def room(self, max_bytes: int | None, bpp: float | None) -> int | None:
        """Bytes of payload that fit; None for any number.

        Raises OptionError where not even what comes before it does.
        """
        if bpp is not None:
            max_bytes = bytes_of_bpp(bpp, self.header)
        if max_bytes is None:
            return None
        if max_bytes < self.payload_at:
            raise OptionError(f"a file of this image needs at least {self.payload_at} bytes")
        return max_bytes - self.payload_at

    def with_payload(self, payload: bytes, lossless: bool) -> bytes:
        """The file."""
        if not lossless:
            return self.header.pack() + self.front + payload
        header = versioned(replace(self.header, back=len(self.back)))
        return with_length(header, payload, self.front, self.back)


def draft_of(
    parts: Parts,
    beside: tuple[bytes, bytes],
    work: Effort,
    tables: Tables,
    *,
    chain: str | None,
    code: str | None,
    seed: int,
    fingerprint: bytes,
    promised: bool,
    label: int | None,
) -> Draft:
    """The draft of an image's file; beside: front and back block; chain, code: by name, None for
    the effort's; promised, label: as in Header. Raises OptionError for names that do not exist."""
    height, width, _ = parts.colours.shape
    dims = parts.colours.size
    levels = choose_chain(work.chain(dims) if chain is None else chain, tables)
    header = Header(
        width=width,
        height=height,
        format=parts.format,
        fingerprint=fingerprint,
        code=work.code(dims) if code is None else _code(code),
        chain=levels.kind,
        nodes=len(levels.v),
        seed=int(seed),
        narrowing=parts.narrowing,
        opaque=parts.opaque,
        front=len(beside[0]),
        promised=promised,
        label=label,
    )
    return Draft(versioned(header), levels, *beside)


def _code(name: str) -> StepCode:
    if name not in BY_NAME:
        raise OptionError(f'there is no step code "{name}"; there are {", ".join(BY_NAME)}')
    return BY_NAME[name]
