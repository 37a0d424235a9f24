"""The codec's tables of a trained network: D(v), the prior, and the chains of noise levels.

Measured once on training pictures, stored with the weights, part of the network's fingerprint.
A chain of K steps minimises  sum_k 1/2 log2(1 + dSNR_k D(v_k)),  exactly, by dynamic programming
over a fine grid of noise levels; it ends where its bits and those of the exact pixels together are
fewest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.pixels import GRID, best_sigma, ideal_bits
from diffcodec.chain import CHAIN_LENGTHS, Tables
from diffcodec.checkpoint import Checkpoint
from diffcodec.denoiser import BatchDenoiser
from diffcodec.image import to_unit
from diffcodec.network import NetworkDenoiser

Float64 = NDArray[np.float64]

LEVELS_GREY = np.geomspace(0.8, 1000.0, 32)  # noise levels at which D is measured
PIXELS_BELOW = 4.0  # grey levels: where handing over to the exact pixels is considered
GRID_LEVELS = 320  # of the dynamic programme
CODER_LOSS = 1.08  # the trellis spends this times the ideal


def calibrate(
    checkpoint: Checkpoint,
    images: list[NDArray[np.uint8]],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Checkpoint:
    """The checkpoint with tables measured on `images`, each (H, W, 3) uint8, all of one size."""
    x0 = np.stack([to_unit(image) for image in images])
    tables = measure(NetworkDenoiser(checkpoint), x0, seed, progress)
    return dataclasses.replace(checkpoint, tables=plain(tables))


def plain(tables: Tables) -> dict[str, Any]:
    """Tables as a network's file keeps them: plain JSON types, rounded to what is significant."""
    return {
        "prior_mean": [round(m, 6) for m in tables.prior_mean],
        "prior_variance": round(tables.prior_variance, 8),
        "v": [float(f"{v:.9g}") for v in tables.v],
        "mse": [float(f"{d:.9g}") for d in tables.mse],
        "chains": {k: [float(f"{v:.9g}") for v in c] for k, c in tables.chains.items()},
    }


def measure(
    denoiser: BatchDenoiser,
    x0: NDArray[np.float32],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Tables:
    """Tables from pictures (N, C, H, W) in [-1, 1]; progress(levels done, levels)."""
    rng = np.random.default_rng(seed)
    mean = x0.mean(axis=(0, 2, 3), dtype=np.float64)
    prior = float(np.mean((x0 - mean[:, None, None]) ** 2))
    v = (LEVELS_GREY / 127.5) ** 2
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
    tables = Tables((red, green, blue), prior, v, mse, {})
    return dataclasses.replace(tables, chains=optimise(tables, pixel_bpd))


def _denoise(
    denoiser: BatchDenoiser, x0: NDArray[np.float32], v: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    out = np.empty_like(x0)
    for i in range(0, len(x0), 16):
        part = x0[i : i + 16]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        out[i : i + 16] = denoiser.batch(part + np.float32(math.sqrt(v)) * noise, v)
    return np.clip(out, -1, 1)


def _pixel_bpd(x0: NDArray[np.float32], x0_hat: NDArray[np.float32]) -> float:
    """Bits/dim of the exact pixels given x0_hat, one sigma a picture."""
    bits = 0.0
    for truth, guess in zip(x0, x0_hat, strict=True):
        pixels = np.rint((truth.reshape(-1) + 1) * 127.5).astype(np.uint8)
        means = np.rint((guess.reshape(-1).astype(np.float64) + 1) * (127.5 * GRID))
        index = best_sigma(pixels, means.astype(np.int32))
        bits += ideal_bits(pixels, means.astype(np.int32), index)
    return bits / x0.size


def optimise(tables: Tables, pixel_bpd: Float64) -> dict[str, tuple[float, ...]]:
    """Chains of CHAIN_LENGTHS steps; pixel_bpd: cost of exact pixels at tables.v, inf: never."""
    v = np.geomspace(tables.v[-1], tables.v[0], GRID_LEVELS)  # decreasing
    error = np.array([tables.error(level) for level in v])
    gain = 1 / v[None, :] - 1 / v[:, None]  # from row to column
    mi = 0.5 * np.log2(1 + np.maximum(gain, 0) * error[:, None])
    mi[gain <= 0] = np.inf
    finite = np.isfinite(pixel_bpd)
    log_v = np.log(tables.v[finite])
    last = np.interp(np.log(v), log_v, pixel_bpd[finite], right=np.inf)
    cost = 0.5 * np.log2(1 + tables.prior_variance / v)  # of one step from nothing
    chains, came = {}, [np.zeros(v.size, np.int64)]
    for k in range(2, max(CHAIN_LENGTHS) + 1):
        through = cost[:, None] + mi
        came.append(through.argmin(axis=0))
        cost = through.min(axis=0)
        if k in CHAIN_LENGTHS:
            node = int(np.argmin(CODER_LOSS * cost + last))
            path = [node]
            for choice in reversed(came[1:]):
                path.append(int(choice[path[-1]]))
            chains[str(k)] = tuple(float(v[i]) for i in reversed(path))
    return chains
