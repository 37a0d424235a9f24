"""Contexts of a decision: which entries of tables and which weights have a say in it.

What contexts.h does, in numpy and Python's integers.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.learnt import Learnt
from diffcodec.bitstream.adaptive.level import BINS, GRIDS, PLAIN, SET_SIZES, SLOTS, VALUES
from diffcodec.bitstream.adaptive.sample import Sample, miss_before, there, value
from diffcodec.bitstream.adaptive.strip import INNOVATION, MISS
from diffcodec.bitstream.adaptive.vector import Single, clip, log_2, seventh

FIRST = (0, *accumulate(SET_SIZES))  # row of mixing weights of each set
MET = (1.0, 2.0, 4.0, 10.0, 30.0)  # how often an entry was met, in six classes
GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Colours:
    """Colours tend to lie on a grid: they were luminance and chrominance in whole numbers once.

    Numbers are in steps of a sample. first, second: channels that are coded, or samples left and
    above; left, up: differences of this channel to the first, or of samples; known: whether the
    grid of a third channel is: luminance and chrominance of the channels before, and of a step of
    this one.
    """

    first: int
    second: int
    left: int
    up: int
    phase: int
    second_phase: int
    known: tuple[tuple[Single, Single], ...]


@dataclass(frozen=True)
class Around:
    """What the contexts of all decisions of a sample share; inverse: of the blend's scale."""

    inverse: Single
    near: int
    state: int
    scale: int
    colours: Colours


@dataclass(frozen=True)
class Contexts:
    """Of a decision. entries: of tables; rows: of mixing weights; corrected: where the logits of
    each final correction begin; path: of the last mixer."""

    entries: NDArray[np.intp]
    rows: NDArray[np.intp]
    corrected: NDArray[np.intp]
    path: int


def whole(p: Sample, x: Single) -> int:
    """A value in steps of a sample."""
    return int(x * p.s.steps + 0.5)


def remainder(x: int, period: int) -> int:
    """With the sign of x, as in C."""
    return x % period if x >= 0 else -(-x % period)


def find_colours(p: Sample) -> Colours:
    """What is known of a sample's colour."""
    c, w, n, period = p.channel, whole(p, p.w), whole(p, p.n), p.s.period
    if c == 0:
        first, second, left, up = w, n, 0, whole(p, p.nw) - w
    else:
        first = whole(p, value(p, 0, 0, 0))
        second = whole(p, value(p, 1, 0, 0)) if c > 1 else w
        left, up = w - whole(p, value(p, 0, 0, -1)), n - whole(p, value(p, 0, -1, 0))
    known: tuple[tuple[Single, Single], ...] = ()
    if c == 2 and p.s.grid > 0:
        grid = [[Single(x) for x in row] for row in GRIDS[p.s.grid - 1]]
        a, b = Single(first), Single(second)
        known = tuple((512.0 + (row[0] * a + row[1] * b), row[2]) for row in grid)
    phases = remainder(first, period), remainder(second, period)
    return Colours(first, second, left, up, *phases, known)


def third_of(x: Single) -> int:
    """Which of three parts x lies in."""
    return bool(x >= -0.5) + bool(x >= 0.5)


def seventh_of(x: Single) -> int:
    """Which of seven parts x lies in."""
    return int(seventh(np.array([x]))[0])


def look_around(p: Sample) -> Around:
    """What is known of a sample before its first decision."""
    c, inverse = p.channel, 1.0 / (p.scale + 0.1)
    w, n = there(p, MISS, c, 0, -1), there(p, MISS, c, -1, 0)
    thirds = [third_of(x * inverse) for x in (w, n, miss_before(p))]
    near = thirds[0] + 3 * thirds[1] + 9 * thirds[2]
    if p.s.with_state:
        off = (p.base - p.centre) * inverse
        other = there(p, INNOVATION, c, 0, 0) * inverse
    else:
        off = (p.w - p.centre) * inverse * 0.5
        other = (p.n - p.centre) * inverse * 0.3
    scale = clip(int(2.0 * log_2(p.scale) + 70.0) - 64, 0, 15)
    return Around(inverse, near, seventh_of(off) + 7 * third_of(other), scale, find_colours(p))


