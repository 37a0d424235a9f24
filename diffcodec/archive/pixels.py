"""x_0 given y_1 on a stack: the discretized decoder of DDPM's eq. 13, one sigma an image.

The sigma index of an image follows its pixels; the table of indices expects a usual one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT, Table, table
from diffcodec.bitstream.latents import BELL
from diffcodec.bitstream.pixels import GRID, SIGMAS, best_sigma, sigma_of
from diffcodec.bitstream.sample_format import RGB8, SampleFormat
from diffcodec.bitstream.types import Float32, Float64, Int32, Pixels

FINE = PHASES // GRID  # the pixel coder's means as the tables count them
INDEX_SPREAD = 4  # of sigma indices around the usual one


@dataclass(frozen=True)
class PixelCoder:
    """format: of the samples; usual_index: the sigma index to be expected."""

    format: SampleFormat
    usual_index: int

    @property
    def usual_bits(self) -> float:
        """About what a sub-pixel of an ordinary image takes."""
        return math.log2(max(1.0, BELL * sigma_of(self.usual_index)))

    def push(self, stack: Stack, images: Pixels, y: Float32, x0_hat: Float64) -> float:
        """Code images (N, H, W, C), given x0_hat (N, C, H, W), whatever y_1; the ideal in bits."""
        for image, guess in zip(images, x0_hat, strict=True):
            values, means, index = _pixel_code(image, guess, self.format)
            stack.push(sigma_table(index, self.format), means * FINE, values)
            stack.push(self._index_table, self._usual, np.array([index]))
        return float(pixel_bits(images, x0_hat, self.format).sum())

    def pop(self, stack: Stack, y: Float32, x0_hat: Float64) -> Pixels:
        """The images that `push` coded, (N, H, W, C)."""
        n, channels, height, width = x0_hat.shape
        images = np.empty((n, height, width, channels), self.format.dtype)
        for i in reversed(range(n)):
            index = int(stack.pop(self._index_table, self._usual)[0])
            means = FINE * _means(x0_hat[i], self.format)
            values = stack.pop(sigma_table(index, self.format), means)
            images[i] = values.reshape(height, width, channels)
        return images

    def bits(self, images: Pixels, y: Float32, x0_hat: Float64) -> Float64:
        """-log2 p(x_0 | y_1) of every image, (N,)."""
        return pixel_bits(images, x0_hat, self.format)

    @cached_property
    def _index_table(self) -> Table:
        return table(INDEX_SPREAD * SIGMA_UNIT, SIGMAS)

    @property
    def _usual(self) -> Int32:
        return np.array([PHASES * self.usual_index], np.int32)


def pixel_bits(images: Pixels, x0_hat: Float64, format: SampleFormat = RGB8) -> Float64:
    """-log2 p(x_0 | y_1) of every image, (N,), given x0_hat(y_1)."""
    bits = []
    for image, guess in zip(images, x0_hat, strict=True):
        values, means, index = _pixel_code(image, guess, format)
        code = sigma_table(index, format)
        bits.append(float(code.bits(means * FINE, values.astype(np.int32)).sum()))
    return np.array(bits)


def sigma_table(index: int, format: SampleFormat) -> Table:
    """The Gaussian of a sigma index, over all values of a sample."""
    return table(round(sigma_of(index) * SIGMA_UNIT), format.levels)


def _pixel_code(image: Pixels, x0_hat: Float64, format: SampleFormat) -> tuple[Pixels, Int32, int]:
    """Values and means of an image's sub-pixels, and its sigma index."""
    values, means = image.reshape(-1), _means(x0_hat, format)
    return values, means, best_sigma(values, means, format)


def _means(x0_hat: Float64, format: SampleFormat) -> Int32:
    """Means of the samples in 1/GRID, channels interleaved."""
    grey = (x0_hat.transpose(1, 2, 0) + 1) * (format.half * GRID)
    return np.rint(grey).astype(np.int32).reshape(-1)
