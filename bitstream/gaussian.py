"""Integer tables of Gaussian probabilities for the ANS coder, the same on every machine.

Symbol s in 0 .. n - 1 stands for the bin [s - 1/2, s + 1/2) of a Gaussian whose mean is a multiple
of 1/PHASES; the bins of 0 and n - 1 extend to infinity. Whatever the mean, the cumulative frequency
of symbol s is one entry of a single table of Phi on a grid of 1/PHASES symbols, plus s, so that no
symbol has frequency 0:

    C(s) = G(s - 1/2 - mean) + s,   G(x) = round((TOTAL - n) Phi(x / sigma)),

but C(0) = 0 and C(n) = TOTAL.

Entries are rounded correctly: the libm's erfc is right to far less than the margin that is left to
it, and where that leaves the rounding open, 50 decimal digits decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.decimals import PI, in_decimals
from diffcodec.bitstream.types import Int32

PRECISION = 24  # bits of the frequencies; more would cost states of 64 bits 2^(bits - 32)
TOTAL = 1 << PRECISION
PHASES = 64  # means are integers in units of 1/PHASES symbol
SIGMA_UNIT = 1 << 20  # sigmas are integers in units of 1/SIGMA_UNIT symbol
REACH = 6  # sigmas that the grid covers on either side; TOTAL Phi(-6) < 1/2
HINT = 12  # leading bits of a slot, which say about where in the grid it lies
_TRUST = 2.0**-44  # erfc is taken to be right to this; libms are right to about 2^-52


@dataclass(frozen=True, eq=False)
class Table:
    """Cumulative frequencies of one sigma for n symbols.

    grid: (2 half + 1,) uint32, G at -half .. half steps of 1/PHASES; hint: (2^HINT,) int32, an
    index of `grid` near each slot, to begin a search at. Nothing depends on hint but speed.
    """

    grid: NDArray[np.uint32]
    hint: Int32
    n: int

    @property
    def half(self) -> int:
        """Index of G(0)."""
        return len(self.grid) // 2

    def shift(self, mean: NDArray[np.integer]) -> Int32:
        """What brings PHASES * s to the index of C(s) - s in `grid`; mean in 1/PHASES symbol."""
        return np.asarray(self.half - PHASES // 2 - mean, np.int32)

    def lower(self, shift: Int32, symbol: Int32) -> NDArray[np.uint64]:
        """C(symbol) for every element; 0 <= symbol <= n."""
        index = np.clip(shift + PHASES * symbol, 0, len(self.grid) - 1)
        value: NDArray[np.uint64] = self.grid[index].astype(np.uint64) + symbol.astype(np.uint64)
        value[symbol <= 0] = 0
        value[symbol >= self.n] = TOTAL
        return value

    def bits(self, mean: NDArray[np.integer], symbol: Int32) -> NDArray[np.float64]:
        """-log2 of the probability of every symbol."""
        shift = self.shift(mean)
        freq = self.lower(shift, symbol + np.int32(1)) - self.lower(shift, symbol)
        return np.asarray(PRECISION - np.log2(freq.astype(np.float64)))


@lru_cache(maxsize=4096)
def table(sigma: int, n: int) -> Table:
    """The table of sigma / SIGMA_UNIT symbols, sigma >= 1, for 2 <= n < 2^20 symbols."""
    assert sigma >= 1 and 2 <= n < 1 << 20
    half = -(-REACH * PHASES * sigma // SIGMA_UNIT)
    steps = np.arange(-half, half + 1)
    scaled = (TOTAL - n) * _phi(half, SIGMA_UNIT / (PHASES * sigma))
    grid = np.rint(scaled)
    doubtful = np.abs(np.abs(scaled - grid) - 0.5) < TOTAL * _TRUST
    for i in np.flatnonzero(doubtful):
        grid[i] = _exactly(int(steps[i]), sigma, n)
    grid[0], grid[-1] = 0, TOTAL - n
    middles = (np.arange(1 << HINT) + 0.5) * ((TOTAL - n) / (1 << HINT))
    hint = np.searchsorted(grid, middles).astype(np.int32)
    return Table(grid.astype(np.uint32), hint, n)


def _phi(half: int, step: float) -> NDArray[np.float64]:
    """About Phi(i step) for i = -half .. half."""
    scale = step * math.sqrt(0.5)
    upper = [1 - 0.5 * math.erfc(i * scale) for i in range(half + 1)]
    return np.array([1 - phi for phi in reversed(upper[1:])] + upper)


@in_decimals
def _exactly(step: int, sigma: int, n: int) -> int:
    """round((TOTAL - n) Phi(step / (PHASES sigma))), by Phi = 1/2 + phi(z) sum z^(2k+1)/(2k+1)!!"""
    z = Decimal(step * SIGMA_UNIT) / (PHASES * sigma)
    term, total, k = z, z, 1
    while term and abs(term) > Decimal("1e-55"):
        k += 2
        term = term * z * z / k
        total += term
    density = (-z * z / 2).exp() / (2 * PI).sqrt()
    return round((Decimal("0.5") + density * total) * (TOTAL - n))
