"""The codec's tables of a trained network: D(v), the prior, and the chains of noise levels.

Measured once on training images, stored with the network, part of its fingerprint.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from diffcodec.bitstream.pixels import GRID, best_sigma, ideal_bits
from diffcodec.bitstream.types import Float32, Float64, Pixels, Progress
from diffcodec.network.grey import as_known
from diffcodec.theory.chain import CHAIN_LENGTHS, Tables
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.levels import choose
from diffcodec.theory.units import GREY, to_unit

LEVELS_GREY = np.geomspace(0.4, 1000.0, 36)  # noise levels at which D is measured
PIXELS_BELOW = 4.0  # grey levels: where switching to the residual is considered


def measure_tables(
    denoiser: BatchDenoiser,
    images: Sequence[Pixels],
    seed: int = 0,
    progress: Progress | None = None,
) -> Tables:
    """The tables of a network, measured on images, (H, W, C) uint8 of one size.

    seed: of the noise. progress(noise levels done, of).
    """
    x0 = np.stack([to_unit(image) for image in images])
    tables, pixel_bpd = survey(denoiser, x0, seed, progress)
    return dataclasses.replace(tables, chains=optimise(tables, pixel_bpd))


def survey(
    denoiser: BatchDenoiser,
    x0: Float32,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Tables, Float64]:
    """Tables without chains, and what the residual costs at tables.v: bits/dim, inf: too much.

    x0: (N, C, H, W) in [-1, 1], grey for a network of grey images; progress(noise levels done, of).
    """
    x0 = as_known(getattr(denoiser, "channels", (1, 3)), x0)
    rng = np.random.default_rng(seed)
    mean = x0.mean(axis=(0, 2, 3), dtype=np.float64)
    prior = float(np.mean((x0 - mean[:, None, None]) ** 2))
    v = (LEVELS_GREY / GREY) ** 2
    mse, pixel_bpd = np.empty(v.size), np.full(v.size, np.inf)
    for i, level in enumerate(v):
        x0_hat = _denoise(denoiser, x0, level, rng)
        mse[i] = np.mean((x0 - x0_hat) ** 2)
        if LEVELS_GREY[i] <= PIXELS_BELOW:
            pixel_bpd[i] = _pixel_bpd(x0, x0_hat)
        if progress:
            progress(i + 1, v.size)
    # Smooth away sampling noise that would make D fall as the noise grows.
    mse = np.minimum(np.maximum.accumulate(mse), prior)
    red, green, blue = (float(m) for m in np.broadcast_to(mean, 3))
    return Tables((red, green, blue), prior, v, mse, {}), pixel_bpd


def _denoise(denoiser: BatchDenoiser, x0: Float32, v: float, rng: np.random.Generator) -> Float32:
    out = np.empty_like(x0)
    for i in range(0, len(x0), 16):
        part = x0[i : i + 16]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        out[i : i + 16] = denoiser.batch(part + np.float32(math.sqrt(v)) * noise, v)
    return np.clip(out, -1, 1)


def _pixel_bpd(x0: Float32, x0_hat: Float32) -> float:
    """Bits/dim of the residual given x0_hat, one sigma an image."""
    bits = 0.0
    for truth, guess in zip(x0, x0_hat, strict=True):
        pixels = np.rint((truth.reshape(-1) + 1) * GREY).astype(np.uint8)
        means = np.rint((guess.reshape(-1).astype(np.float64) + 1) * (GREY * GRID))
        index = best_sigma(pixels, means.astype(np.int32))
        bits += ideal_bits(pixels, means.astype(np.int32), index)
    return bits / x0.size


def optimise(
    tables: Tables, pixel_bpd: Float64, lengths: Iterable[int] = CHAIN_LENGTHS
) -> dict[str, tuple[float, ...]]:
    """The best chains as tables name them; pixel_bpd: as `survey` finds it."""
    return {str(k): choice.v for k, choice in choose(tables, pixel_bpd, lengths).items()}
