"""What a pixel is made of: how many samples (channels), and of how many bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class SampleFormat:
    """channels: samples of a pixel, 1 grey, 3 RGB, and one more (2, 4) where the last one is alpha;
    depth: their bits, 0 .. 2^depth - 1. Images have 8 or 16 bits; what codes samples takes any
    number between (narrowing.py)."""

    channels: int
    depth: int

    @property
    def alpha(self) -> bool:
        """Whether the last sample of a pixel says how opaque it is."""
        return self.channels in (2, 4)

    @property
    def colour(self) -> SampleFormat:
        """Without alpha: what steps and exact pixels code."""
        return SampleFormat(self.channels - self.alpha, self.depth)

    @property
    def levels(self) -> int:
        """Values of a sample."""
        return 1 << self.depth

    @property
    def peak(self) -> int:
        """The largest value of a sample."""
        return self.levels - 1

    @property
    def half(self) -> float:
        """Values in one unit of x0: x0 = k / half - 1 lies in [-1, 1]."""
        return self.peak / 2

    @property
    def sample_bytes(self) -> int:
        """Of a sample as it is stored."""
        return 1 if self.depth <= 8 else 2

    @property
    def grey_level(self) -> float:
        """Values in one of the 256 grey levels of 8 bits, in which noise is told."""
        return float(1 << (self.depth - 8))

    @property
    def dtype(self) -> DTypeLike:
        """Of arrays of samples."""
        return np.uint8 if self.depth <= 8 else np.dtype("<u2")

    @staticmethod
    def of(pixels: NDArray[Any]) -> SampleFormat | None:
        """Of an array (H, W, C), C = 1 .. 4, uint8 or uint16; None for any other."""
        depth = {"u1": 8, "u2": 16}.get(pixels.dtype.str[1:])
        if depth is None or pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4:
            return None
        return SampleFormat(pixels.shape[2], depth)


GREY8, RGB8 = SampleFormat(1, 8), SampleFormat(3, 8)


def archived(channels: int) -> SampleFormat:
    """Of the images that an archive's network codes: they have 8 bits."""
    return SampleFormat(channels, 8)


# By the number that a file's header states in one bit; in version 3 other bits say more.
SAMPLE_FORMATS = (GREY8, RGB8)
