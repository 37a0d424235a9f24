"""A .dfa archive taken apart, changed, and put together with lengths and checksums that fit."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from diffcodec.bitstream.archive import pack_end, read_groups, read_metadata, read_plain, read_stack
from diffcodec.bitstream.archive_group import GROUP, Group
from diffcodec.bitstream.archive_header import ArchiveHeader, read_header
from diffcodec.bitstream.container import crc16, parse_varint
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.eval.robustness.fuzz.checksums import crc32, often
from diffcodec.eval.robustness.fuzz.metadata_parts import repacked, varied_group
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, packed, some
from diffcodec.eval.robustness.fuzz.plain_parts import varied_plain
from diffcodec.eval.robustness.fuzz.trees import dumped, varied


@dataclass
class GroupParts:
    """lists: the directory's JSON; placed: numbers that say where plain images and metadata lie;
    entries: bytes on what the stack holds; plain: bytes and shape of each plain image."""

    lists: Any
    placed: list[int]
    entries: bytes
    stack: bytes
    plain: list[tuple[bytes, ImageInfo]]
    metadata: bytes

    @staticmethod
    def of(file: io.BytesIO, header: ArchiveHeader, group: Group) -> GroupParts:
        """Of a group that is taken."""
        data = file.getvalue()
        size, at = parse_varint(data, group.offset + 4)
        _, at = parse_varint(data, at)
        head = data[at : at + size]
        length, start = parse_varint(head, 0)
        lists = json.loads(zlib.decompress(head[start : start + length]))
        at, placed = start + length, list[int]()
        fields = (1 + 2 * len(group.plain)) * header.listed + header.rich
        for _ in range(fields):
            value, at = parse_varint(head, at)
            placed.append(value)
        whole = read_metadata(file, group)  # raises if it is damaged
        assert len(whole) == len(group.images)
        end = group.end if not group.metadata_bytes else group.end - 4
        return GroupParts(
            lists=lists,
            placed=placed,
            entries=head[at:],
            stack=read_stack(file, group),
            plain=[(read_plain(file, part), group.images[part.image]) for part in group.plain],
            metadata=data[group.metadata_at : end],
        )

    def pack(self, dice: Random | None = None) -> bytes:
        """The group; its lengths are right, but those of `placed`, which are as they are.

        dice: for a directory that is packed in odd ways.
        """
        if dice is None:
            directory = zlib.compress(json.dumps(self.lists).encode())
        else:
            directory = repacked(dumped(self.lists, dice), dice)
        head = packed(len(directory)) + directory + b"".join(map(packed, self.placed))
        head += self.entries
        lead = GROUP + packed(len(head)) + packed(len(self.stack))
        body = self.stack + crc32(self.stack) + b"".join(data for data, _ in self.plain)
        body += self.metadata + crc32(self.metadata) if self.metadata else b""
        return lead + head + crc32(lead + head) + body

    def vary(self, dice: Random, header: ArchiveHeader) -> None:
        """One thing about it."""
        way = dice.randrange(6)
        if way == 0:
            self.lists = varied(self.lists, dice)
        elif way == 1 and self.placed:
            at = dice.randrange(len(self.placed))
            self.placed[at] = number(dice) if dice.random() < 0.5 else self.placed[at] + 1
        elif way == 2:
            self.entries = mutated(self.entries, dice, ())
        elif way == 3 and self.plain:
            self._vary_plain(dice, header)
        elif way == 4 and self.metadata:
            self._resize(-1, len(self.metadata), varied_group(self.metadata, dice, ()))
        else:
            self.stack = mutated(self.stack, dice, ())

    def _vary_plain(self, dice: Random, header: ArchiveHeader) -> None:
        at = dice.randrange(len(self.plain))
        data, image = self.plain[at]
        changed = varied_plain(data, dice, image.shape, image.depth, header.guarded)
        self.plain[at] = changed, image
        self.placed[2 + 2 * at] = len(changed)

    def _resize(self, place: int, before: int, metadata: bytes) -> None:
        self.metadata = metadata
        self.placed[place] = max(self.placed[place] + len(metadata) - before, 0)


def varied_archive(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """An archive changed in its header, in a group or several, or in their order."""
    file = io.BytesIO(data)
    header = read_header(file)
    start = data[: file.tell()]
    groups = [group for group in read_groups(file, header.listed, header.rich)]
    parts = [GroupParts.of(file, header, group) for group in groups if isinstance(group, Group)]
    if dice.random() < 0.2:
        start = _varied_header(start, dice)
    for _ in range(some(dice)):
        if parts:
            dice.choice(parts).vary(dice, header)
    packs = [part.pack(dice) for part in parts]
    if dice.random() < 0.1:
        packs = [dice.choice(packs) for _ in range(dice.randrange(5))] if packs else []
    images = sum(len(group.images) for group in groups if isinstance(group, Group))
    made = start + b"".join(packs) + pack_end(len(packs), images)
    return made if often(dice) else mutated(made, dice, others)


def _varied_header(start: bytes, dice: Random) -> bytes:
    """With a checksum that matches; the network is mostly the same."""
    body = bytearray(start[:-2])
    for _ in range(some(dice)):
        at = dice.choice((4, 5, 6, *range(15, len(body))))
        body[at] = dice.choice((body[at] ^ 1 << dice.randrange(8), number(dice) & 255))
    return bytes(body) + crc16(bytes(body))
