"""The Gaussian algebra of q and p_theta in x0 units, which the codec works in.

`y_t = x_t / sqrt(alpha_bar_t) = x0 + n`, `n ~ N(0, v_t)`, `v_t = (1 - alpha_bar_t) / alpha_bar_t`.
A step from t to s < t is "see x0 once more through Gaussian noise of precision 1/v_s - 1/v_t".
`v_t = inf` is the state before anything is known: `y_t` then carries no weight and may be any
finite array, zeros for instance.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcodec.bitstream.types import Float32, Float64

AnyFloat = TypeVar("AnyFloat", Float32, Float64)

LN2 = float(np.log(2))


def noise_variance(alpha_bar: ArrayLike) -> Float64:
    """v = (1 - alpha_bar) / alpha_bar: noise variance of y_t in x0 units; inf at alpha_bar = 0."""
    alpha_bar = np.asarray(alpha_bar, dtype=np.float64)
    assert ((alpha_bar >= 0) & (alpha_bar <= 1)).all()
    with np.errstate(divide="ignore"):
        return np.asarray((1 - alpha_bar) / alpha_bar)


def step_ratio(v_s: float, v_t: float) -> float:
    """r = v_s / v_t: how much of the old state a step keeps; 0 from v_t = inf."""
    assert 0 <= v_s < v_t
    return v_s / v_t


def step_precision(v_s: float, v_t: float) -> float:
    """1/v_s - 1/v_t: the precision of the new look at x0, the step's gain in SNR."""
    assert 0 < v_s < v_t
    return 1 / v_s - 1 / v_t


def posterior_mean(
    y_t: NDArray[np.floating], x0: NDArray[np.floating], v_s: float, v_t: float
) -> Float64:
    """Mean of q(y_s | y_t, x0) = N(r y_t + (1 - r) x0, v_s (1 - r)); of p_theta with x0_hat."""
    assert y_t.shape == x0.shape
    r = step_ratio(v_s, v_t)
    return r * y_t.astype(np.float64) + (1 - r) * x0.astype(np.float64)


def posterior_variance(v_s: float, v_t: float) -> float:
    """Variance of q(y_s | y_t, x0), v_s (1 - r)."""
    return v_s * (1 - step_ratio(v_s, v_t))


def shift(error: AnyFloat, v_s: float, v_t: float, out: AnyFloat | None = None) -> AnyFloat:
    """mu = (x0 - x0_hat) sqrt(1/v_s - 1/v_t): the mean of q seen from p_theta, in units of the
    step's standard deviation. What the encoder knows and the decoder does not.

    error: x0 - x0_hat, an array of floats, whose type mu gets; out: where mu goes, for instance
    into `error` itself.
    """
    factor = error.dtype.type(math.sqrt(step_precision(v_s, v_t)))
    return np.multiply(error, factor, out=out)


def kl_bits(mu: Float64) -> float:
    """KL of one step over all dimensions of `mu`, in bits: |mu|^2 / (2 ln 2), equal variances."""
    return float(np.sum(np.square(mu))) / (2 * LN2)


def mi_bpd(sigma2: ArrayLike) -> Float64:
    """Bits/dim of a step whose p_theta is widened to carry a shift of variance sigma2.

    1/2 log2(1 + sigma2): mutual information of N(0, sigma2) through noise of variance 1.
    """
    return np.asarray(0.5 * np.log1p(np.asarray(sigma2, dtype=np.float64)) / LN2)
