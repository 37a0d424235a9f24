"""Between samples of pixels, k = 0 .. peak, and the units of the mathematics: x0 = 2 k / peak - 1.

The format is that of the samples, 8 bits where none is given; how many channels does not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.sample_format import RGB8, SampleFormat
from diffcodec.bitstream.types import Float32, Float64, Pixels

GREY = RGB8.half  # 127.5 grey levels of 8 bits in one unit of x0
PIECE = 1 << 18  # values that are floats at a time


def to_unit(pixels: Pixels, format: SampleFormat = RGB8) -> Float32:
    """(H, W, C) samples -> (C, H, W) float32 in [-1, 1]."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / format.half - 1


def from_unit(x: NDArray[np.floating], format: SampleFormat = RGB8) -> Pixels:
    """(C, H, W) in [-1, 1], or beyond it -> (H, W, C): the nearest samples."""
    return np.ascontiguousarray(to_levels(x, format).transpose(1, 2, 0))


def to_levels(x: NDArray[np.floating], format: SampleFormat = RGB8) -> Pixels:
    """Values in [-1, 1], or beyond, to the nearest samples, of the same shape."""
    levels = np.empty(x.shape, format.dtype)
    flat, out = x.reshape(-1), levels.reshape(-1)
    for i in range(0, flat.size, PIECE):  # so that no floats of an image's size are made
        part = np.rint((flat[i : i + PIECE] + 1) * format.half).clip(0, format.peak)
        out[i : i + PIECE] = part
    return levels


def to_x0(images: Pixels, format: SampleFormat = RGB8) -> Float64:
    """(N, H, W, C) samples -> (N, C, H, W) float64 in [-1, 1]."""
    assert images.ndim == 4 and images.dtype == format.dtype
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / format.half - 1
