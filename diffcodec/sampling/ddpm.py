"""DDPM (Ho, Jain and Abbeel 2020), Algorithm 2: ancestral sampling from p_theta(x_s | x_t)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.errors import OptionError
from diffcodec.sampling.walk import Guide, Noise, Visited, Walk, visit
from diffcodec.theory.denoiser import BatchDenoiser, VarianceDenoiser
from diffcodec.theory.elbo import MOST, Variance
from diffcodec.theory.gaussian import posterior_mean, posterior_variance, step_ratio

Error = Callable[[float], float]  # D(v): the squared error of x0_hat that is expected at v


def ddpm(
    denoiser: BatchDenoiser,
    y: Float64,
    levels: Sequence[float],
    noise: Noise,
    sigma2: Variance = "beta_tilde",
    error: Error | None = None,
    guide: Guide | None = None,
) -> Walk:
    """x_s = mu_theta(x_t) + sigma_t z from level to level; z = 0 in the last step, to x_0.

    y: (N, C, H, W) at levels[0]. mu_theta is eq. 11, q's mean (eq. 7) with x0_hat for x_0;
    sigma_t^2 see `p_variance`. guide: moves the mean by sigma_t^2 grad log p, in all steps but the
    last (ADM, Algorithm 1). Raises OptionError for a variance that there is not.
    """
    for v_t, v_s in pairwise(levels):
        at, share = _visit(denoiser, y, v_t, sigma2)
        yield at
        mean = posterior_mean(y, at.x0_hat, v_s, v_t)
        variance = p_variance(sigma2, v_s, v_t, share, error)
        if guide is not None:  # its gradient is in y_t, and variance in y_s
            mean += variance * np.sqrt((1 + v_t) / (1 + v_s)) * guide(y, v_t)
        y = np.asarray(mean + np.sqrt(variance) * noise())
    yield visit(denoiser, y, levels[-1])


def p_variance(
    sigma2: Variance,
    v_s: float,
    v_t: float,
    share: Float32 | None = None,
    error: Error | None = None,
) -> Float64:
    """sigma_t^2 / alpha_bar_s, the variance of y_s under p_theta.

    "beta" and "beta_tilde" are DDPM's (section 3.2), for levels that are s and t of its chain;
    "learned" lies between them, where the network says, share (N, C, H, W) (improved DDPM, eq. 15);
    "widened" is beta_tilde and what the error of x0_hat adds.
    """
    beta_tilde = posterior_variance(v_s, v_t)
    if sigma2 == "beta_tilde":
        return np.asarray(beta_tilde)
    if sigma2 == "widened":
        if error is None:
            raise OptionError('sigma2 "widened" needs the error that is expected at each level')
        return np.asarray(beta_tilde + (1 - step_ratio(v_s, v_t)) ** 2 * error(v_t))
    beta = (1 + v_s) / (1 + v_t) * (v_t - v_s)  # beta_t = 1 - alpha_bar_t / alpha_bar_s
    if share is None:
        return np.asarray(beta)
    log_variance = share * np.log(beta) + (1 - share.astype(np.float64)) * np.log(beta_tilde)
    return np.asarray(np.exp(np.clip(log_variance, -MOST, MOST)))


def _visit(
    denoiser: BatchDenoiser, y: Float64, v: float, sigma2: Variance
) -> tuple[Visited, Float32 | None]:
    """With where a learned variance lies, if it is asked for."""
    if sigma2 != "learned":
        return visit(denoiser, y, v), None
    if not isinstance(denoiser, VarianceDenoiser):
        raise OptionError("the network has no learned variance: choose beta or beta_tilde")
    x0_hat, share = denoiser.with_variance(y.astype(np.float32), v)
    return Visited(y, v, x0_hat.astype(np.float64)), share
