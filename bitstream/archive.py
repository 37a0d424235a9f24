"""The .dfa container: many images, in groups that stand on their own. FORMAT.md specifies it.

A file is a header, groups, and an end. A group begins with a head that says which images it holds
and how, so that a list of all images takes reading the heads; its body is a stack of bits. Head
and body have checksums of their own: damage hits one group, and the next one is found by its mark.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.bitstream.container import (
    ARCHIVE_MAGIC,
    CHAINS,
    MAX_NODES,
    ChainKind,
    crc16,
    name_of_chain,
    pack_varint,
    parse_varint,
)
from diffcodec.bitstream.directory import MAX_HEAD, ImageInfo, pack_directory, parse_directory
from diffcodec.bitstream.errors import BitstreamError, IncompleteHeader

GROUP, END = b"\x89dfg", b"\x89dfe"
VERSION = 1
_LEAD = 4 + 2 * 6  # most bytes of a group's mark and lengths


@dataclass(frozen=True)
class ArchiveHeader:
    """What all groups share: the network, the chain, the bins a deviation, the side of tiles."""

    fingerprint: bytes
    chain: ChainKind
    nodes: int
    bins: int
    tile: int

    @property
    def chain_name(self) -> str:
        """The chain as diffcodec.theory.chain.choose_chain calls it."""
        return name_of_chain(self.chain, self.nodes)

    def pack(self) -> bytes:
        """The header's bytes; its CRC-16 last."""
        body = (
            ARCHIVE_MAGIC + bytes([VERSION, CHAINS.index(self.chain), self.bins]) + self.fingerprint
        )
        body += pack_varint(self.nodes) + pack_varint(self.tile)
        return body + crc16(body)


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
class Group:
    """A group's head, and where its body lies in the file."""

    offset: int
    images: tuple[ImageInfo, ...]
    entries: tuple[Entry, ...]
    body_at: int
    body_bytes: int


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that make no group."""

    offset: int
    reason: str


# --- writing ------------------------------------------------------------------------------------


def pack_group(images: list[ImageInfo], entries: list[Entry], body: bytes) -> bytes:
    """A whole group."""
    directory = pack_directory(images)
    head = pack_varint(len(directory)) + directory
    for entry in entries:
        head += pack_varint(entry.count) + entry.crc.to_bytes(4, "little")
        head += b"" if entry.count else pack_varint(entry.size)
    lead = GROUP + pack_varint(len(head)) + pack_varint(len(body))
    return lead + head + _crc(lead + head) + body + _crc(body)


def pack_end(groups: int, images: int) -> bytes:
    """What closes a file."""
    body = END + pack_varint(groups) + pack_varint(images)
    return body + _crc(body)


# --- reading ------------------------------------------------------------------------------------


def read_header(file: BinaryIO) -> ArchiveHeader:
    """The header at the beginning of a file, which is then read up to its end.

    Raises BitstreamError in one sentence.
    """
    data = file.read(64)
    if data[:4] != ARCHIVE_MAGIC:
        raise BitstreamError("this is not a .dfa archive")
    if len(data) < 16:
        raise IncompleteHeader("the archive was cut inside its header")
    if data[4] != VERSION:
        raise BitstreamError(
            f"the archive has format version {data[4]}; this diffcodec reads version {VERSION}"
        )
    nodes, at = parse_varint(data, 15)
    tile, at = parse_varint(data, at)
    if data[at : at + 2] != crc16(data[:at]):
        raise BitstreamError("the archive's header is damaged (its checksum does not match)")
    if data[5] >= len(CHAINS) or not data[6] or not 0 < nodes <= MAX_NODES or not tile:
        raise BitstreamError("the archive asks for something this diffcodec does not know")
    file.seek(at + 2)
    return ArchiveHeader(data[7:15], CHAINS[data[5]], nodes, data[6], tile)  # type: ignore[arg-type]


def read_groups(file: BinaryIO) -> Iterator[Group | Damage]:
    """Groups from where the file stands, and what is damaged between them; bodies are not read."""
    at, groups, images, lost = file.tell(), 0, 0, False
    while True:
        file.seek(at)
        mark = file.read(4)
        if mark == END:
            ending = file.read(32)
            if not (mark + ending).startswith(pack_end(groups, images)) and not lost:
                yield Damage(at, "groups are missing: the archive's end counts more of them")
            return
        try:
            if mark != GROUP:
                raise BitstreamError("the archive breaks off" if not mark else "this is no group")
            group = _read_head(file, at)
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
        at = group.body_at + group.body_bytes + 4


def read_body(file: BinaryIO, group: Group) -> bytes:
    """A group's body; raises BitstreamError if it is damaged or not all there."""
    file.seek(group.body_at)
    body = file.read(group.body_bytes)
    if len(body) < group.body_bytes or file.read(4) != _crc(body):
        raise BitstreamError(f"the group at byte {group.offset} is damaged or cut short")
    return body


def _read_head(file: BinaryIO, offset: int) -> Group:
    file.seek(offset)
    lead = file.read(_LEAD)
    head_bytes, at = parse_varint(lead, 4)
    body_bytes, at = parse_varint(lead, at)
    if head_bytes > MAX_HEAD:
        raise BitstreamError("a group's head is damaged")
    file.seek(offset + at)
    head, check = file.read(head_bytes), file.read(4)
    if len(head) < head_bytes or check != _crc(lead[:at] + head):
        raise BitstreamError("a group's head is damaged or cut short")
    size, start = parse_varint(head, 0)
    images = parse_directory(head[start : start + size])
    entries = tuple(_parse_entries(head, start + size))
    return Group(offset, images, entries, offset + at + head_bytes + 4, body_bytes)


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
