"""The variational bound of tiles, on latents that know no grid: what bits-back coding should cost.

    KL(q(y_K | x_0) || p(y_K)) + sum_t KL(q(y_t | y_t+1, x_0) || p(y_t | y_t+1)) - log2 p(x_0 | y_1)

(Ho et al. 2020, eq. 5) with the p in use, its variance widened by the network's expected error, and
one fresh draw of y_t ~ q(y_t | x_0) for every t: nothing of the coder is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from diffcodec.archive.meter import kl_bits
from diffcodec.archive.model import Model
from diffcodec.bitstream.types import Float32, Float64, Pixels
from diffcodec.theory.chain import Tables
from diffcodec.theory.gaussian import posterior_variance, step_ratio
from diffcodec.theory.units import to_x0

BATCH = 128 * 128  # pixels that a network is given at a time

Noise = Callable[[tuple[int, ...]], Float64]  # standard normal values of a shape


def bound(model: Model, pixels: Pixels, noise: Noise) -> Float64:
    """Bits of each tile of a batch (N, H, W, C)."""
    x0 = to_x0(pixels)
    size, v = x0[0].size, model.v
    far = _squares(x0 - model.prior_mean)
    bits = kl_bits(size, v[-1], model.grids[-1].p_variance, far)
    for t in range(model.levels, 1, -1):
        _, x0_hat = _estimate(model, t, x0, noise)
        s, u = v[t - 2], v[t - 1]
        square = (1 - step_ratio(s, u)) ** 2 * _squares(x0 - x0_hat)
        bits = bits + kl_bits(size, posterior_variance(s, u), model.grids[t - 2].p_variance, square)
    return bits + model.pixels.bits(pixels, *_estimate(model, 1, x0, noise))


def usual_bound(model: Model, tables: Tables) -> float:
    """The same of a sub-pixel of an ordinary image, one whose errors are as in the tables."""
    v = model.v
    bits = kl_bits(1, v[-1], model.grids[-1].p_variance, tables.prior_variance)
    for t in range(model.levels, 1, -1):
        s, u = v[t - 2], v[t - 1]
        square = (1 - step_ratio(s, u)) ** 2 * tables.error(u)
        bits += kl_bits(1, posterior_variance(s, u), model.grids[t - 2].p_variance, square)
    return bits + model.pixels.usual_bits


def batches(tiles: Sequence[Pixels]) -> Iterator[tuple[int, Pixels]]:
    """Neighbours of one shape, stacked, as many as a network is given at a time; first the number
    of the first one."""
    at = 0
    for shape, run in groupby(tiles, key=lambda tile: tile.shape):
        alike, size = list(run), max(1, BATCH // (shape[0] * shape[1]))
        for start in range(0, len(alike), size):
            yield at + start, np.stack(alike[start : start + size])
        at += len(alike)


def _estimate(model: Model, t: int, x0: Float64, noise: Noise) -> tuple[Float32, Float64]:
    """A draw of y_t, and its x0_hat."""
    y = (x0 + np.sqrt(model.v[t - 1]) * noise(x0.shape)).astype(np.float32)
    with model.clock.measure("network"):
        x0_hat = model.denoiser.batch(y, model.v[t - 1])
    return y, np.clip(x0_hat, -1, 1).astype(np.float64)


def _squares(x: Float64) -> Float64:
    return np.asarray(np.square(x).sum(axis=(1, 2, 3)))
