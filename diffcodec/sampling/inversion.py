"""Latents of images and what DDIM makes of them again (section 4.3, table 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64, Progress
from diffcodec.sampling.ddim import ddim, invert
from diffcodec.sampling.walk import counted, last
from diffcodec.theory.denoiser import BatchDenoiser


@dataclass(frozen=True, eq=False)
class ThereAndBack:
    """y: the latents, states of N images at v, (N, C, H, W); mse: (N,), between each image and
    what comes back, per dimension, of pixels in [0, 1]."""

    y: Float64
    v: float
    mse: Float64


def there_and_back(
    denoiser: BatchDenoiser,
    x_0: Float64,
    levels: Sequence[float],
    batch: int,
    progress: Progress | None = None,
) -> ThereAndBack:
    """Invert images, (N, C, H, W) in [-1, 1], and draw them from their latents, `batch` at a time.

    progress(states visited, of how many), over all images.
    """
    y, mse = np.empty_like(x_0), np.empty(len(x_0))
    total = 2 * len(levels) * len(x_0)
    for start in range(0, len(x_0), batch):
        x = x_0[start : start + batch]
        n, done = len(x), 2 * len(levels) * start
        *_, end = counted(invert(denoiser, x, levels), progress, total, done, n)
        walk = ddim(denoiser, end.y, levels)
        back = last(counted(walk, progress, total, done + len(levels) * n, n))
        y[start : start + n] = end.y
        mse[start : start + n] = np.mean((back - x) ** 2, axis=(1, 2, 3)) / 4  # [-1, 1] is 2 wide
    return ThereAndBack(y, end.v, mse)
