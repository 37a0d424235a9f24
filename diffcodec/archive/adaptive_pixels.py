"""x_0 given y_1 on a stack by the adaptive coder: DDPM's conditional autoregressive decoder.

The tiles of a batch are coded one after the other, and what the model has learnt of one it starts
the next with. A receiver decodes them in that order, so a sender records the decisions of all, and
pushes the last one first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.adaptive import Side, samples_of
from diffcodec.bitstream.adaptive.grid import ColourGrid, find_grid
from diffcodec.bitstream.adaptive.stacked import NO_GRID, Recorded, pop_strip, record_strip
from diffcodec.bitstream.adaptive.starts import SMALL, start_of
from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.strips import strips
from diffcodec.bitstream.types import Float32, Float64, Pixels
from diffcodec.progressive.gaussian_residual import to_grid

WORTH = 10.0  # grey levels of noise where the adaptive coder takes half of what the Gaussian does


@dataclass(frozen=True)
class AdaptivePixels:
    """format: of the samples; level: of bitstream.adaptive.LEVELS; sigma: the noise of y_1, in grey
    levels; gaussian_bits: of a sub-pixel of an ordinary image, by the discretized Gaussian."""

    format: SampleFormat
    level: int
    sigma: float
    gaussian_bits: float

    @property
    def usual_bits(self) -> float:
        """About what a sub-pixel of an ordinary image takes."""
        return self.gaussian_bits / (1 + self.sigma / WORTH)

    def push(self, stack: Stack, images: Pixels, y: Float32, x0_hat: Float64) -> float:
        """Code images (N, H, W, C), given y_1 and x0_hat (N, C, H, W); the ideal in bits."""
        recorded = list(self._record(images, y, x0_hat))
        for part in reversed(recorded):
            part.push(stack)
        return math.fsum(part.bits for part in recorded)

    def pop(self, stack: Stack, y: Float32, x0_hat: Float64) -> Pixels:
        """The images that `push` coded, (N, H, W, C)."""
        n, channels, height, width = x0_hat.shape
        images = np.empty((n, height, width, channels), self.format.dtype)
        learnt = self._start(height, width, channels)
        for image, state, guess in zip(images, y, x0_hat, strict=True):
            for columns in strips(width):
                side, part = self._side(state, guess, columns), image[:, columns]
                size = part.shape[0], part.shape[1]
                planes = pop_strip(stack, size, side, self.level, self.format, learnt)
                part[:] = planes.transpose(1, 2, 0)
        return images

    def bits(self, images: Pixels, y: Float32, x0_hat: Float64) -> Float64:
        """-log2 p(x_0 | y_1) of every image, (N,), coded in this order."""
        count = len(strips(images.shape[2]))
        bits = [part.bits for part in self._record(images, y, x0_hat)]
        return np.asarray(np.array(bits).reshape(-1, count).sum(axis=1))

    def _record(self, images: Pixels, y: Float32, x0_hat: Float64) -> Iterator[Recorded]:
        """Of every strip of every image."""
        learnt = self._start(*images.shape[1:])
        for image, state, guess in zip(images, y, x0_hat, strict=True):
            for columns in strips(image.shape[1]):
                side, part = self._side(state, guess, columns), image[:, columns]
                planes = np.ascontiguousarray(part.transpose(2, 0, 1))
                yield record_strip(
                    planes, side, self.level, self.format, learnt, _grid(planes, self.format)
                )

    def _start(self, height: int, width: int, channels: int) -> Float32:
        """What the model of a batch starts from; to be written to."""
        columns = strips(width)[0]
        pixels = height * (columns.stop - columns.start)
        return np.array(start_of(self.level, channels, pixels, self.sigma))

    def _side(self, y: Float32, x0_hat: Float64, columns: slice) -> Side:
        """What both sides know of a strip of an image, (C, H, W)."""
        half = self.format.half
        near = np.clip(y[:, :, columns], -3, 3)
        return Side(to_grid(x0_hat[:, :, columns], half), to_grid(near, half), self.sigma)


def _grid(planes: Pixels, format: SampleFormat) -> ColourGrid:
    """The grid of colours of planes (C, h, w); of few pixels chance would make one."""
    if planes[0].size <= SMALL:
        return NO_GRID
    return find_grid(samples_of(planes), format.depth)
