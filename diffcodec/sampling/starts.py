"""Where walks begin: noise, latents, an image on its way to noise, a mixture of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.sampling.method import Method
from diffcodec.sampling.mixing import Mix
from diffcodec.sampling.noise import ImageNoise, Use
from diffcodec.sampling.walk import Walk, prior, q_sample
from diffcodec.theory.denoiser import BatchDenoiser

WalkOf = Callable[[Sequence[int]], Walk]  # of the images with these numbers


def new(denoiser: BatchDenoiser, method: Method, shape: tuple[int, int, int], seed: int) -> WalkOf:
    """Images from x_T ~ N(0, I), each with noise of its own; shape: (C, H, W)."""

    def walk(numbers: Sequence[int]) -> Walk:
        noise, v_T = ImageNoise(seed, numbers, shape), method.levels[0]
        return method.walk(denoiser, prior(v_T, noise), noise, v_T)

    return walk


def from_latents(
    denoiser: BatchDenoiser, method: Method, y: Float64, v: float, seed: int
) -> WalkOf:
    """Images from states y, (N, C, H, W), of noise v; numbers: of these."""

    def walk(numbers: Sequence[int]) -> Walk:
        noise = ImageNoise(seed, numbers, y.shape[1:])
        return method.walk(denoiser, y[list(numbers)], noise, v)

    return walk


def from_one(denoiser: BatchDenoiser, method: Method, y: Float64, v: float, seed: int) -> WalkOf:
    """Many images from one state y, (C, H, W), of noise v: what they share is what x_t holds
    (DDPM, section 4.3, Figure 7)."""

    def walk(numbers: Sequence[int]) -> Walk:
        noise = ImageNoise(seed, numbers, y.shape)
        return method.walk(denoiser, np.repeat(y[None], len(numbers), axis=0), noise, v)

    return walk


def on_the_way(x_0: Float64, v: float, seed: int) -> Float64:
    """y_t of images, (N, C, H, W), all with the same noise."""
    return q_sample(x_0, v, ImageNoise(seed, [0] * len(x_0), x_0.shape[1:], Use.FORWARD))


def between(
    denoiser: BatchDenoiser,
    method: Method,
    ends: Float64,
    v: float,
    shares: Sequence[float],
    mix: Mix,
    seed: int,
) -> WalkOf:
    """From two states, (2, C, H, W), of noise v, to mixtures of them, by the number of the share
    (DDPM, section 4.4). All have the same noise, in the steps too, so that only the share differs.
    """
    a, b = ends
    y = np.stack([mix(a, b, share) for share in shares])

    def walk(numbers: Sequence[int]) -> Walk:
        noise = ImageNoise(seed, [0] * len(numbers), y.shape[1:])
        return method.walk(denoiser, y[list(numbers)], noise, v)

    return walk
