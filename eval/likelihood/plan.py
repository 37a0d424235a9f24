"""What a bound is measured of: noise levels, variance, the timesteps and the noise of each image.

The noise of an image at a timestep depends on the seed, the image and the timestep alone (in
the numbering of the full chain, so a subset of the steps sees the same x_t).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64, Int64, Pixels
from diffcodec.errors import OptionError
from diffcodec.theory.elbo import GaussianDiffusion, Variance
from diffcodec.theory.schedule import Schedule

# With a stride, every image still meets t = 1..10: half of all bits, and most of the variance
# between images, lie in these terms.
DENSE = 10


@dataclass(frozen=True)
class Settings:
    """What the terms of an image depend on besides network and pixels.

    chain: a schedule's name, with so many of the T = 1000 `steps`; sigma2: the variance of p_theta.
    stride m > 1: each image meets t = 1..10 and every m-th of the other steps; which ones rotates
    from image to image in random order, so that every term is still the mean of an unbiased
    sample of the images and the cost falls m-fold. levels: noise variances, increasing,
    that make another chain of so many steps; errors: what GaussianDiffusion expects at each step.
    """

    chain: str = "linear"
    steps: int = 1000
    sigma2: Variance = "beta"
    stride: int = 1
    seed: int = 0
    levels: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()

    @property
    def schedule(self) -> Schedule:
        """Raises ValueError for a chain that does not exist."""
        if self.levels:
            return Schedule.of_noise(self.chain, self.levels)
        return Schedule.named(self.chain).respaced(self.steps)

    @property
    def diffusion(self) -> GaussianDiffusion:
        """q and p_theta."""
        errors = np.array(self.errors) if self.errors else None
        return GaussianDiffusion(self.schedule, self.sigma2, error=errors)

    def offsets(self, N: int) -> Int64:
        """Which steps each of N images meets with a stride, (N,) in 0 .. stride - 1.

        Raises OptionError for a stride above N: some steps would be met by no image.
        """
        if self.stride > N:
            raise OptionError(f"the stride must lie between 1 and the number of images, {N}")
        return np.asarray(np.random.default_rng(self.seed).permutation(N) % self.stride)


@dataclass(frozen=True, eq=False)
class PlannedImage:
    """(H, W, C) uint8 pixels and the timesteps they meet; key: of all that its terms depend on."""

    name: str
    pixels: Pixels
    t: Int64
    key: str


def plan(T: int, stride: int, offset: Int64) -> Int64:
    """(K, N) timesteps, row by row, 0 for none: 1..DENSE for all, then every stride-th of the rest
    with each image's `offset` (N,) in 0..stride - 1."""
    dense = np.arange(1, min(T, DENSE) + 1)
    sparse = np.arange(DENSE + 1, T + 1, stride)
    rows = np.concatenate([dense[:, None] + 0 * offset, sparse[:, None] + offset])
    rows[rows > T] = 0
    return np.asarray(rows[rows.any(axis=1)][::-1], dtype=np.int64)


def images_of(
    named: Sequence[tuple[str, Pixels]], settings: Settings, fingerprint: str
) -> list[PlannedImage]:
    """Names and pixels with the work that each needs."""
    T, own = settings.schedule.T, [settings.levels, settings.errors]
    plans = plan(T, settings.stride, settings.offsets(len(named)))  # (K, N)
    images = []
    for (name, pixels), column in zip(named, plans.T, strict=True):
        t = column[column > 0]
        about = [fingerprint, settings.chain, T, settings.sigma2, settings.seed, t.tolist()]
        about += own if any(own) else []
        key = hashlib.sha256(_digest(pixels) + json.dumps(about).encode()).hexdigest()
        images.append(PlannedImage(name, pixels, t, key))
    return images


def _digest(pixels: Pixels) -> bytes:
    shape = json.dumps(pixels.shape).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).digest()


def noise(pixels: Pixels, timestep: int, seed: int) -> Float64:
    """N(0, 1) for one image at one timestep of the full chain: (C, H, W) float64."""
    height, width, channels = pixels.shape
    words = np.frombuffer(_digest(pixels), "<u4").tolist()
    return np.random.default_rng([seed, timestep, *words]).standard_normal(
        (channels, height, width)
    )
