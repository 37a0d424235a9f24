"""Means by least squares: windows over what was coded, and classes of samples.

What fits.h does, in numpy.
"""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.adaptive.level import CLASSES, LANES, Level
from diffcodec.bitstream.adaptive.regression import (
    factorise,
    fold_in,
    gram_size,
    sum_products,
    weights_of,
)
from diffcodec.bitstream.adaptive.regression import square as square_of
from diffcodec.bitstream.adaptive.strip import SEGMENT, Regressors, Strip
from diffcodec.bitstream.adaptive.vector import Single
from diffcodec.bitstream.types import Float32

LOCAL_STATE = 0.92  # of a row; a segment further counts the next of these
LOCAL = 0.82
SPREAD_STATE = np.array([1.0, 0.6, 0.36, 0.216], np.float32)
SPREAD = np.array([1.0, 0.4, 0.16, 0.0], np.float32)
WIDE = 0.95
SPREAD_WIDE = np.array([1.0, 0.8, 0.64, 0.512], np.float32)
WHOLE = 0.9995  # of a segment
WHOLE_EVERY = 4  # segments
WEIGHT = 0.35
CLASS_FIRST = 16
CLASS_EVERY = 32
CLASS_HALVE = 4096
CLASS_TRUSTED = 60  # samples from which a class's fit is used


class Fits:
    """Of a channel. fit (fits, n): weights of n = LANES groups regressors, the target among them.

    sample (SEGMENT, n): regressors of a segment's samples, targets last; weight (SEGMENT,).
    """

    def __init__(
        self, s: Strip, level: Level, regressors: Regressors, groups: int, gram: Float32
    ) -> None:
        size, n = gram_size(groups), LANES * groups
        self.level, self.with_state, self.groups = level, s.with_state, groups
        self.regressors, self.whole = regressors, gram[:size]
        self.segments = -(-s.width // SEGMENT)
        self.local = np.zeros((self.segments, size), np.float32)
        self.wide = np.zeros((self.segments if level.wide else 0, size), np.float32)
        self.classes = np.zeros((level.switched, CLASSES, size), np.float32)
        self.class_fit = np.zeros((level.switched, CLASSES, n), np.float32)
        self.class_seen = [[0] * CLASSES for _ in range(level.switched)]
        self.fit = np.zeros((level.fits, n), np.float32)
        self.sample = np.zeros((SEGMENT, n), np.float32)
        self.weight = np.zeros(SEGMENT, np.float32)

    def begin_segment(self, segment: int) -> None:
        """New fits."""
        first, last = (0, 2) if self.level.fits > 2 else (1, 1)
        local, whole = last - first + 1, last  # how many fits there are
        share = SPREAD_STATE if self.with_state else SPREAD
        self.fit[:local] = self._solve(_gather(self.local, share, segment), first, last)
        if segment % WHOLE_EVERY == 0:
            self.fit[local : local + whole] = self._solve(self.whole, 1, last)
        if self.level.wide:
            wide = _gather(self.wide, SPREAD_WIDE, segment)
            self.fit[local + whole] = self._solve(wide, last, last)[0]

    def end_segment(self, segment: int, n: int) -> None:
        """What n samples add to the windows."""
        sums = sum_products(self.sample[:n], self.weight[:n])
        fold_in(self.local[segment], LOCAL_STATE if self.with_state else LOCAL, sums)
        if self.level.wide:
            fold_in(self.wide[segment], WIDE, sums)
        fold_in(self.whole, WHOLE, sums)

    def learn_class(self, kind: int, which: int, sample: Float32, weight: Single) -> None:
        """A sample (n,) of a class is known: sums, and now and then another fit."""
        sums = self.classes[kind, which]
        fold_in(sums, 1.0, sum_products(sample[None], np.array([weight])))
        self.class_seen[kind][which] += 1
        seen = self.class_seen[kind][which]
        if seen % CLASS_EVERY == 0 or seen == CLASS_FIRST:
            self.class_fit[kind, which] = self._solve(sums, 2, 2)[0]
        if seen % CLASS_HALVE == 0:
            sums *= 0.5

    def _solve(self, gram: Float32, first: int, last: int) -> Float32:
        """(last - first + 1, n) of the nested fits."""
        nested = self.regressors.nested
        square = square_of(self.groups, gram)
        factorise(square, nested[last])
        return np.stack([weights_of(square, nested[k]) for k in range(first, last + 1)])


def _gather(window: Float32, share: Float32, segment: int) -> Float32:
    """The sum over segments near one."""
    total = np.zeros(window.shape[1], np.float32)
    for s in range(max(segment - 3, 0), min(segment + 4, len(window))):
        part = share[abs(s - segment)]
        if part != 0:
            total += part * window[s]
    return total
