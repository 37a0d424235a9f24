"""Whether colours lie on a grid, and on which.

Most photographs were luminance and chrominance in whole numbers once (JPEG's YCbCr, video's, Photo
CD's): few of the possible colours occur. Where the transform is one of GRIDS, what they were
follows from a colour, and how far that is from whole numbers is a context of the third channel. Of
any transform the grid looks the same some steps brighter, after 1 step for JPEG, after 7 for video
(255/219), after 19 for Photo CD (1.3584), and other contexts know the phase. An encoder looks for
both, and states them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.adaptive.level import GRIDS
from diffcodec.bitstream.types import Int64, UInt16

PERIODS = 32  # steps that are tried
SAMPLE = 1 << 15  # pixels that are looked at
CLEARER = 1.03  # so much a longer period has to be
CLEAR = 2.0  # what makes a known transform likely


@dataclass(frozen=True)
class ColourGrid:
    """period: steps after which it repeats, 1 .. PERIODS; known: its number in GRIDS, from 1; 0."""

    period: int
    known: int

    @property
    def byte(self) -> int:
        """As a strip's first byte."""
        return self.period - 1 + PERIODS * self.known

    @staticmethod
    def of(byte: int) -> ColourGrid:
        """What a byte says; a transform that is not known counts as none."""
        known, period = divmod(byte, PERIODS)
        return ColourGrid(period + 1, known if known <= len(GRIDS) else 0)


def find_grid(samples: UInt16, depth: int) -> ColourGrid:
    """The grid of samples (h, w, C) in coding order."""
    channels = samples.shape[2]
    if channels < 3:
        return ColourGrid(1, 0)
    colours = samples.reshape(-1, channels)[:, :3].astype(np.int64)
    colours = colours[:: max(1, len(colours) // SAMPLE)]
    first, second, third = colours.T
    clear = [_repeats(first % p, second - first, third - first) for p in range(1, PERIODS + 1)]
    best = 0
    for period in range(1, PERIODS):
        if clear[period] > CLEARER * clear[best]:
            best = period
    if depth > 8:
        return ColourGrid(best + 1, 0)
    whole = [_wholeness(colours, grid) for grid in GRIDS]
    likely = int(np.argmax(whole))
    return ColourGrid(best + 1, likely + 1 if whole[likely] > CLEAR else 0)


def _repeats(phase: Int64, second: Int64, third: Int64) -> float:
    """How much more often pixels share their colour than a colour next to it; 1 without a grid."""
    side = 1 << 18
    keys = (phase * side + second + side // 2) * side + third + side // 2
    found, counts = np.unique(keys, return_counts=True)
    pairs = float(np.sum(counts * (counts - 1)))
    near = 0.0
    for step in (1, -1, side, -side):
        at = np.minimum(np.searchsorted(found, found + step), len(found) - 1)
        near += float(np.sum(counts * counts[at] * (found[at] == found + step)))
    return (pairs + 1) / (near / 4 + 1)


def _wholeness(colours: Int64, grid: object) -> float:
    """How unevenly luminance and chrominance lie between whole numbers; 1 for evenly."""
    off = np.mod(colours @ np.asarray(grid, np.float64).T, 1)
    cells = np.bincount((np.floor(off * 8) @ np.array([64, 8, 1])).astype(np.int64), minlength=512)
    return float(512 * np.sum(cells * (cells - 1)) / max(1, len(colours) * (len(colours) - 1)))
