"""DDIM (Song, Meng and Ermon 2021): sampling with any amount of noise, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from diffcodec.bitstream.types import Float64
from diffcodec.errors import OptionError
from diffcodec.sampling.walk import Guide, Noise, Visited, Walk, visit
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.gaussian import posterior_variance


def ddim(
    denoiser: BatchDenoiser,
    y: Float64,
    levels: Sequence[float],
    eta: float = 0.0,
    noise: Noise | None = None,
    guide: Guide | None = None,
) -> Walk:
    """Eq. 12: x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps + sigma z.

    y: (N, C, H, W) at levels[0]. sigma: see `sigma2_of`; eta = 0 is the deterministic map of the
    probability flow, and takes no noise; eta = 1 is DDPM's with beta_tilde. guide: as in ADM's
    Algorithm 2. Raises OptionError for an eta that there is not.
    """
    for v_t, v_s in pairwise(levels):
        sigma2 = sigma2_of(eta, v_s, v_t)
        at = visit(denoiser, y, v_t, guide)
        yield at
        eps = (y - at.x0_hat) / math.sqrt(v_t)
        y = at.x0_hat + math.sqrt(v_s - sigma2) * eps
        if sigma2 > 0:
            assert noise is not None
            y += math.sqrt(sigma2) * noise()
    yield visit(denoiser, y, levels[-1], guide)


def sigma2_of(eta: float, v_s: float, v_t: float) -> float:
    """sigma^2 / alpha_bar_s of eq. 16: eta^2 times q's posterior variance, beta_tilde."""
    if not 0 <= eta < math.inf:
        raise OptionError(f"eta is {eta:g}: it must be a number from 0 on, and finite")
    sigma2 = eta**2 * posterior_variance(v_s, v_t)
    if sigma2 > v_s * (1 + 1e-12):
        most = math.sqrt(v_s / posterior_variance(v_s, v_t))
        raise OptionError(
            f"eta is {eta:g}, and a step would add more noise than its state has: take at most "
            f"{math.floor(100 * most) / 100:g}, or more steps"
        )
    return min(sigma2, v_s)


def invert(denoiser: BatchDenoiser, x_0: Float64, levels: Sequence[float]) -> Walk:
    """Eq. 12 with eta = 0 backwards, from images to the noise that `ddim` makes them of (sec. 4.3).

    x_0: (N, C, H, W). sqrt(v) grows from level to level by Euler's method (eq. 14); y of the last
    state is y_T. The first step, from v = 0, takes eps at the smallest level.
    """
    y, v = x_0, 0.0
    for v_t in reversed(levels):
        at = visit(denoiser, y, v or v_t)
        eps = (y - at.x0_hat) / math.sqrt(at.v)
        y = y + (math.sqrt(v_t) - math.sqrt(v)) * eps
        v = v_t
        yield Visited(y, v, at.x0_hat)
