"""The part file of an archive that is being written, and how an interrupted one resumes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from diffcodec.archive import plain
from diffcodec.archive.groups import Plan
from diffcodec.bitstream.archive import (
    Damage,
    Entry,
    Group,
    read_groups,
    read_plain,
    read_stack,
)
from diffcodec.bitstream.archive_header import ArchiveHeader, read_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.tiles import tiles_of
from diffcodec.bitstream.types import Pixels


@contextmanager
def part_file(part: Path, resume: bool) -> Iterator[BinaryIO]:
    """The part file, open; one in which nothing was written yet is taken away again."""
    existed = part.exists()
    with open(part, "r+b" if resume and existed else "w+b") as file:
        try:
            yield file
        except BaseException:
            file.flush()
            if file.tell() <= 64:
                part.unlink(missing_ok=True)
            raise


def resumable(file: BinaryIO, header: ArchiveHeader, plan: Plan) -> int:
    """How many of the planned groups the part file holds; it is cut after them."""
    try:
        if read_header(file) != header:
            return 0
    except BitstreamError:
        return 0
    kept, end = 0, file.tell()
    for found, group in zip(read_groups(file, header.plain), plan, strict=False):
        if isinstance(found, Damage) or list(found.images) != [image for _, image in group]:
            break
        pixels = [source.read() for source, _ in group]
        try:
            read_stack(file, found)
            if not _same_plain(file, found, pixels):
                break
        except BitstreamError:
            break
        if not _same_pixels(found.entries, [pixels[i] for i in found.stacked], header.tile):
            break
        kept, end = kept + 1, found.end
    file.seek(end)
    file.truncate()
    return kept


def _same_plain(file: BinaryIO, group: Group, pixels: Sequence[Pixels]) -> bool:
    """Do the checksums of the plain images match? BitstreamError if their bytes are damaged."""
    return all(
        plain.stated_crc(read_plain(file, part), group.images[part.image].shape)
        == zlib.crc32(pixels[part.image].tobytes())
        for part in group.plain
    )


def _same_pixels(entries: Sequence[Entry], pixels: Sequence[Pixels], side: int) -> bool:
    """Do the checksums of the batches match these images?"""
    at, tiles = 0, tiles_of([(p.shape[0], p.shape[1], p.shape[2]) for p in pixels], side)
    for entry in entries:
        batch = tiles[at : at + entry.tiles]
        data = b"".join(t.of(pixels[t.image]).tobytes() for t in batch)
        if zlib.crc32(data) != entry.crc:
            return False
        at += len(batch)
    return at == len(tiles)
