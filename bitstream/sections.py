"""Blocks of sections before and after a payload: what a file holds besides its colours.

A section has a kind, a length, data and a checksum of its own: one that is damaged costs no other
whose place is still known, and one whose kind nobody knows is passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError

METADATA, ALPHA = 1, 2  # kinds
CRC = 4  # bytes
MAX_SECTIONS = 256  # of a block


@dataclass(frozen=True)
class Section:
    """kind: METADATA, ALPHA or one that a later program writes; data: what there is of `size`
    bytes; head: bytes before them. intact: whether it matches its checksum; None: that was cut off.
    """

    kind: int
    data: bytes
    size: int
    head: int
    intact: bool | None


@dataclass(frozen=True)
class Block:
    """sections: as far as they are there, the last one perhaps cut; damaged: whether what follows
    them makes no sense; cut: whether some of it is not there."""

    sections: tuple[Section, ...] = ()
    damaged: bool = False
    cut: bool = False

    def whole(self, kind: int) -> bytes | None:
        """The data of the first section of a kind that is whole and intact."""
        found = (s for s in self.sections if s.kind == kind and s.intact)
        return next((section.data for section in found), None)

    def part(self, kind: int) -> Section | None:
        """The first section of a kind that is not known to be damaged."""
        found = (s for s in self.sections if s.kind == kind and s.intact is not False)
        return next(found, None)


def pack_sections(sections: Iterable[tuple[int, bytes]]) -> bytes:
    """The block of (kind, data)."""
    return b"".join(_pack(kind, data) for kind, data in sections)


def _pack(kind: int, data: bytes) -> bytes:
    section = bytes([kind]) + pack_varint(len(data)) + data
    return section + zlib.crc32(section).to_bytes(CRC, "little")


def parse_sections(data: bytes, size: int) -> Block:
    """A block of `size` bytes, of which `data` is all or the beginning; never raises."""
    sections, at, cut = list[Section](), 0, len(data) < size
    while at < min(size, len(data)):
        try:
            length, begin = parse_varint(data, at + 1)
        except BitstreamError:  # cut, or no number
            return Block(tuple(sections), len(data) - at > 6 or not cut, cut)
        end = begin + length
        if end + CRC > size or len(sections) == MAX_SECTIONS:
            return Block(tuple(sections), True, cut)
        intact = None
        if len(data) >= end + CRC:
            stated = int.from_bytes(data[end : end + CRC], "little")
            intact = zlib.crc32(data[at:end]) == stated
        sections.append(Section(data[at], data[begin:end], length, begin - at, intact))
        at = end + CRC
    return Block(tuple(sections), cut=cut)
