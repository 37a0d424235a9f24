"""What the images of an archive's group carry besides their pixels: one part for all of them.

Images of one camera have much in common: what is equal is there once, and all of it is compressed
together. FORMAT-archive.md, section 6, is the specification.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Metadata
from diffcodec.bitstream.metadata_items import (
    ITEM,
    MAX_ITEMS,
    Items,
    inflate,
    pack_item,
)


def size_of(metadata: Metadata) -> int:
    """Bytes of what an image carries; where they are few, so are its items."""
    return sum(ITEM + len(item.data) for item in metadata)


def pack_metadata(metadata: Sequence[Metadata]) -> bytes:
    """Of all images of a group; no bytes if none carries anything.

    Items stand by kind, so that alike ones are neighbours, then images by the items they have.
    """
    distinct = dict.fromkeys(item for items in metadata for item in items)
    if not distinct:
        return b""
    items = sorted(distinct, key=lambda item: item.kind)
    number = {item: i for i, item in enumerate(items)}
    out = bytearray(pack_varint(len(items)))
    for item in items:
        out += pack_item(item)
    before = -1
    for image, own in enumerate(metadata):
        if own:
            out += pack_varint(image - before - 1) + pack_varint(len(own))
            out += b"".join(pack_varint(number[item]) for item in own)
            before = image
    return zlib.compress(out, 9)


def parse_metadata(data: bytes, images: int) -> list[Metadata]:
    """What pack_metadata was given for so many images; BitstreamError for what no writer makes.

    Items of kinds that this program does not know are passed over.
    """
    found: list[Metadata] = [()] * images
    try:
        text = inflate(data)
        count, at = _number(text, 0)
        reader = Items(text, at)
        items = [reader.take() for _ in range(count)]
        for image, own in _owners(text, reader.at, items):
            found[image] = own
    except (BitstreamError, IndexError) as error:
        raise BitstreamError("a group's metadata make no sense") from error
    return found


def _number(text: bytes, at: int) -> tuple[int, int]:
    """How many items follow, and where; BitstreamError if those are too many."""
    count, at = parse_varint(text, at)
    if count > MAX_ITEMS:
        raise BitstreamError("more items than there may be")
    return count, at


def _owners(text: bytes, at: int, items: Sequence[Item | None]) -> Iterator[tuple[int, Metadata]]:
    """Images and the items they have, from a byte on."""
    image, left = -1, MAX_ITEMS
    while at < len(text):
        gap, at = parse_varint(text, at)
        count, at = _number(text, at)
        image, left = image + gap + 1, left - count
        if left < 0:
            raise BitstreamError("more items than there may be")
        own = list[Item]()
        for _ in range(count):
            number, at = parse_varint(text, at)
            if (item := items[number]) is not None:
                own.append(item)
        yield image, tuple(sorted(own, key=lambda item: item.kind))
