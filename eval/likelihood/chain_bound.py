"""The variational bound of a chain of few levels, on latents that know no grid.

What bits-back coding should cost: for every tile

    KL(q(y_K | x_0) || p(y_K)) + sum_t KL(q(y_t | y_t+1, x_0) || p(y_t | y_t+1)) - log2 p(x_0 | y_1)

(Ho et al. 2020, eq. 5) with the p in use, its variance widened by the network's expected error, and
one fresh draw of y_t ~ q(y_t | x_0) for every t: nothing of the coder is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np

from diffcodec.archive.meter import kl_bits
from diffcodec.archive.model import Model
from diffcodec.archive.pixels import pixel_bits
from diffcodec.bitstream.types import Float64, Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.eval.common.processes import spread
from diffcodec.theory.chain import choose_chain
from diffcodec.theory.gaussian import posterior_variance, step_ratio
from diffcodec.theory.units import to_x0

Batch = tuple[int, Pixels]  # the number of the first tile; tiles (N, H, W, C) of one shape

BATCH = 128 * 128  # pixels that a network is given at a time


def bounds(
    model: str, chain: str, tiles: Sequence[Pixels], processes: int, progress: Progress | None
) -> Float64:
    """Bits of every tile, (H, W, C) uint8 each; neighbours of one shape run as a batch."""
    batches = list(_batches(tiles))
    bits = np.full(len(tiles), np.nan)
    for i, part in spread(partial(_measurer, model, chain), batches, processes):
        bits[batches[i][0] :][: len(part)] = part
        if progress is not None:
            progress(int(np.isfinite(bits).sum()), len(bits))
    return bits


def _measurer(model: str, chain: str) -> Callable[[Batch], Float64]:
    """With a network of its own: what a process starts with."""
    return partial(_batch_bounds, Codec.from_pretrained(model, 1), chain)


def _batches(tiles: Sequence[Pixels]) -> Iterator[Batch]:
    at = 0
    for shape, run in groupby(tiles, key=lambda tile: tile.shape):
        alike, size = list(run), max(1, BATCH // (shape[0] * shape[1]))
        for start in range(0, len(alike), size):
            yield at + start, np.stack(alike[start : start + size])
        at += len(alike)


def _batch_bounds(codec: Codec, chain: str, batch: Batch) -> Float64:
    """Bits of each tile of a batch."""
    first, pixels = batch
    n, height, width, channels = pixels.shape
    model = Model(
        codec.denoiser,  # type: ignore[arg-type]
        choose_chain(chain, codec.tables),
        (channels, height, width),
    )
    x0 = to_x0(pixels)
    rng = np.random.default_rng([first, n])
    size, v = x0[0].size, model.v
    far = _squares(x0 - model.prior_mean)
    bits = kl_bits(size, v[-1], model.grids[-1].p_variance, far)
    for t in range(model.levels, 0, -1):
        y = x0 + np.sqrt(v[t - 1]) * rng.standard_normal(x0.shape)
        x0_hat = np.clip(codec.denoiser.batch(y.astype(np.float32), v[t - 1]), -1, 1)  # type: ignore[attr-defined]
        x0_hat = x0_hat.astype(np.float64)
        if t == 1:
            return bits + pixel_bits(pixels, x0_hat)
        s, u = v[t - 2], v[t - 1]
        square = (1 - step_ratio(s, u)) ** 2 * _squares(x0 - x0_hat)
        bits = bits + kl_bits(size, posterior_variance(s, u), model.grids[t - 2].p_variance, square)
    raise AssertionError("a chain has at least one level")


def _squares(x: Float64) -> Float64:
    return np.asarray(np.square(x).sum(axis=(1, 2, 3)))
