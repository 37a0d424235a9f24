"""A group of a .dfa archive: its head, and where the parts of its body lie.

FORMAT-archive.md, section 1, is the specification.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.directory import MAX_HEAD, ImageInfo, pack_directory, parse_directory
from diffcodec.bitstream.errors import BitstreamError

GROUP = b"\x89dfg"
_LEAD = 4 + 2 * 6  # most bytes of a group's mark and lengths


@dataclass(frozen=True, slots=True)
class Entry:
    """What was put on a group's stack in one go.

    count: tiles in a bits-back batch; 0 for one progressive tile, which takes `size` bytes. crc:
    CRC-32 of all their pixels.
    """

    count: int
    crc: int
    size: int = 0

    @property
    def tiles(self) -> int:
        """How many tiles it holds."""
        return self.count or 1


@dataclass(frozen=True, slots=True)
class Plain:
    """An image that is not on the stack: its place in the group, where its bytes lie in the file,
    and how many there are."""

    image: int
    at: int
    size: int


@dataclass(frozen=True)
class Group:
    """A group's head, and where its body lies in the file: a stack, plain images, metadata.

    metadata_bytes: with their checksum; 0 if no image has any.
    """

    offset: int
    images: tuple[ImageInfo, ...]
    entries: tuple[Entry, ...]
    body_at: int
    stack_bytes: int
    plain: tuple[Plain, ...] = ()
    metadata_bytes: int = 0

    @property
    def metadata_at(self) -> int:
        """Where the metadata of all images begin."""
        return self.body_at + self.stack_bytes + 4 + sum(part.size for part in self.plain)

    @property
    def end(self) -> int:
        """Where the next group begins."""
        return self.metadata_at + self.metadata_bytes

    @property
    def stacked(self) -> list[int]:
        """The places of the images on the stack."""
        plain = {part.image for part in self.plain}
        return [i for i in range(len(self.images)) if i not in plain]


def pack_group(
    images: list[ImageInfo],
    entries: list[Entry],
    stack: bytes,
    plain: dict[int, bytes] | None = None,
    metadata: bytes | None = None,
) -> bytes:
    """A whole group. plain: images by their place, in rising order; None where the header says
    that there are none. metadata: of pack_metadata; None before version 4."""
    directory = pack_directory(images, metadata is not None)
    head = pack_varint(len(directory)) + directory
    if plain is not None:
        head += pack_varint(len(plain))
        for before, (image, data) in zip([-1, *plain], plain.items(), strict=False):
            head += pack_varint(image - before - 1) + pack_varint(len(data))
    if metadata:
        metadata += crc32(metadata)
    if metadata is not None:
        head += pack_varint(len(metadata))
    for entry in entries:
        head += pack_varint(entry.count) + entry.crc.to_bytes(4, "little")
        head += b"" if entry.count else pack_varint(entry.size)
    lead = GROUP + pack_varint(len(head)) + pack_varint(len(stack))
    parts = b"".join(plain.values()) if plain else b""
    return lead + head + crc32(lead + head) + stack + crc32(stack) + parts + (metadata or b"")


def read_head(file: BinaryIO, offset: int, listed: bool, rich: bool) -> Group:
    """The head of the group that begins at a byte; raises BitstreamError if it is damaged."""
    file.seek(offset)
    lead = file.read(_LEAD)
    head_bytes, at = parse_varint(lead, 4)
    stack_bytes, at = parse_varint(lead, at)
    if head_bytes > MAX_HEAD:
        raise BitstreamError("a group's head is damaged")
    file.seek(offset + at)
    head, check = file.read(head_bytes), file.read(4)
    if len(head) < head_bytes or check != crc32(lead[:at] + head):
        raise BitstreamError("a group's head is damaged or cut short")
    size, start = parse_varint(head, 0)
    images = parse_directory(head[start : start + size], rich)
    start += size
    body_at = offset + at + head_bytes + 4
    plain: list[Plain] = []
    if listed:
        plain, start = _parse_plain(head, start, body_at + stack_bytes + 4, len(images))
    metadata_bytes = 0
    if rich:
        metadata_bytes, start = parse_varint(head, start)
    entries = tuple(_parse_entries(head, start))
    group = Group(offset, images, entries, body_at, stack_bytes, tuple(plain), metadata_bytes)
    if any(images[i].alone for i in group.stacked):
        raise BitstreamError("a group's head asks a network for what none codes")
    return group


def _parse_plain(head: bytes, at: int, place: int, images: int) -> tuple[list[Plain], int]:
    """The plain images that a head lists at a byte, from a place in the file on; where it ends."""
    count, at = parse_varint(head, at)
    plain, image = list[Plain](), -1
    for _ in range(count):
        gap, at = parse_varint(head, at)
        size, at = parse_varint(head, at)
        image += gap + 1
        if image >= images:
            raise BitstreamError("a group's head lists more plain images than it has")
        plain.append(Plain(image, place, size))
        place += size
    return plain, at


def _parse_entries(head: bytes, at: int) -> Iterator[Entry]:
    while at < len(head):
        count, at = parse_varint(head, at)
        crc, size, at = int.from_bytes(head[at : at + 4], "little"), 0, at + 4
        if not count:
            size, at = parse_varint(head, at)
        yield Entry(count, crc, size)


def crc32(data: bytes) -> bytes:
    """As it stands in files."""
    return zlib.crc32(data).to_bytes(4, "little")