def off_grid(o: Colours, t: int) -> int:
    """How far luminance and chrominance are from whole numbers: a number of 12 bits."""
    off, split = 0, Single(t)
    for start, more in o.known:
        at = start + more * split
        off = off << 4 | int((at - Single(int(at))) * 16.0)
    return off


def slot_of(bits: int, a: int, b: int, c: int) -> int:
    """The slot of a hashed table for three numbers of 18, 18 and 17 bits, and a channel."""
    key = a & 0x3FFFF | (b & 0x3FFFF) << 18 | (c & 0x1FFFF) << 36
    return (key * GOLDEN & WORD) >> (64 - bits)


def plain_slots(p: Sample, a: Around, t: int, node: int, depth: int, edge: Single) -> list[int]:
    """Contexts of the plain tables."""
    q = seventh((edge - p.marks) * a.inverse).tolist()
    fewer, deep = min(node, 15), 343 * min(depth, 2)
    return [
        t >> p.s.shift & 255 | (node > 1) << 8 | (a.scale >> 1 & 1) << 9,
        q[6] + 7 * q[7] + 49 * fewer,
        q[8] + 7 * q[9] + 49 * q[10] + deep,
        q[0] + 7 * q[1] + 49 * q[2] + deep,
        q[11] + 7 * q[12] + 49 * q[13] + deep,
    ]


def hashed_slots(c: int, bits: int, o: Colours, t: int, node: int, tables: int) -> list[int]:
    """Contexts of the first hashed tables."""
    d0, d1, between = t - o.first, t - o.second, o.second - o.first
    slots = [
        slot_of(bits, d0, between, o.phase),
        slot_of(bits, t, o.first, o.second),
        slot_of(bits, off_grid(o, t), node > 1, bool(o.known)),
    ]
    if tables == len(slots):
        return slots
    if c == 0:
        seventh_key = d1, 0, o.second_phase
    else:
        seventh_key = (d0, o.left, o.phase) if c == 1 else (d1, o.left, o.second_phase)
    return [
        *slots,
        slot_of(bits, d0, between, 0),
        slot_of(bits, t, o.first, 0),
        slot_of(bits, t, o.second, 0),
        slot_of(bits, *seventh_key),
        slot_of(bits, d0, 0 if c < 2 else o.left, o.phase),
        slot_of(bits, d0, o.up, o.phase),
    ]


def find_contexts(
    p: Sample, a: Around, x: Learnt, t: int, node: int, depth: int, edge: Single
) -> Contexts:
    """Contexts of the decision whether a sample is at least t, edge in grey levels."""
    fewer = min(node, 15)
    hashed = hashed_slots(p.channel, x.bits, a.colours, t, node, p.l.tables - PLAIN)
    plain = plain_slots(p, a, t, node, depth, edge)
    entries = [SLOTS * k + (slot & SLOTS - 1) for k, slot in enumerate(plain)]
    entries += [SLOTS * PLAIN + (k << x.bits) + slot for k, slot in enumerate(hashed)]
    inner = node if depth < 6 else 64 + (node & 63)
    rows = [16 * a.scale + fewer, 16 * p.side + fewer, 16 * p.around + fewer, 16 * a.state + fewer]
    if p.l.sets > 4:
        fifth, sixth = (bisect_right(MET, x.entries[entries[k], 1]) for k in (5, 6))
        rows += [16 * (fifth + 6 * sixth) + fewer, 16 * a.near + fewer, inner]
    rows = [FIRST[k] + row for k, row in enumerate(rows)]
    deep = min(depth, 7)
    byte = t >> p.s.shift & 255 | (node > 1) << 8
    corrected = [inner, VALUES + 8 * a.scale + deep, 2 * VALUES + byte]
    path = deep + 8 * (a.scale >> 2)
    return Contexts(np.array(entries), np.array(rows), BINS * np.array(corrected), path)
