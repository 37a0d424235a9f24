"""Items of metadata as bytes: kind, length, data. Files and archives hold them alike."""

from __future__ import annotations

import zlib

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.profiles import known_profile, profile_of
from diffcodec.bitstream.sound_items import sound

PROFILE = 0  # in place of a kind: a colour profile that profiles.py knows
MAX_BYTES = 1 << 26  # of all items together
MAX_ITEMS = 1 << 20  # an item of two bytes takes a hundred in memory
ITEM = MAX_BYTES // MAX_ITEMS  # bytes that an item counts as, besides its data
_KINDS = frozenset(map(int, Kind))


def pack_item(item: Item) -> bytes:
    """An item; a colour profile by its number, if it has one.

    ValueError for data that are not of its kind: no reader would find them.
    """
    if not sound(item.kind, item.data):
        raise ValueError(f"the metadata's {item.kind.name} is no such thing")
    known = known_profile(item.data) if item.kind == Kind.ICC else None
    kind, data = (item.kind, item.data) if known is None else (PROFILE, known)
    return bytes([kind]) + pack_varint(len(data)) + data


class Items:
    """Reads items, one after the other, from a byte on.

    Equal small ones are one object: a stream that is a thousand times longer than what it was
    packed to has few others, and its items take memory in proportion to its bytes.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at
        self._known: dict[bytes, Item | None] = {}

    def take(self) -> Item | None:
        """The next one, None if its kind or profile is unknown or its data are not of its kind.

        BitstreamError if it leads beyond the end.
        """
        data, at = self.data, self.at
        if at >= len(data):
            raise BitstreamError("its metadata leads beyond the end")
        length, begin = parse_varint(data, at + 1)
        end = begin + length
        if end > len(data):
            raise BitstreamError("its metadata leads beyond the end")
        self.at = end
        if length > ITEM:
            return _item(data[at], data[begin:end])
        whole = data[at:end]
        if whole not in self._known:
            self._known[whole] = _item(data[at], data[begin:end])
        return self._known[whole]


def _item(kind: int, data: bytes) -> Item | None:
    if kind == PROFILE:
        profile = profile_of(data)
        return None if profile is None else Item(Kind.ICC, profile)
    if kind not in _KINDS or not sound(Kind(kind), data):
        return None
    return Item(Kind(kind), data)


def inflate(data: bytes) -> bytes:
    """A zlib stream of at most MAX_BYTES, unpacked; BitstreamError for anything else."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise BitstreamError("its metadata cannot be unpacked") from error
    if len(plain) > MAX_BYTES or not stream.eof or stream.unused_data:
        raise BitstreamError(f"its metadata is cut, or longer than {MAX_BYTES} bytes")
    return plain
