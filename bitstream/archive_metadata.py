"""What the images of an archive's group carry besides their pixels: one part for all of them.

Images of one camera have much in common: what is equal is there once, and all of it is compressed
together. FORMAT-archive.md, section 6, is the specification.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.profiles import known_profile, profile_of

PROFILE = 0  # in place of a kind: a colour profile that profiles.py knows
MAX_METADATA = 1 << 26  # bytes of a group's, unpacked


def size_of(metadata: Metadata) -> int:
    """Bytes of what an image carries."""
    return sum(len(item.data) for item in metadata)


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
        out += _pack(item)
    before = -1
    for image, own in enumerate(metadata):
        if own:
            out += pack_varint(image - before - 1) + pack_varint(len(own))
            out += b"".join(pack_varint(number[item]) for item in own)
            before = image
    return zlib.compress(out, 9)


def parse_metadata(data: bytes, images: int) -> list[Metadata]:
    """What pack_metadata was given for so many images; BitstreamError for what no writer makes."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_METADATA)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("more than there may be")
        count, at = parse_varint(text, 0)
        items = list[Item]()
        for _ in range(count):
            kind = text[at]
            size, at = parse_varint(text, at + 1)
            if at + size > len(text):
                raise ValueError("an item leads beyond the end")
            items.append(_item(kind, text[at : at + size]))
            at += size
        found: list[Metadata] = [()] * images
        for image, own in _owners(text, at, items):
            found[image] = own
    except (zlib.error, ValueError, IndexError) as error:
        raise BitstreamError("a group's metadata make no sense") from error
    return found


def _pack(item: Item) -> bytes:
    known = known_profile(item.data) if item.kind == Kind.ICC else None
    kind, data = (item.kind, item.data) if known is None else (PROFILE, known)
    return bytes([kind]) + pack_varint(len(data)) + data


def _item(kind: int, data: bytes) -> Item:
    """ValueError if it is unknown."""
    if kind != PROFILE:
        return Item(Kind(kind), data)
    profile = profile_of(data)
    if profile is None:
        raise ValueError("a profile that is unknown")
    return Item(Kind.ICC, profile)


def _owners(text: bytes, at: int, items: Sequence[Item]) -> Iterator[tuple[int, Metadata]]:
    """Images and the items they have, from a byte on."""
    image = -1
    while at < len(text):
        gap, at = parse_varint(text, at)
        count, at = parse_varint(text, at)
        image += gap + 1
        own = list[Item]()
        for _ in range(count):
            number, at = parse_varint(text, at)
            own.append(items[number])
        yield image, tuple(sorted(own, key=lambda item: item.kind))
