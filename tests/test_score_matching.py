"""Score matching: three forms with one minimum, and the losses of training as one of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from diffcodec.bitstream.types import Float64
from diffcodec.network.config import Predicts, Recipe
from diffcodec.theory.elbo import GaussianDiffusion
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.score_matching import Mixture, Quadratic, denoising, explicit, implicit
from diffcodec.training.objective import Draw, Objective
from tests.mini_recipe import RECIPE

SOURCE = Mixture(np.array([0.2, 0.8]), np.array([-1.5, 1.0]), np.array([0.3, 0.5]))
CENTRES = np.array([-2.0, -0.5, 0.5, 2.0])
V = 0.4


def phi(y: Float64) -> Float64:
    """1, y and four bumps."""
    bumps = np.exp(-((y - CENTRES[:, None]) ** 2) / 2)
    return np.concatenate([[np.ones_like(y), y], bumps])


def slope(y: Float64) -> Float64:
    bumps = np.exp(-((y - CENTRES[:, None]) ** 2) / 2) * (CENTRES[:, None] - y)
    return np.concatenate([[np.zeros_like(y), np.ones_like(y)], bumps])


# --- three objectives ---------------------------------------------------------------------------


def test_the_score_is_the_gradient_of_the_log_density() -> None:
    y = np.linspace(-4, 4, 41)

    def log_density(y: Float64) -> Float64:
        spread = SOURCE.variance[:, None]
        parts = np.exp(-((y - SOURCE.mean[:, None]) ** 2) / (2 * spread)) / np.sqrt(spread)
        return np.log(SOURCE.weight @ parts)

    slopes = (log_density(y + 1e-5) - log_density(y - 1e-5)) / 2e-5
    np.testing.assert_allclose(SOURCE.score(y), slopes, rtol=1e-7, atol=1e-7)


def test_the_best_denoiser_is_the_score() -> None:
    """Tweedie's formula: (E[x0 | y] - y) / v is the gradient of log q(y)."""
    y = np.linspace(-4, 4, 41)
    np.testing.assert_allclose((SOURCE.x0_hat(y, V) - y) / V, SOURCE.noisy(V).score(y), rtol=1e-10)


def test_explicit_implicit_and_denoising_differ_by_constants() -> None:
    q = SOURCE.noisy(V)
    forms = explicit(q, phi), implicit(q, phi, slope), denoising(SOURCE, V, phi)
    rng = np.random.default_rng(0)
    values = np.array([[form(theta) for form in forms] for theta in rng.standard_normal((20, 6))])
    assert np.ptp(values[:, 0]) > 1
    gaps = values - values[:, :1]
    np.testing.assert_allclose(gaps, np.broadcast_to(gaps[0], gaps.shape), atol=1e-9)
    y, weight = q.nodes()
    energy = float(weight @ q.score(y) ** 2)  # E s(y)^2, which implicit lacks,
    assert gaps[0, 1] == pytest.approx(-energy / 2)
    assert gaps[0, 2] == pytest.approx((1 / V - energy) / 2)  # and what denoising has too much
    assert explicit(q, phi)(np.zeros(6)) == pytest.approx(energy / 2)


def test_they_have_one_minimiser() -> None:
    q = SOURCE.noisy(V)
    best = explicit(q, phi).minimiser
    np.testing.assert_allclose(implicit(q, phi, slope).minimiser, best, rtol=1e-8)
    np.testing.assert_allclose(denoising(SOURCE, V, phi).minimiser, best, rtol=1e-8)
    # Where the model holds the score, it is found, and what is left is nothing.
    gauss = Mixture(np.ones(1), np.array([0.7]), np.array([0.6]))
    line: Quadratic = denoising(gauss, V, lambda y: phi(y)[:2])
    np.testing.assert_allclose(line.minimiser, [0.7, -1.0], rtol=1e-9)  # (0.7 - y) / (0.6 + 0.4)
    assert explicit(gauss.noisy(V), lambda y: phi(y)[:2])(line.minimiser) == pytest.approx(0)
    assert denoising(SOURCE, 0.1, phi).minimiser != pytest.approx(best, rel=0.05)  # of other noise


# --- the losses of training ---------------------------------------------------------------------


def objective(name: str, predicts: Predicts = "eps", **network: Any) -> Objective:
    fields = RECIPE.to_dict()
    fields["network"].update(predicts=predicts, **network)
    fields["train"].update(objective=name)
    return Objective(Recipe.from_dict(fields), torch.device("cpu"))


