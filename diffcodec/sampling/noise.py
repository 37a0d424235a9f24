"""Noise of images by number: whoever draws with it gets the same images in any company."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from diffcodec.bitstream.types import Float64


class Use(IntEnum):
    """What noise is for; that of different uses is independent."""

    REVERSE = 0  # x_T and the steps of a sampler
    FORWARD = 1  # x_t of an image


class ImageNoise:
    """z ~ N(0, I) of several images at a time: each call gives the next, (N, *shape) float64.

    The n-th draw of an image depends on nothing but seed, use, the image's number and n: batches
    and processes may cut up the numbers as they like. Images of one number have the same noise.
    """

    def __init__(
        self,
        seed: int,
        numbers: Sequence[int],
        shape: tuple[int, int, int],
        use: Use = Use.REVERSE,
    ) -> None:
        self.shape = shape
        self._generators = [np.random.default_rng([seed, int(use), n]) for n in numbers]

    def __call__(self) -> Float64:
        return np.stack([generator.standard_normal(self.shape) for generator in self._generators])
