"""The butterfly encoder's search: scores of all labels, then the best of some cyclic paths.

Compiled kernel, or numpy, the same bits: metrics are bytes, sums stop at -128 and 127, ties go to
the lower state, and the offset that keeps the best metric near TARGET is made of integers. Nothing
here is part of the format. DIFFCODEC_PURE=1 forces numpy.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.randomness import UNIT
from diffcodec.bitstream.rate import in_12_bits
from diffcodec.bitstream.trellis_labels import COLUMNS, shifts
from diffcodec.bitstream.types import Float32, Int64

Scores = NDArray[np.int8]  # (stages, 2, 256): of the labels, then of their opposites
Metric = NDArray[np.int16]  # of every state, in -128 .. 127

KERNEL = load_kernel("diffcodec.bitstream._butterfly")

SPREAD = 12  # standard deviation of scores: 9 costs .1 % of the bits, with 20 metrics saturate
TARGET, PERIOD, FIRST_GAIN, DEPTH = 70, 4, 54, 1024  # as butterfly.c says
_FOLDED, _MOST = 32, 127  # standard deviation of folded coordinates, and their limit
_BEST = 40  # score of the best Gaussian label
# Memory of searches that have ended, by state bits: 16 MB with 16, whose pages would cost a tenth
# of the time to get anew for every block. With 18 it is 64 MB, and costs little beside the search.
_KEPT = 16
_free: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)


# --- scores ---------------------------------------------------------------------------------------


def scores(v: Float32, edges: Int64, masks: NDArray[np.int8], levels: NDArray[np.int16]) -> Scores:
    """Correlations with all labels of signs; the energy of these is always the same.

    v: coordinates, signed and scaled to unit rms; edges: where each stage begins in v, and where
    the last one ends; masks, levels: what the labels are made of, and what that makes
    (butterfly.py).
    """
    count = (edges[-1] - edges[0]) / (len(edges) - 1)  # coordinates of a stage
    unit = np.float32(_FOLDED / math.sqrt(max(1, count / COLUMNS)))
    factor = round(2**15 * SPREAD / (_FOLDED * math.sqrt(min(count, COLUMNS))))
    if KERNEL is not None:
        out = np.empty((len(edges) - 1, 2, len(levels)), np.int8)
        KERNEL.scores(v, edges, masks, len(levels) // masks.shape[1], unit, factor, out)
        return out
    folded = np.empty((len(edges) - 1, COLUMNS))
    for i, (a, b) in enumerate(pairwise(edges.tolist())):
        folded[i] = np.bincount(np.arange(b - a) % COLUMNS, np.rint(v[a:b] * unit), COLUMNS)
    np.clip(folded, -_MOST, _MOST, out=folded)
    product = (folded @ (levels.T / UNIT)).astype(np.int64)
    plus = np.clip((product * factor + (1 << 14)) >> 15, -127, 127)
    return np.stack([plus, -plus], axis=1).astype(np.int8)


def gaussian_scores(v: Float32, edges: Int64, rate: float, levels: NDArray[np.int16]) -> Scores:
    """<c, v> - (pen / 2) |c|^2 with the energy penalty pen = sqrt(1 - 2^(-2 rate)), as scores.

    A stage has at most 4 coordinates; levels: see `scores`. v is rounded to 1/32, the levels to
    1/64, so that the products are exact in doubles however a machine orders the sum.
    """
    counts = np.diff(edges)
    longest = max(1, int(counts.max()))
    inside = np.arange(longest) < counts[:, None]
    padded = np.zeros(inside.shape)
    padded[inside] = np.clip(np.rint(v * np.float32(32)), -255, 255)
    table = np.rint(levels[:, :longest] * (64 / UNIT))
    pen = round(256 * math.sqrt(1 - 2.0 ** (-2 * rate))) / 256
    product = padded @ table.T
    energy = inside @ np.square(table.T) * (pen / 4)  # 32 / 64 of the half
    both = np.stack([product - energy, -product - energy], axis=1)
    both -= both.max(axis=(1, 2), keepdims=True)
    # Good paths differ by about what is left of the coordinates: the less, the more bits they have.
    power = in_12_bits(2 ** (1.4 * min(rate, 8)))
    spread = SPREAD * power / (2048 * math.sqrt(max(1, counts.mean())))
    fitted: Scores = np.clip(np.rint(both * spread) + _BEST, -127, 127).astype(np.int8)
    return fitted


# --- search ---------------------------------------------------------------------------------------


def ring(scores: Scores, m: int, seam: int) -> tuple[Bits, bool]:
    """The best path around the ring from a likely state at the seam: its n bits.

    And whether it is one path: after a bad guess its ends do not meet, and a few labels at the seam
    are not those that were searched for.
    """
    path = np.empty(len(scores), np.uint8)
    if KERNEL is None:
        return path, _Search(scores, m).ring(seam, path)
    try:
        memory = _free[m].pop()
    except IndexError:
        memory = np.empty(KERNEL.workspace(m), np.uint8)
    meets = KERNEL.ring(scores, shifts(m), m, seam, path, memory)
    if m <= _KEPT:
        _free[m].append(memory)
    return path, meets


class _Search:
    """`ring` of butterfly.c, vectorised over states."""

    def __init__(self, scores: Scores, m: int) -> None:
        self.scores, self.m = scores, m
        lower = np.arange(1 << (m - 1))
        self.label = (lower + shifts(m)[lower >> 8]) & 255
        self.metric: Metric = np.zeros(1 << m, np.int16)
        self.upper: list[NDArray[np.uint8]] = []  # decisions since the seam, 8 states a byte
        self.top, self.gain = 0, FIRST_GAIN

    def ring(self, seam: int, path: Bits) -> bool:
        """Fills path: from the likely state at the seam around the ring and back to it."""
        n, state = len(self.scores), self.likely_state(seam)
        reached, meets = state, True
        self.metric = np.full_like(self.metric, -128)
        self.metric[state] = self.top = TARGET
        self.upper, known = [], 0
        for done in range(0, n, DEPTH):
            if done - known == 2 * DEPTH:
                ancestor = self.state_before(int(self.metric.argmax()), known + DEPTH)
                meets &= self.trace(ancestor, known + DEPTH, known, seam, path) == reached
                known += DEPTH
                reached = ancestor
            self.forward(seam + done, min(DEPTH, n - done))
        return self.trace(state, n, known, seam, path) == reached and meets

    def likely_state(self, seam: int) -> int:
        """The state at the seam on the path that looks best from 4 nu stages on either side."""
        self.forward(seam - 4 * self.m, 4 * self.m)
        self.upper = []
        self.forward(seam, 4 * self.m)
        return self.state_before(int(self.metric.argmax()), 0)

    def forward(self, first: int, count: int) -> None:
        """Advances the metric through `count` stages of the ring from `first` on."""
        missing = TARGET - self.top - self.gain
        for i in range(count):
            phase = i % PERIOD
            offset = (missing * (phase + 1) >> 2) - (missing * phase >> 2)
            self.stage(self.scores[(first + i) % len(self.scores)], offset)
            if phase == PERIOD - 1:
                top = int(self.metric.max())
                self.gain += (top - self.top - missing - self.gain) >> 2
                self.top = top
                missing = TARGET - self.top - self.gain

    def stage(self, scores: Scores, offset: int) -> None:
        """One stage: both branches out of both states of every butterfly."""
        row = np.clip(scores.astype(np.int16) + np.int16(offset), -128, 127)[:, self.label]
        a, b = self.metric.reshape(2, -1)
        low = np.clip(a + row, -128, 127)  # to the even states, and to the odd ones
        high = np.clip(b + row[::-1], -128, 127)
        self.upper.append(np.packbits(high > low, axis=1, bitorder="little"))
        self.metric = np.maximum(low, high).T.reshape(-1)

    def before(self, state: int, upper: NDArray[np.uint8]) -> int:
        """The state before a stage on the path that won in `state`."""
        lower = state >> 1
        won = int(upper[state & 1, lower >> 3]) >> (lower & 7) & 1
        return lower | won << (self.m - 1)

    def state_before(self, state: int, begin: int) -> int:
        """Follows the survivor that ends in state now back to stage `begin`; its state there."""
        for upper in self.upper[: -len(self.upper) + begin - 1 : -1]:
            state = self.before(state, upper)
        return state

    def trace(self, state: int, end: int, begin: int, seam: int, path: Bits) -> int:
        """Likewise from after `end` stages, and the path's bits on the way."""
        for i in range(end - 1, begin - 1, -1):
            state = self.before(state, self.upper[i])
            path[(seam + i) % len(path)] = state >> (self.m - 1)
        return state
