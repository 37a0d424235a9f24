"""Latents of a diffusion chain on a grid: bin numbers to and from the ANS stack.

The bins of a latent's grid are a fraction of the smaller of its two standard deviations: that of q,
which it is popped with, and that of p, which it is pushed with. Means lie on a finer grid, PHASES
positions a bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT, Table, table
from diffcodec.bitstream.types import Int64

WINDOW = 7  # standard deviations on either side that a table covers
STIRRED = 4  # symbols to a word that is stirred: twice what they take at 2 bins a deviation
ESCAPE = 12  # bits of each half of the distance beyond the window
BELL = math.sqrt(2 * math.pi * math.e)  # entropy of a Gaussian: log2(BELL sigma)
_SIGMA_STEPS = 256  # sigmas are multiples of 1/256 bin


class TooFar(BitstreamError):
    """A latent lies further from its mean than the stream can say."""


@dataclass(frozen=True)
class Code:
    """A Gaussian on a grid. escapes: values beyond its window can be coded, at a price."""

    sigma: int  # in 1/SIGMA_UNIT bin
    table: Table
    escapes: bool

    @staticmethod
    def of(sigma_bins: float, escapes: bool) -> Code:
        """The code whose standard deviation comes closest to so many bins."""
        sigma = max(1, round(sigma_bins * _SIGMA_STEPS)) * (SIGMA_UNIT // _SIGMA_STEPS)
        reach = -(-WINDOW * sigma // SIGMA_UNIT) + 1
        return Code(sigma, table(sigma, 2 * reach + 1), escapes)

    @property
    def bits(self) -> float:
        """What a latent takes that is drawn from this Gaussian."""
        return math.log2(BELL * self.sigma / SIGMA_UNIT)

    def put(self, stack: Stack, mean: Int64, k: Int64) -> None:
        """Push bin numbers k with their means, in 1/PHASES bin; raises TooFar."""
        base, phase = self._split(mean)
        symbol = k - base
        inside = np.clip(symbol, 0, self.table.n - 1)
        if self.escapes:
            at_edge = self._at_edge(inside)
            for beyond in np.abs(symbol - inside)[at_edge].tolist():
                if beyond >> 2 * ESCAPE:
                    raise TooFar("the network's estimate is too far off for bits-back coding")
                stack.push_uniform(beyond & (1 << ESCAPE) - 1, ESCAPE)
                stack.push_uniform(beyond >> ESCAPE, ESCAPE)
        stack.push(self.table, phase, inside)

    def take(self, stack: Stack, mean: Int64) -> Int64:
        """Pop bin numbers, given their means."""
        base, phase = self._split(mean)
        symbol = stack.pop(self.table, phase).astype(np.int64)
        if self.escapes:
            for i in np.flatnonzero(self._at_edge(symbol))[::-1]:
                beyond = stack.pop_uniform(ESCAPE) << ESCAPE | stack.pop_uniform(ESCAPE)
                symbol.flat[i] += beyond if symbol.flat[i] else -beyond
        return np.asarray(symbol + base)

    def _split(self, mean: Int64) -> tuple[Int64, Int64]:
        """The bin number of symbol 0, and the mean as the table counts it."""
        base = (mean + PHASES // 2) // PHASES - self.table.n // 2
        return base, mean - base * PHASES

    def _at_edge(self, symbol: Int64) -> NDArray[np.bool_]:
        return np.asarray((symbol == 0) | (symbol == self.table.n - 1))


class Grid:
    """The grid of one latent, and its two codes.

    q_variance, p_variance: in x0 units squared. bins: in the smaller standard deviation; phases:
    positions of means in a bin, a divisor of PHASES. width: of a bin, in x0 units. Only values that
    were popped with q are ever pushed with it, so it needs no escapes.
    """

    def __init__(self, q_variance: float, p_variance: float, bins: int, phases: int) -> None:
        self.width = math.sqrt(min(q_variance, p_variance)) / bins
        self.p_variance = p_variance
        self.q = Code.of(math.sqrt(q_variance) / self.width, False)
        self.p = Code.of(math.sqrt(p_variance) / self.width, True)
        self.take_p, self.put_p = self.p.take, self.p.put
        self._phases = phases

    def take_q(self, stack: Stack, mean: Int64) -> Int64:
        """Draw bin numbers from q with the bits of the stack, which is stirred before."""
        stack.stir(mean.size // STIRRED)
        return self.q.take(stack, mean)

    def put_q(self, stack: Stack, mean: Int64, k: Int64) -> None:
        """Give the bits back."""
        self.q.put(stack, mean, k)
        stack.stir(mean.size // STIRRED)

    def mean(self, y: NDArray[np.float64]) -> Int64:
        """Values in x0 units as means, in 1/PHASES bin."""
        steps = np.rint(y * (self._phases / self.width)).astype(np.int64)
        return np.asarray(steps * (PHASES // self._phases))
