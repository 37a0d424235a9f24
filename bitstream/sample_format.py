"""What a pixel is made of: how many samples (channels), and of how many bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class SampleFormat:
    """channels: samples of a pixel, 1 grey, 3 RGB, and one more (2, 4) where the last one is alpha;
    depth: their bits, 0 .. 2^depth - 1."""

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
    def dtype(self) -> DTypeLike:
        """Of arrays of samples."""
        return np.uint8 if self.depth <= 8 else np.dtype("<u2")

    @staticmethod
    def of(pixels: NDArray[Any]) -> SampleFormat | None:
        """Of an array (H, W, C): the one of SAMPLE_FORMATS that it is in; None if in none."""
        channels = pixels.shape[2] if pixels.ndim == 3 else 0
        for format in SAMPLE_FORMATS:
            if (channels, pixels.dtype) == (format.channels, format.dtype):
                return format
        return None


GREY8, RGB8 = SampleFormat(1, 8), SampleFormat(3, 8)


def archived(channels: int) -> SampleFormat:
    """Of the images of an archive, which have 8 bits in this version."""
    return SampleFormat(channels, 8)


# By the number that a file's header states, in one bit: a third one takes bit 7 of the flags, which
# is 0 so far. A format that was in a file once stays.
SAMPLE_FORMATS = (GREY8, RGB8)
