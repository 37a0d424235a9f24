"""What sender and receiver of bits-back coding share: the chain's Gaussians on their grids.

Means and bins follow from x0_hat by single IEEE operations in double precision, so they are the
same wherever x0_hat is.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from diffcodec.accounting.trace import Clock
from diffcodec.archive.adaptive_pixels import AdaptivePixels
from diffcodec.archive.pixels import PixelCoder
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.decimals import rounded_log2
from diffcodec.bitstream.gaussian import PHASES
from diffcodec.bitstream.latents import Grid
from diffcodec.bitstream.pixels import SIGMAS
from diffcodec.bitstream.sample_format import archived
from diffcodec.bitstream.tiles import Shape
from diffcodec.bitstream.types import Float32, Float64, Int64
from diffcodec.theory.chain import Chain
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.gaussian import posterior_variance, step_ratio

BINS = 4  # bins in a standard deviation: finer costs initial bits, coarser costs net bits


class Model:
    """What sender and receiver share: the chain's Gaussians on their grids, and the denoiser.

    shape: (C, H, W) of every image of a batch. Level t = 1 .. K is entry t - 1 of the lists.
    bins and phases: the precision, in bins a standard deviation and means a bin. level: of the
    adaptive coder, which codes x_0; None for the discretized Gaussian.
    """

    def __init__(
        self,
        denoiser: BatchDenoiser,
        chain: Chain,
        shape: tuple[int, int, int],
        clock: Clock | None = None,
        bins: int = BINS,
        phases: int = PHASES,
        level: int | None = None,
    ) -> None:
        self.denoiser, self.shape, self.clock = denoiser, shape, clock or Clock()
        self.format = archived(shape[0])
        self.v = chain.v[::-1]
        self.levels = len(self.v)
        self.prior_mean = np.array(chain.tables.mean(shape[0]))[:, None, None]
        q = [self.v[0], *(b - a for a, b in pairwise(self.v))]  # variances
        p = [_widened(s, t, chain.tables.error(t)) for s, t in pairwise(self.v)]
        p.append(self.v[-1] + chain.tables.prior_variance)
        self.grids = [Grid(*pair, bins, phases) for pair in zip(q, p, strict=True)]
        grey = self.format.half * math.sqrt(chain.tables.error(self.v[0]))
        usual_index = min(max(rounded_log2(grey, 8) + 40, 0), SIGMAS - 1)
        self.pixels: PixelCoder | AdaptivePixels = PixelCoder(self.format, usual_index)
        if level is not None:
            sigma, usual = self.format.half * math.sqrt(self.v[0]), self.pixels.usual_bits
            self.pixels = AdaptivePixels(self.format, level, sigma, usual)

    @property
    def initial_bits(self) -> int:
        """What must be on the stack for each image: about y_1 and y_2, less the pixels.

        An estimate; where it is too low, popping raises StackEmpty.
        """
        level = most = self.grids[0].q.bits
        level -= self.pixels.usual_bits
        for here, above in pairwise(self.grids):
            level += above.q.bits
            most = max(most, level)
            level -= here.p.bits
        return math.ceil(math.prod(self.shape) * (1.03 * most + 0.1))

    def forward(self, t: int, below: Float64 | Int64) -> Int64:
        """Means of q(y_t | y_{t-1}), from bins of y_{t-1}, or from x0 for t = 1."""
        width = self.grids[t - 2].width if t > 1 else 1.0
        return self.grids[t - 1].mean(np.asarray(below * width, np.float64))

    def backward(self, t: int, above: Int64, x0_hat: Float64) -> Int64:
        """Means of p(y_t | y_{t+1}), r y_{t+1} + (1 - r) x0_hat, from bins of y_{t+1}."""
        r = step_ratio(self.v[t - 1], self.v[t])
        return self.grids[t - 1].mean(r * (above * self.grids[t].width) + (1 - r) * x0_hat)

    def prior(self, n: int) -> Int64:
        """Means of p(y_K), before anything is known."""
        means = self.grids[-1].mean(np.broadcast_to(self.prior_mean, self.shape))
        return np.repeat(means[None], n, axis=0)

    def state(self, t: int, k: Int64) -> Float32:
        """y_t of its bins."""
        return (k * self.grids[t - 1].width).astype(np.float32)

    def estimate(self, t: int, k: Int64) -> Float64:
        """x0_hat of bins of y_t, in [-1, 1]."""
        y = self.state(t, k)
        with self.clock.measure("network"):
            x0_hat = self.denoiser.batch(y, self.v[t - 1])
        return np.clip(x0_hat, -1, 1).astype(np.float64)


def tile_model(
    denoiser: BatchDenoiser, header: ArchiveHeader, chain: Chain, shape: Shape, clock: Clock
) -> Model:
    """Of an archive's tiles (H, W, C), with this chain."""
    height, width, channels = shape
    level = None if header.end is None else header.end.level
    return Model(denoiser, chain, (channels, height, width), clock, header.bins, level=level)


def _widened(v_s: float, v_t: float, error: float) -> float:
    """Variance of p(y_s | y_t): wider than q's posterior by the error of x0_hat."""
    new = 1 - step_ratio(v_s, v_t)
    return posterior_variance(v_s, v_t) + new * new * error  # `**` would be the libm's pow
