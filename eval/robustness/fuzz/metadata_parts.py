"""Metadata taken apart, changed, and packed again as files and archives hold it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from random import Random

from diffcodec.bitstream.container import parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Kind
from diffcodec.bitstream.metadata_section import DEFLATED, RAW
from diffcodec.eval.robustness.fuzz.checksums import often
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, packed, some

LARGEST = 1 << 20  # bytes that are packed anew; more come about by the program's own means


def varied_section(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Other items in a section's data, deflated or not."""
    if dice.random() < 0.2:
        return mutated(data, dice, others)
    plain = varied_items(_plain(data), dice)
    if dice.random() < 0.5:
        return bytes([RAW]) + plain
    return bytes([DEFLATED]) + repacked(plain, dice)


def varied_group(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Other items, and other owners of them, of an archive's group: a zlib stream."""
    if dice.random() < 0.2:
        return mutated(data, dice, others)
    plain = bytearray(_inflated(data))
    for _ in range(some(dice)):
        at = dice.randrange(len(plain) + 1)
        plain[at : at + dice.randrange(2)] = packed(number(dice))
    return repacked(mutated(bytes(plain), dice, others) if often(dice) else bytes(plain), dice)


def varied_items(plain: bytes, dice: Random) -> bytes:
    """Items one after the other, each with its kind and length: others, more, fewer, in another
    order, with lengths that are wrong at times."""
    items = list(_items(plain))
    for _ in range(some(dice)):
        at = dice.randrange(len(items) + 1)
        kind, size, data = items[at] if at < len(items) else (0, 0, b"")
        way = dice.randrange(6)
        if way == 0:
            items[at : at + 1] = []
        elif way == 1:
            items[at : at + 1] = [(dice.choice((*Kind, 0, dice.randrange(256))), size, data)]
        elif way == 2:
            items[at : at + 1] = [(kind, number(dice), data)]
        elif way == 3:
            data = mutated(data, dice, [item[2] for item in items])
            items[at : at + 1] = [(kind, len(data), data)]
        elif way == 4:
            items[at:at] = [(kind, size, data)] * dice.choice((1, 2, 50, 2000))
        else:
            dice.shuffle(items)
    return b"".join(bytes([kind & 255]) + packed(size) + data for kind, size, data in items)


def repacked(plain: bytes, dice: Random) -> bytes:
    """A zlib stream, rarely of far more bytes than it takes, and damaged now and then."""
    if dice.random() < 0.003:
        plain += dice.choice((b"\0", b"\x13\0", b"\xff")) * dice.choice((1 << 12, LARGEST))
    stream = zlib.compress(plain, dice.choice((0, 1, 9)) if len(plain) < LARGEST else 9)
    return stream if often(dice) else mutated(stream, dice, ())


def _items(plain: bytes) -> list[tuple[int, int, bytes]]:
    """(kind, length as stated, data), as far as there are any."""
    items, at = list[tuple[int, int, bytes]](), 0
    while at < len(plain):
        try:
            size, begin = parse_varint(plain, at + 1)
        except BitstreamError:
            break
        items.append((plain[at], size, plain[begin : begin + size]))
        at = begin + size
    return items


def _plain(data: bytes) -> bytes:
    return _inflated(data[1:]) if data[:1] == bytes([DEFLATED]) else data[1:]


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        return b""
