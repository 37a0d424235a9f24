"""What a file holds before and after its payload: metadata, and alpha, as bytes still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from diffcodec.bitstream.container import Header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.metadata_section import Parsed, pack_metadata, parse_metadata
from diffcodec.bitstream.sections import ALPHA, METADATA, Block, pack_sections, parse_sections
from diffcodec.errors import OptionError

NOTHING = Block()
ALPHA_DAMAGE = "alpha is damaged, and shown as opaque"


@dataclass(frozen=True)
class Beside:
    """What a file holds besides its colours: sections before the payload, and after it."""

    front: Block
    back: Block

    @property
    def metadata(self) -> Metadata:
        """The items that are there, in the order of their kinds."""
        found = (item for parsed in self._parsed if parsed for item in parsed.items)
        return tuple(sorted(found, key=lambda item: item.kind))

    @property
    def unknown(self) -> int:
        """Items of kinds that this program does not know."""
        return sum(parsed.unknown for parsed in self._parsed if parsed)

    @property
    def damage(self) -> Iterator[str]:
        """A sentence on each section that is damaged."""
        names = {ALPHA: ALPHA_DAMAGE}
        for block, what in (
            (self.front, "what the file says of its colours (profile, orientation)"),
            (self.back, "metadata that follows the pixels (EXIF, XMP, text)"),
        ):
            names[METADATA] = f"{what} is damaged, and left out"
            for section in block.sections:
                if section.intact is False:
                    yield names.get(section.kind, f"a section of kind {section.kind} is damaged")
        if None in self._parsed:
            yield "metadata makes no sense, and is left out"
        for block, where in ((self.front, "before"), (self.back, "after")):
            if block.damaged:
                yield f"what stands {where} the payload is damaged, and left out from there on"

    @cached_property
    def _parsed(self) -> tuple[Parsed | None, Parsed | None]:
        return _parse(self.front), _parse(self.back)


def _parse(block: Block) -> Parsed | None:
    """The items of a block; None where they make no sense, though they are intact."""
    data = block.whole(METADATA)
    try:
        return Parsed(()) if data is None else parse_metadata(data)
    except BitstreamError:
        return None


def payload_end(header: Header) -> int | None:
    """Where the payload ends; None if it ends with the file, wherever that is."""
    return None if header.total_bytes is None else header.total_bytes - header.back


def parse_beside(data: bytes, header: Header, head: int) -> Beside:
    """What there is of the sections of a file, or of a prefix of one; head: bytes of its header.

    No network is needed.
    """
    front = parse_sections(data[head : head + header.front], header.front)
    end = payload_end(header)
    back = NOTHING if end is None else parse_sections(data[end:], header.back)
    return Beside(front, back)


def pack_beside(metadata: Metadata, alpha: bytes | None) -> tuple[bytes, bytes]:
    """The blocks before and after the payload of a file with a lossless end.

    alpha: as diffcodec.progressive.alpha makes it. Raises OptionError for too much metadata.
    """
    items = sorted(metadata, key=lambda item: item.kind)
    front = _packed(tuple(item for item in items if item.early))
    if alpha is not None:
        front += pack_sections([(ALPHA, alpha)])
    return front, _packed(tuple(item for item in items if not item.early))


def _packed(items: Metadata) -> bytes:
    """A section; nothing for nothing."""
    if not items:
        return b""
    try:
        return pack_sections([(METADATA, pack_metadata(items))])
    except ValueError as error:
        raise OptionError(f"{error}: leave some of it out") from None
