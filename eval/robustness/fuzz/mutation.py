"""Changes of bytes that know nothing of what the bytes mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MOST = 1 << 16  # bytes of an input that grows
ODD = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 129, 254, 255)
NUMBERS: tuple[int, ...] = tuple(
    sorted({(1 << bits) + off for bits in (*range(3, 36), 42, 47, 63, 64) for off in (-1, 0, 1)})
)

Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Some bytes, changed in one to a few places; others: what parts are taken from, too."""
    changed = bytearray(data)
    for _ in range(some(dice)):
        dice.choice(CHANGES)(changed, dice, others)
    return bytes(changed[:MOST])


def some(dice: Random) -> int:
    """How many changes: mostly one or two, now and then many."""
    return min(1 + int(dice.expovariate(0.7)), 20)


def number(dice: Random) -> int:
    """A whole number that programs stumble over, from 0 on."""
    if dice.random() < 0.5:
        return dice.choice(NUMBERS)
    return dice.getrandbits(dice.choice((3, 8, 12, 16, 24, 32, 41)))


def place(data: bytearray, dice: Random) -> int:
    """Where something happens: anywhere, and often near the beginning."""
    size = len(data) + 1
    return dice.randrange(min(size, 40) if dice.random() < 0.3 else size)


def length(dice: Random) -> int:
    """Of a block."""
    return 1 + int(dice.expovariate(1 / 12))


# --- changes ------------------------------------------------------------------------------------


def flip(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """One bit the other way round."""
    if data:
        data[min(place(data, dice), len(data) - 1)] ^= 1 << dice.randrange(8)


def put(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """Another byte."""
    if data:
        value = dice.choice(ODD) if dice.random() < 0.5 else dice.randrange(256)
        data[min(place(data, dice), len(data) - 1)] = value


def count(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A byte a little larger or smaller."""
    if data:
        at = min(place(data, dice), len(data) - 1)
        data[at] = (data[at] + dice.randint(-16, 16)) & 255


def word(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A number of two to eight bytes, either way round, over what is there."""
    at, size = place(data, dice), dice.choice((2, 4, 8))
    value = number(dice) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, dice.choice(("little", "big")))


def varint(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """Another number in seven bits a byte, in place of the one that is there."""
    at = place(data, dice)
    end = at + 1
    while end < len(data) and data[end - 1] >= 128 and end < at + 6:
        end += 1
    data[at:end] = packed(number(dice))


def remove(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A block less."""
    at = place(data, dice)
    del data[at : at + length(dice)]


def insert(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A block more: of one byte, or of chance."""
    at, size = place(data, dice), length(dice)
    data[at:at] = bytes([dice.randrange(256)]) * size if dice.random() < 0.5 else noise(dice, size)


def repeat(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A block again, now and then very often."""
    at = place(data, dice)
    block = bytes(data[at : at + length(dice)])
    times = dice.choice((1, 1, 2, 5, 100))
    data[at:at] = block * times


def move(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A block of it, over what stands elsewhere."""
    at, to, size = place(data, dice), place(data, dice), length(dice)
    data[to : to + size] = bytes(data[at : at + size])


def splice(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """A piece of another input, inside or from here to its end."""
    other = dice.choice(others) if others else bytes(data)
    at, begin = place(data, dice), dice.randrange(len(other) + 1)
    if dice.random() < 0.3:
        data[at:] = other[begin:]
    else:
        data[at : at + length(dice)] = other[begin : begin + length(dice)]


def cut(data: bytearray, dice: Random, others: Sequence[bytes]) -> None:
    """Nothing from here on."""
    del data[place(data, dice) :]


def noise(dice: Random, size: int) -> bytes:
    """Bytes of chance."""
    return dice.getrandbits(8 * size).to_bytes(size, "little")


def packed(value: int) -> bytes:
    """LEB128 without a limit, so that numbers that do not end are there as well."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


CHANGES: tuple[Change, ...] = (
    *(flip, flip, flip, put, put, count, word, varint, varint),
    *(remove, insert, repeat, move, splice, cut),
)
