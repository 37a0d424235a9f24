"""Between pixels, k = 0 .. 255, and the units of the mathematics: x0 = k / 127.5 - 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32, Float64, Pixels

GREY = 127.5  # grey levels in one unit of x0
PIECE = 1 << 18  # values that are floats at a time


def to_unit(pixels: Pixels) -> Float32:
    """(H, W, C) uint8 -> (C, H, W) float32 in [-1, 1]: k / 127.5 - 1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / GREY - 1


def from_unit(x: NDArray[np.floating]) -> Pixels:
    """(C, H, W) in [-1, 1], or beyond it -> (H, W, C) uint8: the nearest pixels."""
    return np.ascontiguousarray(to_levels(x).transpose(1, 2, 0))


def to_levels(x: NDArray[np.floating]) -> Pixels:
    """Values in [-1, 1], or beyond, to the nearest pixels, uint8 of the same shape."""
    levels = np.empty(x.shape, np.uint8)
    flat, out = x.reshape(-1), levels.reshape(-1)
    for i in range(0, flat.size, PIECE):  # so that no floats of an image's size are made
        part = np.rint((flat[i : i + PIECE] + 1) * GREY).clip(0, 255)
        out[i : i + PIECE] = part
    return levels


def to_x0(images: Pixels) -> Float64:
    """(N, H, W, C) uint8 -> x0 = k/127.5 - 1: (N, C, H, W) float64."""
    assert images.ndim == 4 and images.dtype == np.uint8
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / GREY - 1