def drawn(t: list[int]) -> tuple[Draw, Float64, Float64]:
    """Timesteps; v_t and v_{t-1}."""
    v = np.append(0.0, Schedule.named("linear").v)
    draw = Draw(torch.from_numpy(v[t]).float(), torch.tensor(t) - 1, torch.ones(len(t)))
    return draw, v[t], v[np.array(t) - 1]


def gradients(made: Objective, draw: Draw, weight: Float64) -> tuple[Tensor, Tensor]:
    """Of the loss, and of weight * 1/2 |s_theta(y, v) + (y - x0) / v|^2, by x0_hat."""
    generator = torch.Generator().manual_seed(0)
    n = len(draw.v)
    x0, eps = (torch.randn(n, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    x0 = ((x0.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    v = draw.v.double()[:, None, None, None]
    y = x0 + v.sqrt() * eps
    x0_hat = (x0 + 0.1 * torch.randn(x0.shape, generator=generator)).requires_grad_()
    learned = made.network.sigma2 == "learned"
    share = torch.zeros_like(x0_hat) if learned else x0_hat[:, :0].detach()
    losses = made.losses(x0, torch.cat([x0_hat, share], dim=1), draw)
    (of_loss,) = torch.autograd.grad(losses.sum(), x0_hat)
    score = (x0_hat - y) / v
    dsm = (score + (y - x0) / v).square().mean(dim=(1, 2, 3)) / 2
    (of_dsm,) = torch.autograd.grad((torch.from_numpy(weight) * dsm).sum(), x0_hat)
    return of_loss, of_dsm


def test_l_simple_is_denoising_score_matching_with_weights_sigma_squared() -> None:
    """DDPM, section 3.2: NCSN's lambda(sigma) = sigma^2, and its 1/2."""
    draw, v, _ = drawn([1, 2, 50, 700])
    of_loss, of_dsm = gradients(objective("simple"), draw, 2 * v)
    torch.testing.assert_close(of_loss, of_dsm, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "predicts"),
    [
        *(("simple", predicts) for predicts in ("preconditioned", "x0", "v", "mu")),
        *(("hybrid", predicts) for predicts in ("eps", "mu")),
        *((name, "preconditioned") for name in ("vlb", "edm")),
    ],
)
def test_every_objective_is_denoising_score_matching(name: str, predicts: Predicts) -> None:
    draw, v, before = drawn([1, 2, 50, 500])
    weight = 2 * v  # simple of eps, hybrid, vlb
    if name == "edm":
        weight = 2 * v * (1 + v / 0.5**2)
    elif predicts in ("x0", "v", "mu"):
        c_out = np.sqrt(1 + before) / (1 - before / v)
        weight = {"x0": 2 * v**2, "v": 2 * v * (1 + v), "mu": 2 * v**2 / c_out**2}[predicts]
    made = objective(name, predicts, **{"sigma2": "learned"} if name == "hybrid" else {})
    of_loss, of_dsm = gradients(made, draw, weight)
    torch.testing.assert_close(of_loss, of_dsm, rtol=1e-3, atol=1e-12)


def test_psnr_is_denoising_score_matching_by_the_usual_error() -> None:
    made = objective("psnr", "preconditioned")
    assert made.errors is not None
    made.errors.means.fill_(0.01)  # about that of these images, so that they hardly move it
    draw, v, _ = drawn([2, 50, 500])
    of_loss, of_dsm = gradients(made, draw, 2 * v**2 / 0.01)
    torch.testing.assert_close(of_loss, of_dsm, rtol=0.01, atol=0)


@pytest.mark.parametrize("sigma2", ["beta", "beta_tilde"])
def test_the_bound_is_denoising_score_matching_with_weights(sigma2: Any) -> None:
    """DDPM eq. 12, of eps and of the score."""
    t = [2, 3, 50, 500, 1000]
    draw, v, before = drawn(t)
    schedule = Schedule.named("linear")
    sigma = GaussianDiffusion(schedule, sigma2).p_variance[np.array(t) - 1]
    weight = 1000 * (v - before) ** 2 / ((1 + before) * sigma * math.log(2))
    of_loss, of_dsm = gradients(objective("nelbo", sigma2=sigma2), draw, weight)
    torch.testing.assert_close(of_loss, of_dsm, rtol=1e-3, atol=1e-12)
    beta, alpha, abar = (
        table[np.array(t) - 1] for table in (schedule.betas, schedule.alphas, schedule.alpha_bar)
    )
    of_eps = beta**2 / (2 * sigma * alpha * (1 - abar))  # as eq. 12 has it; |eps error|^2 = D / v
    np.testing.assert_allclose(weight, 1000 / math.log(2) * of_eps * 2 * v, rtol=1e-9)
