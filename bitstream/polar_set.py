"""Polar codes: their transform, and which of the N inputs carry bits, in integers only.

A code of N = 2^k symbols, of which the first are left out (punctured). All inputs but the n most
reliable ones are 0. Reliabilities follow from those of the symbols, level by level, by the Gaussian
approximation (Chung, Richardson and Urbanke 2001; for polar codes Trifonov 2012): a symbol is taken
for a Gaussian channel, known by the mean of its log-likelihood ratio. Here that mean is kept as its
logarithm in whole numbers, so both ends find the same set on any machine. Measured against a set
by Monte Carlo, the overhead is the same within .1 %; the closed-form order by powers of 2^(1/4)
(polarization weight) costs .1 to .3 %. FORMAT-coder.md is the specification.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.types import Int32, Int64

OCTAVE = 256  # reliabilities are OCTAVE * log2(mean log-likelihood ratio in nats)
LEAST = -(1 << 20)  # of a symbol that tells nothing
_STEP = 64  # distance of a table's entries
_PLACES = 1024  # how many numbers of punctured symbols are told apart
_FIRST = -6 * OCTAVE  # where _LOST begins; below it the loss comes to OCTAVE - x

# What the worse of two equal channels loses; the first value is at _FIRST.
_LOST = (
    *(1798, 1735, 1672, 1609, 1547, 1485, 1424, 1363, 1302, 1242, 1182, 1124, 1066, 1009, 953, 899),
    *(845, 793, 743, 694, 647, 601, 557, 515, 474, 435, 398, 362, 328, 296, 265, 236, 209, 183),
    *(160, 139, 119, 102, 87, 74, 63, 53, 45, 37, 32, 27, 22, 19, 16, 13, 11, 9, 8, 7, 6, 5, 4, 3),
    *(3, 2, 2, 2, 1, 1, 1),
)
# OCTAVE * log2(1 + 2^(-d / OCTAVE)), what the sum of two means exceeds the larger one by.
_GAINED = (
    *(256, 225, 198, 172, 150, 130, 112, 96, 82, 70, 60, 51, 44, 37, 31, 26, 22, 19, 16, 13, 11),
    *(10, 8, 7, 6, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0),
)
# Bits of a word whose partner is `shift` above them.
_LOW = (
    0x5555555555555555,
    0x3333333333333333,
    0x0F0F0F0F0F0F0F0F,
    0x00FF00FF00FF00FF,
    0x0000FFFF0000FFFF,
    0x00000000FFFFFFFF,
)


def transform(inputs: Bits) -> Bits:
    """Symbols of a polar code's inputs, and the other way round; both uint8, (2^k,), k >= 6.

    Symbol j is the sum of the inputs i that have every bit of j: x = (u1 + u2, u2) of the halves,
    and so on. 64 of them stand in a word.
    """
    words = np.packbits(inputs, bitorder="little").view("<u8").astype(np.uint64)
    for shift, low in zip((1, 2, 4, 8, 16, 32), _LOW, strict=True):
        words ^= words >> np.uint64(shift) & np.uint64(low)
    half = 1
    while half < len(words):
        pairs = words.reshape(-1, 2, half)
        pairs[:, 0] ^= pairs[:, 1]
        half *= 2
    return np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")


def start(n_bits: int, dims: int) -> int:
    """Reliability of a symbol when dims of them carry n_bits bits.

    OCTAVE * log2(2 (4^rate - 1)), the mean at which a symbol has room for `rate` bits, to first
    order in the rate; to a quarter of an octave, so that steps can share a set (which costs
    nothing measurable).
    """
    exact = 377 + _log2(n_bits) - _log2(dims) + OCTAVE * n_bits // dims
    return exact // _STEP * _STEP + _STEP // 2


def places(k: int, punctured: int) -> int:
    """The number of punctured symbols, less a bit: fewer sets are needed, and faster made."""
    unit = max(1, (1 << k) // _PLACES)
    return punctured // unit * unit


def _log2(x: int) -> int:
    """OCTAVE * log2(x), rounded down."""
    return int((x**OCTAVE).bit_length() - 1)


@lru_cache(maxsize=4)
def information(k: int, punctured: int, start: int, n_bits: int) -> Int64:
    """The n_bits most reliable of 2^k inputs, the last first; equal ones: the later. Read-only."""
    score = reliabilities(k, punctured, start)
    least = np.partition(score, len(score) - n_bits)[len(score) - n_bits]
    above, equal = np.flatnonzero(score > least), np.flatnonzero(score == least)
    chosen = np.sort(np.concatenate([above, equal[len(above) - n_bits :]]))[::-1].copy()
    chosen.flags.writeable = False
    return chosen


@lru_cache(maxsize=2)
def reliabilities(k: int, punctured: int, start: int) -> Int32:
    """Reliability of every input, int32, shape (2^k,), if the first `punctured` symbols are out.

    Within a block of one level the symbols below some place are alike, and so are those from there
    on. Both kinds are kept, one number a block, until the place is 0.
    """
    lower, upper = np.array([LEAST], np.int32), np.array([start], np.int32)
    place = punctured
    for half in (1 << level for level in reversed(range(k))):  # symbol j meets symbol j + half
        if place == 0:
            upper = _split_alike(upper)
        elif place < half:
            lower, upper = _split(lower, upper), _split_alike(upper)
        else:
            lower, upper = _split_alike(lower), _split(lower, upper)
            place -= half
    upper.flags.writeable = False
    return upper


def _split_alike(x: Int32) -> Int32:
    """The worse and the better channel made of two equal ones, one after the other."""
    out = np.empty((len(x), 2), np.int32)
    np.maximum(x - _lost(x), LEAST, out=out[:, 0])
    np.add(x, OCTAVE, out=out[:, 1])
    return out.reshape(-1)


def _split(a: Int32, b: Int32) -> Int32:
    """The same of two that differ."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    out = np.empty((len(a), 2), np.int32)
    np.maximum(low - _lost(high), LEAST, out=out[:, 0])
    gained = _between(_GAINED)
    np.add(high, gained[np.minimum(high - low, len(gained) - 1)], out=out[:, 1])
    return out.reshape(-1)


def _lost(x: Int32) -> Int32:
    lost = _between(_LOST)
    return np.maximum(lost[np.clip(x - _FIRST, 0, len(lost) - 1)], OCTAVE - x)


@lru_cache(maxsize=2)
def _between(table: tuple[int, ...]) -> Int32:
    """The table's entries and _STEP - 1 numbers between each two, rounded to the nearest."""
    entries, part = np.array(table, np.int32)[:, None], np.arange(_STEP, dtype=np.int32)
    line = entries[:-1] * (_STEP - part) + entries[1:] * part
    between: Int32 = ((line + _STEP // 2) // _STEP).reshape(-1)
    return between
