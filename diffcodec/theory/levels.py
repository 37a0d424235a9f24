"""Which K noise levels cost least: dynamic programming over a network's measured error D(v).

A chain spends  sum_k 1/2 log2(1 + dSNR_k D(v_k))  bits/dim on its steps, the mutual information of
each, and switches to the lossless residual at its last level, for what they were measured to cost
there. The least total of K steps on a fine grid of noise levels is found exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64
from diffcodec.theory.chain import Tables
from diffcodec.theory.gaussian import mi_bpd

GRID_LEVELS = 320  # for 100 steps: 1280 levels find chains that are 0.0003 bits/dim better
LEVELS_PER_STEP = 1.25  # for many steps, so that there is a choice left
CODER_LOSS = 1.08  # the trellis spends this times the ideal


@dataclass(frozen=True)
class Choice:
    """A chain of decreasing noise variances, and what an ideal coder spends on it in bits/dim."""

    v: tuple[float, ...]
    steps_bpd: float
    pixels_bpd: float

    @property
    def total_bpd(self) -> float:
        """Of the whole image, exact pixels included."""
        return self.steps_bpd + self.pixels_bpd


def choose(tables: Tables, pixel_bpd: Float64, lengths: Iterable[int]) -> dict[int, Choice]:
    """The best chain of each length, all at least 2.

    pixel_bpd: what the exact pixels cost in bits/dim at tables.v; inf where no chain is to end.
    """
    wanted = sorted(set(lengths))
    assert wanted[0] >= 2
    levels = max(GRID_LEVELS, math.ceil(LEVELS_PER_STEP * wanted[-1]))
    v = np.geomspace(tables.v[-1], tables.v[0], levels)  # decreasing
    mi = _between(tables, v)
    last = pixels_at(tables, pixel_bpd, v)
    cost = np.asarray(0.5 * np.log2(1 + tables.prior_variance / v))  # of one step from nothing
    rows, through = np.arange(levels), np.empty_like(mi)
    chosen, came = {}, list[NDArray[np.int64]]()
    for k in range(2, wanted[-1] + 1):
        np.add(mi, cost, out=through)
        came.append(through.argmin(axis=1))
        cost = through[rows, came[-1]]
        if k in wanted:
            path = [int(np.argmin(CODER_LOSS * cost + last))]
            steps, pixels = float(cost[path[0]]), float(last[path[0]])
            for choice in reversed(came):
                path.append(int(choice[path[-1]]))
            chosen[k] = Choice(tuple(float(v[i]) for i in reversed(path)), steps, pixels)
    return chosen


def _between(tables: Tables, v: Float64) -> Float64:
    """Bits/dim of a step to v[row] from v[column]; inf where the noise would not fall."""
    error = np.array([tables.error(level) for level in v])
    gain = 1 / v[:, None] - 1 / v[None, :]
    bits = mi_bpd(np.maximum(gain, 0) * error)
    bits[gain <= 0] = np.inf
    return bits


def pixels_at(tables: Tables, pixel_bpd: Float64, v: Float64) -> Float64:
    """Bits/dim of the exact pixels at noise variances v, between those that were measured."""
    finite = np.isfinite(pixel_bpd)
    log_v = np.log(tables.v[finite])
    return np.interp(np.log(v), log_v, pixel_bpd[finite], right=np.inf)


def cost_of(tables: Tables, pixel_bpd: Float64, v: tuple[float, ...]) -> Choice:
    """What any chain costs, chosen or not."""
    before = (math.inf, *v[:-1])
    energy = [(1 / s - 1 / t) * tables.error(t) for t, s in zip(before, v, strict=True)]
    pixels = pixels_at(tables, pixel_bpd, np.array(v[-1:]))
    return Choice(v, float(mi_bpd(energy).sum()), float(pixels[0]))
