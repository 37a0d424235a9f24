"""Metadata as a section's data: items one after the other, deflated where that is smaller."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Metadata
from diffcodec.bitstream.metadata_items import (
    MAX_BYTES,
    MAX_ITEMS,
    Items,
    inflate,
    pack_item,
)

RAW, DEFLATED = 0, 1  # the first byte


@dataclass(frozen=True)
class Parsed:
    """items: those of known kinds; unknown: how many others there are."""

    items: Metadata
    unknown: int = 0


def pack_metadata(items: Metadata) -> bytes:
    """The section's data; ValueError if that is more than a decoder takes."""
    plain = b"".join(map(pack_item, items))
    if len(plain) > MAX_BYTES or len(items) > MAX_ITEMS:
        raise ValueError(
            f"the metadata has {len(plain)} bytes in {len(items)} items; the limits are "
            f"{MAX_BYTES} and {MAX_ITEMS}"
        )
    deflated = zlib.compress(plain, 9)
    if len(deflated) < len(plain):
        return bytes([DEFLATED]) + deflated
    return bytes([RAW]) + plain


def parse_metadata(data: bytes) -> Parsed:
    """The items of a section's data; BitstreamError if it makes no sense."""
    plain, items, unknown = _unpacked(data), list[Item](), 0
    reader = Items(plain)
    while reader.at < len(plain):
        item = reader.take()
        if item is None:
            unknown += 1
        else:
            items.append(item)
        if len(items) + unknown > MAX_ITEMS:
            raise BitstreamError(f"its metadata has more than {MAX_ITEMS} items")
    return Parsed(tuple(items), unknown)


def _unpacked(data: bytes) -> bytes:
    """The items' bytes."""
    if data[:1] == bytes([RAW]):
        return data[1:]
    if data[:1] == bytes([DEFLATED]):
        return inflate(data[1:])
    raise BitstreamError("its metadata is packed in an unknown way")
