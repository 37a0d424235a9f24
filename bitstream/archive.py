"""The .dfa container: many images, in groups that stand on their own.

A file is a header, groups, and an end. A group begins with a head that says which images it holds
and how, so that a list of all images takes reading the heads. Its body is a stack of bits, and then
its plain images, which stand on their own, and their metadata. Head, stack, plain images and metadata
have checksums of their own: damage hits one of them, and the next group is found by its mark.
FORMAT-archive.md specifies it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.bitstream.archive_metadata import parse_metadata
from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.directory import MAX_HEAD, ImageInfo, pack_directory, parse_directory
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata

GROUP, END = b"\x89dfg", b"\x89dfe"
_LEAD = 4 + 2 * 6  # most bytes of a group's mark and lengths


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that make no group."""

    offset: int
    reason: str


# --- writing ------------------------------------------------------------------------------------


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
        metadata += _crc(metadata)
    if metadata is not None:
        head += pack_varint(len(metadata))
    for entry in entries:
        head += pack_varint(entry.count) + entry.crc.to_bytes(4, "little")
        head += b"" if entry.count else pack_varint(entry.size)
    lead = GROUP + pack_varint(len(head)) + pack_varint(len(stack))
    parts = b"".join(plain.values()) if plain else b""
    return lead + head + _crc(lead + head) + stack + _crc(stack) + parts + (metadata or b"")


def pack_end(groups: int, images: int) -> bytes:
    """What closes a file."""
    body = END + pack_varint(groups) + pack_varint(images)
    return body + _crc(body)


# --- reading ------------------------------------------------------------------------------------


def read_groups(
    file: BinaryIO, listed: bool, rich: bool = False, whole: bool = False
) -> Iterator[Group | Damage]:
    """Groups from where the file stands, and what is damaged between them; bodies are not read.

    listed, rich: of the header; whole: nothing may follow the end.
    """
    at, groups, images, lost = file.tell(), 0, 0, False
    while True:
        file.seek(at)
        mark = file.read(4)
        if mark == END:
            ending, expected = mark + file.read(32), pack_end(groups, images)
            if not ending.startswith(expected) and not lost:
                yield Damage(at, "groups are missing: the archive's end counts more of them")
            elif whole and (after := _after(file, at, ending)):
                yield Damage(file.tell() - after, f"{after:,} bytes follow the archive's end")
            return
        try:
            if mark != GROUP:
                raise BitstreamError("the archive breaks off" if not mark else "this is no group")
            group = _read_head(file, at, listed, rich)
        except BitstreamError as error:
            if not lost:  # a mark inside the damage is no news
                yield Damage(at, str(error))
            lost = True
            found = _find(file, at + 1)
            if found is None:
                return
            at = found
            continue
        yield group
        lost = False
        groups, images = groups + 1, images + len(group.images)
        at = group.end


def _after(file: BinaryIO, at: int, ending: bytes) -> int:
    """Bytes after the end, which begins at a place; 0 if the end itself is damaged."""
    try:
        _, length = parse_varint(ending, 4)
        _, length = parse_varint(ending, length)
    except BitstreamError:
        return 0
    if ending[length : length + 4] != _crc(ending[:length]):
        return 0
    return file.seek(0, os.SEEK_END) - at - length - 4


def read_stack(file: BinaryIO, group: Group) -> bytes:
    """A group's stack; raises BitstreamError if it is damaged or not all there."""
    data = _read(file, group.body_at, group.stack_bytes + 4)
    stack, check = data[: group.stack_bytes], data[group.stack_bytes :]
    if check != _crc(stack):
        raise BitstreamError(f"the group at byte {group.offset} is damaged or cut short")
    return stack


def read_plain(file: BinaryIO, part: Plain) -> bytes:
    """A plain image's bytes; raises BitstreamError if they are not all there."""
    data = _read(file, part.at, part.size)
    if len(data) < part.size:
        raise BitstreamError(f"the image at byte {part.at} is cut short")
    return data


def read_metadata(file: BinaryIO, group: Group) -> list[Metadata]:
    """What each image of a group carries besides its pixels; raises BitstreamError if that is
    damaged or not all there."""
    if not group.metadata_bytes:
        return [()] * len(group.images)
    data = _read(file, group.metadata_at, group.metadata_bytes)
    packed, check = data[:-4], data[-4:]
    if len(data) < group.metadata_bytes or check != _crc(packed):
        raise BitstreamError(f"the metadata of the group at byte {group.offset} are damaged")
    return parse_metadata(packed, len(group.images))


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    """So many bytes, or as many as there are: whatever a head claims, no more memory is taken."""
    left = file.seek(0, os.SEEK_END) - at
    file.seek(at)
    return file.read(max(0, min(size, left)))


def _read_head(file: BinaryIO, offset: int, listed: bool, rich: bool) -> Group:
    file.seek(offset)
    lead = file.read(_LEAD)
    head_bytes, at = parse_varint(lead, 4)
    stack_bytes, at = parse_varint(lead, at)
    if head_bytes > MAX_HEAD:
        raise BitstreamError("a group's head is damaged")
    file.seek(offset + at)
    head, check = file.read(head_bytes), file.read(4)
    if len(head) < head_bytes or check != _crc(lead[:at] + head):
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


def _find(file: BinaryIO, at: int) -> int | None:
    """Where the next mark of a group or of the end begins."""
    overlap = b""
    file.seek(at)
    while chunk := file.read(1 << 20):
        data = overlap + chunk
        places = [i for mark in (GROUP, END) if (i := data.find(mark)) >= 0]
        if places:
            return at - len(overlap) + min(places)
        overlap, at = data[-3:], at + len(chunk)
    return None


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
