"""The bound as DDPM's eq. 16 sorts it, and the autoregressive model that it is under masks."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.theory.denoiser import GaussianDenoiser
from diffcodec.theory.elbo import GaussianDiffusion, normal_kl
from diffcodec.theory.gaussian import LN2
from diffcodec.theory.schedule import Schedule

SPREAD = 0.3  # variance of x_0
SOURCE = GaussianDenoiser(0.0, SPREAD)
SCHEDULE = Schedule.named("linear").respaced(20)


class Usual:
    """Errs by as much as the best denoiser does on average: a bound linear in the squared error is
    then its mean over x_0 and x_t."""

    def __init__(self, x0: Float64) -> None:
        self.x0 = x0

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        error = np.sqrt([SOURCE.mse(level) for level in np.broadcast_to(v, len(y))])
        return (self.x0 + error[:, None, None, None]).astype(np.float32)


def diffusion(sigma2: Any) -> GaussianDiffusion:
    error = np.array([SOURCE.mse(v) for v in SCHEDULE.v]) if sigma2 == "widened" else None
    return GaussianDiffusion(SCHEDULE, sigma2, clip_denoised=False, error=error)


def by_equation_5(model: GaussianDiffusion) -> float:
    """L_T + sum L_{t-1} + L_0 in nats a dimension, of a Gaussian source and its best denoiser."""
    abar, t = SCHEDULE.alpha_bar, np.arange(2, SCHEDULE.T + 1)
    prior = (abar[-1] * SPREAD - abar[-1] - np.log(1 - abar[-1])) / 2
    x_0 = np.zeros((len(t), 1, 1, 1))
    terms, _ = model.vb_terms_bpd(Usual(x_0), x_0, x_0, t)
    variance = model.p_variance[0]  # of the decoder; pixels are not rounded here
    first = (np.log(2 * np.pi * variance) + SOURCE.mse(SCHEDULE.v[0]) / variance) / 2
    return float(prior + terms.sum() * LN2 + first)


def by_equation_16(model: GaussianDiffusion) -> tuple[float, Float64, float]:
    """KL(q(x_T) || p(x_T)), the KL of q(x_{t-1} | x_t) and p_theta for each t, H(x_0)."""
    s, abar_T = SCHEDULE, SCHEDULE.alpha_bar[-1]
    marginal = np.asarray(abar_T * SPREAD + 1 - abar_T)
    prior = float(normal_kl(np.zeros(()), marginal, 0.0, np.ones(())))
    # q(x_{t-1} | x_t) is q(x_{t-1} | x_t, x_0) with x_0 ~ N(x0_hat, D): eq. 7 adds its weight.
    weight = np.sqrt(s.alpha_bar_prev) * s.betas / (1 - s.alpha_bar)
    reverse = s.beta_tilde + weight**2 * np.array([SOURCE.mse(v) for v in s.v])
    steps = normal_kl(np.zeros(s.T), reverse, 0.0, model.p_variance)
    return prior, steps, float(np.log(2 * np.pi * np.e * SPREAD) / 2)


@pytest.mark.parametrize("sigma2", ["beta", "beta_tilde", "widened"])
def test_both_forms_of_the_bound_are_one(sigma2: Any) -> None:
    model = diffusion(sigma2)
    prior, steps, entropy = by_equation_16(model)
    assert by_equation_5(model) == pytest.approx(prior + steps.sum() + entropy, rel=1e-4)
    if sigma2 == "widened":  # p_theta is the reverse process itself: only x_T costs too much
        np.testing.assert_allclose(steps, 0, atol=1e-12)
        assert by_equation_5(model) == pytest.approx(entropy, rel=1e-3)
    else:
        assert steps.sum() > 0.01


# --- masks instead of noise ---------------------------------------------------------------------

T, VALUES = 3, 4  # coordinates, and what each may be


def normalised(shape: tuple[int, ...], axis: int | None, rng: np.random.Generator) -> Float64:
    table = rng.exponential(size=shape) + 0.05
    return np.asarray(table / table.sum(axis=axis, keepdims=axis is not None))


def test_with_masks_for_noise_a_diffusion_model_is_autoregressive() -> None:
    """Section 4.3: q(x_t | x_0) masks the first t coordinates, and p_theta(x_{t-1} | x_t) copies
    what x_t shows and predicts coordinate t from it."""
    rng = np.random.default_rng(0)
    data = normalised((VALUES,) * T, None, rng)  # q(x_0)
    model = [normalised((VALUES,) * (T - t + 1), 0, rng) for t in range(1, T + 1)]
    # model[t - 1][a, rest...] = p(coordinate t is a | coordinates t + 1 .. T are rest)
    autoregressive = sum(
        -data[x] * sum(np.log(model[t][x[t:]]) for t in range(T))
        for x in product(range(VALUES), repeat=T)
    )
    # Eq. 5 before it is sorted (eq. 3): E[-log p(x_T) - sum log p_theta(x_{t-1} | x_t) / q(x_t |
    # x_{t-1})]; p(x_T) and q, which masks, are certain.
    bound = 0.0
    for x in product(range(VALUES), repeat=T):
        states = [(None,) * t + x[t:] for t in range(T + 1)]  # x_0 .. x_T
        for t in range(1, T + 1):
            shown = states[t - 1][t - 1 :]
            assert states[t] == (None,) * t + shown[1:]
            bound -= data[x] * np.log(model[t - 1][shown])
    assert bound == pytest.approx(autoregressive)
    # Eq. 16: each step's divergence is that of one coordinate given those that are shown.
    divergences = []
    for t in range(1, T + 1):
        joint = data.sum(axis=tuple(range(t - 1)))  # of coordinates t .. T
        conditional = joint / joint.sum(axis=0, keepdims=True)  # q(x_{t-1} | x_t)
        divergences.append(float((joint * np.log(conditional / model[t - 1])).sum()))
    entropy = -float((data * np.log(data)).sum())
    assert min(divergences) > 0.01
    assert bound == pytest.approx(0 + sum(divergences) + entropy)  # KL(q(x_T) || p(x_T)) is 0
