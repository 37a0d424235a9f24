"""Targets that read metadata, and write what they read into image files."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from diffcodec.bitstream.archive_metadata import pack_metadata as pack_group
from diffcodec.bitstream.archive_metadata import parse_metadata as parse_group
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.metadata_section import pack_metadata, parse_metadata
from diffcodec.bitstream.sections import METADATA, pack_sections, parse_sections
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.metadata_parts import varied_group, varied_section
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.image import FORMATS, ImageError, not_kept, read_picture, to_bytes
from diffcodec.image.pillow_info import info_of, texts_of

IMAGES = 5  # of the group that the archives' metadata belong to


def read_sections(data: bytes) -> None:
    """A block of sections, all there or cut."""
    whole = parse_sections(data, len(data))
    assert sum(section.head + section.size for section in whole.sections) <= len(data)
    parse_sections(data[: len(data) // 2], len(data))


def read_items(data: bytes) -> None:
    """A section's items, what a reader shows of them, and packed again."""
    parsed = parse_metadata(data)
    info_of(parsed.items), texts_of(parsed.items)
    if len(data) < 1 << 12:
        assert parse_metadata(pack_metadata(parsed.items)).items == parsed.items


def read_group(data: bytes) -> None:
    """The metadata of an archive's group."""
    found = parse_group(data, IMAGES)
    assert len(found) == IMAGES


def carry(data: bytes) -> None:
    """A section's items in image files of every format, as `decode` writes them."""
    items, dice = parse_metadata(data).items, Random(data)
    channels, deep = dice.choice((1, 2, 3, 4)), dice.random() < 0.3
    pixels = corpus.image(4, 5, channels, 16 if deep else 8)
    for format in FORMATS:
        if format == "avif" and dice.random() < 0.98:  # takes as long as all others
            continue
        try:
            written = to_bytes(pixels, format, items)
        except ImageError:
            continue
        not_kept(items, format)
        if format in ("png", "tiff"):
            assert np.array_equal(read_picture(written).pixels, pixels)


# --- seeds and changes --------------------------------------------------------------------------


def _parts() -> list[Metadata]:
    items = corpus.ITEMS
    return [items, items[:4], items[4:], *((item,) for item in items), ()]


def _items() -> list[bytes]:
    return [pack_metadata(items) for items in _parts()]


def _groups() -> list[bytes]:
    parts = _parts()
    groups = [parts[i : i + IMAGES] for i in range(0, len(parts) - IMAGES, 2)]
    return [pack_group(group) for group in groups]


def _blocks() -> list[bytes]:
    return [pack_sections([(METADATA, data), (2, data[:9]), (7, b"")]) for data in _items()]


def _varied_block(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    if dice.random() < 0.5:
        return mutated(data, dice, others)
    found = [(section.kind, section.data) for section in parse_sections(data, len(data)).sections]
    found += [(dice.randrange(256), mutated(data, dice, others))] * dice.choice((1, 1, 1, 300))
    dice.shuffle(found)
    return pack_sections(found)


TARGETS = (
    Target("sections", "blocks of sections", read_sections, _blocks, _varied_block, 40),
    Target("metadata", "a file's metadata", read_items, _items, varied_section, 60),
    Target("group", "the metadata of an archive's group", read_group, _groups, varied_group, 50),
    Target("carried", "metadata written to image files", carry, _items, varied_section, 20),
)
