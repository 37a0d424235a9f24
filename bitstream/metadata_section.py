"""Metadata as a section's data: items one after the other, deflated where that is smaller."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.profiles import known_profile, profile_of

RAW, DEFLATED = 0, 1  # the first byte
PROFILE = 0  # in place of a kind: a colour profile that profiles.py knows
_KINDS = frozenset(map(int, Kind))
LARGEST = 1 << 26  # bytes of all items of a section


@dataclass(frozen=True)
class Parsed:
    """items: those of known kinds; unknown: how many others there are."""

    items: Metadata
    unknown: int = 0


def pack_metadata(items: Metadata) -> bytes:
    """The section's data; ValueError if that is more than a decoder takes."""
    plain = b"".join(_pack(item) for item in items)
    if len(plain) > LARGEST:
        raise ValueError(f"the metadata has {len(plain)} bytes; the limit is {LARGEST}")
    deflated = zlib.compress(plain, 9)
    if len(deflated) < len(plain):
        return bytes([DEFLATED]) + deflated
    return bytes([RAW]) + plain


def _pack(item: Item) -> bytes:
    known = known_profile(item.data) if item.kind == Kind.ICC else None
    kind, data = (item.kind, item.data) if known is None else (PROFILE, known)
    return bytes([kind]) + pack_varint(len(data)) + data


def parse_metadata(data: bytes) -> Parsed:
    """The items of a section's data; BitstreamError if it makes no sense."""
    plain, items, unknown, at = _inflated(data), list[Item](), 0, 0
    while at < len(plain):
        kind = plain[at]
        length, begin = parse_varint(plain, at + 1)
        at = begin + length
        if at > len(plain):
            raise BitstreamError("its metadata leads beyond the end")
        item = _item(kind, plain[begin:at])
        if item is None:
            unknown += 1
        else:
            items.append(item)
    return Parsed(tuple(items), unknown)


def _item(kind: int, data: bytes) -> Item | None:
    """What is known of an item."""
    if kind == PROFILE:
        profile = profile_of(data)
        return None if profile is None else Item(Kind.ICC, profile)
    return Item(Kind(kind), data) if kind in _KINDS else None


def _inflated(data: bytes) -> bytes:
    """The items' bytes, at most LARGEST."""
    if data[:1] == bytes([RAW]):
        return data[1:]
    if data[:1] != bytes([DEFLATED]):
        raise BitstreamError("its metadata is packed in an unknown way")
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data[1:], LARGEST)
    except zlib.error as error:
        raise BitstreamError("its metadata cannot be unpacked") from error
    if not inflate.eof:
        raise BitstreamError(f"its metadata is cut, or longer than {LARGEST} bytes")
    return plain
