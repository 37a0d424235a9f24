"""The .dfa container: many images, in groups that stand on their own.

A file is a header, groups, and an end. A group begins with a head that says which images it holds
and how, so that a list of all images takes reading the heads. Its body is a stack of bits, and then
its plain images, which stand on their own, and the metadata of all. Each of these has a checksum of
its own: damage hits one of them, and the next group is found by its mark. FORMAT-archive.md
specifies it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.bitstream.archive_group import (
    GROUP,
    Entry,
    Group,
    Plain,
    crc32,
    pack_group,
    read_head,
)
from diffcodec.bitstream.archive_metadata import parse_metadata
from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata

__all__ = [
    "Damage",
    "Entry",
    "Group",
    "Plain",
    "pack_end",
    "pack_group",
    "read_groups",
    "read_metadata",
    "read_plain",
    "read_stack",
]

END = b"\x89dfe"
NEAR, FAR = 1 << 12, 1 << 20  # bytes that are searched for a mark at a time: first, and at most
SPARE = 1 << 26  # bytes that marks may cost which begin no group, besides those of the file


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that make no group."""

    offset: int
    reason: str


def pack_end(groups: int, images: int) -> bytes:
    """What closes a file."""
    body = END + pack_varint(groups) + pack_varint(images)
    return body + crc32(body)


def read_groups(
    file: BinaryIO, listed: bool, rich: bool = False, whole: bool = False
) -> Iterator[Group | Damage]:
    """Groups from where the file stands, and what is damaged between them; bodies are not read.

    listed, rich: of the header; whole: nothing may follow the end.
    """
    at, groups, images, lost = file.tell(), 0, 0, False
    spare = _length(file) + SPARE
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
            group = read_head(file, at, listed, rich)
        except BitstreamError as error:
            if not lost:  # a mark inside the damage is no news
                yield Damage(at, str(error))
            lost = True
            spare -= NEAR + max(0, file.tell() - at)  # what was read of it
            found = _find(file, at + 1) if spare > 0 else None
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
    if ending[length : length + 4] != crc32(ending[:length]):
        return 0
    return file.seek(0, os.SEEK_END) - at - length - 4


def read_stack(file: BinaryIO, group: Group, *, intact: bool = True) -> bytes:
    """A group's stack; raises BitstreamError if it is damaged or not all there.

    intact: False where it is taken as it is, which is right from its end to the damage.
    """
    data = _read(file, group.body_at, group.stack_bytes + 4)
    stack, check = data[: group.stack_bytes], data[group.stack_bytes :]
    if intact and check != crc32(stack):
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
    if len(data) < group.metadata_bytes or check != crc32(packed):
        raise BitstreamError(f"the metadata of the group at byte {group.offset} are damaged")
    return parse_metadata(packed, len(group.images))


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    """So many bytes, or as many as there are: whatever a head claims, no more memory is taken."""
    left = _length(file) - at
    file.seek(at)
    return file.read(max(0, min(size, left)))


def _length(file: BinaryIO) -> int:
    """Bytes of a file, which is left where it stood."""
    at = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(at)
    return length


def _find(file: BinaryIO, at: int) -> int | None:
    """Where the next mark of a group or of the end begins."""
    overlap, size = b"", NEAR
    file.seek(at)
    while chunk := file.read(size):
        data = overlap + chunk
        places = [i for mark in (GROUP, END) if (i := data.find(mark)) >= 0]
        if places:
            return at - len(overlap) + min(places)
        overlap, at, size = data[-3:], at + len(chunk), min(2 * size, FAR)
    return None
