"""The objectives and parametrisations of DDPM and improved DDPM against their closed forms."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.network.config import Betas, NetworkConfig, Predicts, Recipe, TrainConfig
from diffcodec.network.prediction import Prediction, fourier_features
from diffcodec.network.unet import UNet
from diffcodec.theory.elbo import GaussianDiffusion, discretized_gaussian_log_likelihood
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY
from diffcodec.training.importance import KEPT, UNIFORM, History
from diffcodec.training.objective import (
    LAMBDA,
    Draw,
    Objective,
    log_pixel_mass,
    noise_variances,
)
from diffcodec.training.train import train
from tests.mini_recipe import RECIPE, weights

CPU = torch.device("cpu")


def recipe(*settings: str) -> Recipe:
    """Objective and variance that fit together, whatever comes first."""
    fields = RECIPE.to_dict()
    for setting in settings:
        section, _, rest = setting.partition(".")
        name, _, value = rest.partition("=")
        fields[section][name] = int(value) if value.isdigit() else value
    return Recipe.from_dict(fields)


def network(**changes: Any) -> NetworkConfig:
    return NetworkConfig(8, (1, 2), blocks=1, attention=(), norm="none", window=8, **changes)


def pixels(n: int, seed: int = 0) -> NDArray[np.float64]:
    """(N, 3, 4, 4) in [-1, 1], of all grey levels, the ends among them."""
    k = np.random.default_rng(seed).integers(0, 256, (n, 3, 4, 4))
    k[:, 0, 0, 0], k[:, 1, 1, 1] = 0, 255
    return k / GREY - 1


def tensor(x: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(x, np.float32))


# --- what the network predicts ------------------------------------------------------------------


@pytest.mark.parametrize("betas", get_args(Betas))
@pytest.mark.parametrize("predicts", ["eps", "x0", "v", "mu"])
def test_the_output_is_what_the_papers_say(predicts: Any, betas: Any) -> None:
    schedule = Schedule.named(betas, 1000)
    diffusion = GaussianDiffusion(schedule)
    t = np.array([1, 2, 3, 100, 500, 999])
    rng = np.random.default_rng(0)
    x_t, out = rng.standard_normal((2, len(t), 3, 4, 4))
    v = tensor(schedule.v[t - 1])
    prediction = Prediction(network(predicts=predicts, betas=betas))
    c_skip, c_out, c_in = (c.double().numpy() for c in prediction(v))
    y = x_t / np.sqrt(schedule.alpha_bar[t - 1])[:, None, None, None]
    np.testing.assert_allclose(c_in * y, x_t, rtol=1e-5)  # it sees x_t
    x0_hat = c_skip * y + c_out * out
    if predicts == "eps":
        wanted = diffusion.predict_x0(x_t, t, out)
        np.testing.assert_allclose(x0_hat, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    elif predicts == "x0":
        np.testing.assert_array_equal(x0_hat, out)
    elif predicts == "v":  # Salimans and Ho 2022, appendix D
        alpha = np.sqrt(schedule.alpha_bar[t - 1])[:, None, None, None]
        wanted = alpha * x_t - np.sqrt(1 - alpha**2) * out
        np.testing.assert_allclose(x0_hat, wanted, rtol=1e-5, atol=1e-5)
    else:
        mean, _ = diffusion.q_posterior_mean_variance(x0_hat, x_t, t)
        np.testing.assert_allclose(mean, out, rtol=1e-3, atol=1e-3)


def test_between_timesteps_mu_moves_steadily() -> None:
    prediction = Prediction(network(predicts="mu"))
    v = torch.logspace(-5, 6, 3000)
    c_skip, c_out, _ = prediction(v)
    assert torch.isfinite(c_skip).all() and torch.isfinite(c_out).all()
    assert (c_skip[v < 1e-4] == 0).all() and torch.allclose(c_out[v < 1e-4], torch.ones(1))
    late = c_out.flatten()[v > 3e-4]
    assert (late[1:] / late[:-1]).log().abs().max() < 0.05


def test_a_network_of_every_kind_gives_x0_hat() -> None:
    y, v = torch.randn(2, 3, 8, 8), torch.tensor([0.01, 2.0])
    for predicts in get_args(Predicts):
        for sigma2, channels in (("beta", 3), ("learned", 6)):
            unet = UNet(network(predicts=predicts, sigma2=sigma2, fourier=(7, 8), patch=2))
            out = unet(y, v)
            assert out.shape == (2, channels, 8, 8)
            c_skip, _, _ = unet.prediction(v)
            assert torch.allclose(out[:, :3], c_skip * y, atol=1e-5)  # F starts at 0
            assert (out[:, 3:] == 0).all()  # half-way between log beta_tilde and log beta


def test_fourier_features_tell_grey_levels_apart() -> None:
    x = torch.arange(256).reshape(1, 1, 16, 16) / GREY - 1
    features = fourier_features(x.repeat(1, 3, 1, 1), (7, 8))
    assert features.shape == (1, 12, 16, 16)
    assert torch.allclose(features[:, :3], torch.sin(128 * math.pi * x).repeat(1, 3, 1, 1))
    assert torch.allclose(features[:, 9:], torch.cos(256 * math.pi * x).repeat(1, 3, 1, 1))
    # With n = 7 neighbouring grey levels are half a turn apart (2/255 instead of 2/256).
    angle = torch.atan2(features[0, 0], features[0, 3]).flatten()
    turn = (angle[1:] - angle[:-1]).remainder(2 * math.pi)
    assert torch.allclose(turn, torch.full((255,), math.pi * 256 / 255), atol=1e-3)


def test_fourier_features_reach_the_network() -> None:
    torch.manual_seed(0)
    unet = UNet(network(fourier=(7,)))
    for weight in unet.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))
    y, v = torch.rand(1, 3, 8, 8), torch.tensor([1e-4])
    with torch.no_grad():
        before = unet(y, v)
        unet.stem.weight[:, 3:] = 0
        assert unet.stem.weight.shape[1] == 9 and not torch.allclose(unet(y, v), before)


# --- the losses ---------------------------------------------------------------------------------


class Fixed:
    """A denoiser that says the same whatever it sees."""

    def __init__(self, x0_hat: Float64, share: Float64) -> None:
        self.x0_hat, self.share = x0_hat.astype(np.float32), share.astype(np.float32)

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        return self.x0_hat

    def with_variance(self, y: Float32, v: float | Float64) -> tuple[Float32, Float32]:
        return self.x0_hat, (self.share + 1) / 2


@pytest.mark.parametrize("timesteps", [1000, 50])
@pytest.mark.parametrize("betas", ["linear", "cosine"])
@pytest.mark.parametrize("sigma2", ["beta", "beta_tilde", "learned"])
def test_nelbo_is_T_times_the_bounds_terms(sigma2: Any, betas: str, timesteps: int) -> None:
    objective = Objective(
        recipe(
            "train.objective=nelbo",
            f"network.sigma2={sigma2}",
            f"network.betas={betas}",
            f"train.timesteps={timesteps}",
        ),
        CPU,
    )
    schedule = Schedule.named(betas).respaced(timesteps)
    t = np.array([1, 2, 7, timesteps // 2, timesteps])
    x0, rng = pixels(len(t)), np.random.default_rng(1)
    near = 0.02 * np.arange(1, len(t) + 1)[:, None, None, None]
    x0_hat = (x0 + near * rng.standard_normal(x0.shape)).clip(-1, 1)
    share = rng.uniform(-1.2, 1.2, x0.shape)
    v = torch.from_numpy(schedule.v[t - 1].copy()).float()
    draw = Draw(v, torch.from_numpy(t - 1), torch.ones(len(t)))
    out = tensor(np.concatenate([x0_hat, share], axis=1) if sigma2 == "learned" else x0_hat)
    found = objective.losses(tensor(x0), out, draw)
    diffusion = GaussianDiffusion(schedule, sigma2)
    x_t = diffusion.q_sample(x0, t, rng.standard_normal(x0.shape))
    wanted, _ = diffusion.vb_terms_bpd(Fixed(x0_hat, share), x0, x_t, t)
    np.testing.assert_allclose(found.numpy(), timesteps * wanted, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("objective", ["simple", "vlb", "edm"])
def test_weighted_errors(objective: str) -> None:
    v = torch.tensor([1e-4, 0.25, 100.0])
    x0 = tensor(pixels(3))
    out = x0 + 0.1 * torch.randn(x0.shape)
    d = (out - x0).square().mean(dim=(1, 2, 3))
    losses = Objective(recipe(f"train.objective={objective}"), CPU).losses(
        x0, out, Draw(v, None, torch.ones(3))
    )
    if objective == "edm":  # the error of the preconditioned output F counts alike at every level
        assert torch.allclose(losses, d / (v * 0.25 / (v + 0.25)))
    else:  # |eps - eps_hat|^2
        eps, y = torch.randn(x0.shape), v.sqrt()[:, None, None, None]
        eps_hat = (x0 + y * eps - out) / y
        assert torch.allclose(losses, (eps - eps_hat).square().mean(dim=(1, 2, 3)), rtol=1e-3)


def test_psnr_counts_errors_by_their_mean_at_a_noise_level() -> None:
    objective = Objective(recipe("train.objective=psnr"), CPU)
    v = torch.tensor([1e-3, 0.1] * 64)
    draw = Draw(v, None, torch.ones(128))
    x0 = torch.zeros(128, 3, 4, 4)
    out = x0 + torch.tensor([0.01, 0.2] * 64)[:, None, None, None]
    for _ in range(20):
        losses = objective.losses(x0, out, draw)
    assert torch.allclose(losses, torch.ones(128), rtol=1e-3)
    assert torch.allclose(
        objective.losses(x0, 2 * out, draw)[0] / losses[0], torch.tensor(4 / 2.4), rtol=0.1
    )
    again = Objective(recipe("train.objective=psnr"), CPU)
    again.load_state_dict(objective.state_dict())
    assert torch.equal(again.losses(x0, out, draw), objective.losses(x0, out, draw))


def test_noise_levels_are_drawn_around_a_centre() -> None:
    config = dataclasses.replace(
        RECIPE.train, sigma_min=0.5, sigma_max=800.0, sigma_centre=15.0, sigma_spread=1.2
    )
    u = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000
    sigma = noise_variances(u, config).sqrt().numpy() * GREY
    assert sigma.min() >= 0.5 and sigma.max() <= 800 and (np.diff(sigma) > 0).all()
    logs = np.log(sigma / 15)
    assert abs(logs.mean()) < 0.02 and 1.1 < logs.std() < 1.2  # the ends are cut off
    uniform = noise_variances(u, dataclasses.replace(config, sigma_centre=0.0)).log().numpy()
    assert np.ptp(np.diff(uniform)) < 1e-9


def test_simple_is_the_error_of_mu_where_mu_is_predicted() -> None:
    objective = Objective(recipe("train.objective=simple", "network.predicts=mu"), CPU)
    schedule, t = Schedule.named("linear"), np.array([1, 2, 50, 900])
    diffusion, rng = GaussianDiffusion(schedule), np.random.default_rng(0)
    x0, x_t = pixels(4), rng.standard_normal((4, 3, 4, 4))
    x0_hat = x0 + 0.1 * rng.standard_normal(x0.shape)
    mu, mu_hat = (diffusion.q_posterior_mean_variance(x, x_t, t)[0] for x in (x0, x0_hat))
    draw = Draw(torch.from_numpy(schedule.v[t - 1].copy()).float(), None, torch.ones(4))
    losses = objective.losses(tensor(x0), tensor(x0_hat), draw)
    np.testing.assert_allclose(losses, ((mu - mu_hat) ** 2).mean(axis=(1, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("predicts", ["x0", "v"])
@pytest.mark.parametrize("objective", ["simple", "vlb"])
def test_simple_is_the_error_of_x0_or_v(predicts: str, objective: str) -> None:
    about = (f"train.objective={objective}", f"network.predicts={predicts}")
    v, rng = np.array([1e-4, 0.25, 100.0]), np.random.default_rng(0)
    x0, eps = pixels(3), rng.standard_normal((3, 3, 4, 4))
    x0_hat = x0 + 0.1 * rng.standard_normal(x0.shape)
    losses = Objective(recipe(*about), CPU).losses(
        tensor(x0), tensor(x0_hat), Draw(tensor(v), None, torch.ones(3))
    )
    found, wide = losses.numpy(), v[:, None, None, None]
    alpha, sigma = 1 / np.sqrt(1 + wide), np.sqrt(wide / (1 + wide))
    x_t = alpha * x0 + sigma * eps
    velocities = [(alpha * x_t - x) / sigma for x in (x0, x0_hat)]
    np.testing.assert_allclose(velocities[0], alpha * eps - sigma * x0, rtol=1e-5, atol=1e-9)
    eps_hat = (x_t - alpha * x0_hat) / sigma
    if objective == "vlb":
        error = eps - eps_hat
    else:
        error = x0 - x0_hat if predicts == "x0" else velocities[0] - velocities[1]
    np.testing.assert_allclose(found, (error**2).mean(axis=(1, 2, 3)), rtol=1e-4)


def test_hybrid_trains_the_mean_by_simple_and_the_variance_by_the_bound() -> None:
    learned = "network.sigma2=learned"
    kinds = {
        name: Objective(recipe(f"train.objective={name}", *about), CPU)
        for name, about in (("hybrid", [learned]), ("nelbo", [learned]), ("simple", []))
    }
    draw = kinds["hybrid"].draw(8, torch.Generator().manual_seed(0))
    x0 = tensor(pixels(8))
    torch.manual_seed(0)
    out = torch.cat([x0 + 0.05 * torch.randn(x0.shape), torch.rand(x0.shape)], dim=1)
    gradients, losses = {}, {}
    for name, objective in kinds.items():
        leaf = out.clone().requires_grad_()
        losses[name] = objective.losses(x0, leaf, draw)
        (gradients[name],) = torch.autograd.grad(losses[name].sum(), leaf)
    assert torch.allclose(losses["hybrid"], losses["simple"] + LAMBDA * losses["nelbo"])
    assert torch.equal(gradients["hybrid"][:, :3], gradients["simple"][:, :3])
    assert torch.allclose(gradients["hybrid"][:, 3:], LAMBDA * gradients["nelbo"][:, 3:])
    assert (gradients["nelbo"][:, :3] != 0).any() and (gradients["hybrid"][:, 3:] != 0).all()


def test_hybrid_keeps_the_ratio_of_its_terms_whatever_is_predicted() -> None:
    # A network that starts says 0, and with mu = 0 the bound is 10^5 bits/dim: 0.001 of that drives
    # the log variance, and what it shares with the mean, out of all bounds in 30 steps.
    t, x0 = torch.tensor([0, 15, 300, 900]), tensor(pixels(4))
    draw = Draw(torch.from_numpy(Schedule.named("linear").v[t]).float(), t, torch.ones(4))
    torch.manual_seed(0)
    y = x0 + draw.v.sqrt()[:, None, None, None] * torch.randn(x0.shape)
    for predicts in ("eps", "mu"):
        about = ("network.sigma2=learned", f"network.predicts={predicts}")
        hybrid = Objective(recipe("train.objective=hybrid", *about), CPU)
        x0_hat = hybrid.prediction(draw.v)[0] * y
        share = torch.zeros(4, 3, 4, 4, requires_grad=True)
        losses = hybrid.losses(x0, torch.cat([x0_hat, share], dim=1), draw)
        bound = hybrid.bound(x0, x0_hat, share, draw)
        simple = hybrid.weight(draw.v) * (x0 - x0_hat).square().mean(dim=(1, 2, 3))
        assert torch.allclose(losses - simple, LAMBDA * hybrid.weight(draw.v) * draw.v * bound)
        (gradient,) = torch.autograd.grad(losses.sum(), share)
        assert (gradient.sum(dim=(1, 2, 3)).abs() < simple).all()
        if predicts == "mu":
            assert (LAMBDA * bound).max() > 100 * simple.max()


def test_the_best_learned_variance_is_the_error_of_the_mean() -> None:
    # KL over sigma^2 is least at beta_tilde + E[(mu - mu_hat)^2]: there its gradient is 0.
    objective = Objective(recipe("train.objective=nelbo", "network.sigma2=learned"), CPU)
    schedule, t = Schedule.named("linear"), 10
    tilde, beta = schedule.beta_tilde[t - 1], schedule.betas[t - 1]
    gain = np.sqrt(schedule.alpha_bar[t - 2]) * beta / (1 - schedule.alpha_bar[t - 1])
    error = np.sqrt(0.3 * (beta - tilde)) / gain  # of x0_hat
    place = np.log((tilde + 0.3 * (beta - tilde)) / tilde) / np.log(beta / tilde)
    x0 = tensor(pixels(1))
    share = torch.full_like(x0, 2 * place - 1).requires_grad_()
    draw = Draw(torch.tensor([schedule.v[t - 1]]).float(), torch.tensor([t - 1]), torch.ones(1))
    at = objective.losses(x0, torch.cat([x0 + error, share], dim=1), draw)
    (gradient,) = torch.autograd.grad(at.sum(), share)
    off = objective.losses(x0, torch.cat([x0 + error, share + 0.2], dim=1), draw)
    assert off > at and gradient.abs().max() < 1e-3 * (off - at).item()


def test_pixel_masses_and_their_gradients() -> None:
    x0 = pixels(1)
    for sigma, off in ((0.0073, 0.0), (0.0073, 0.1), (0.01, -1.5), (0.5, 0.3)):
        mean = tensor(x0 + off).requires_grad_()
        found = log_pixel_mass(tensor(x0), mean, torch.tensor(sigma))
        wanted = discretized_gaussian_log_likelihood(x0, x0 + off, np.array(sigma))
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-4, atol=1e-9)
        (gradient,) = torch.autograd.grad(found.sum(), mean)
        assert torch.isfinite(gradient).all()


# --- which noise levels -------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["simple", "nelbo", "vlb", "edm"])
def test_noise_levels_are_stratified(objective: str) -> None:
    made = Objective(recipe(f"train.objective={objective}"), CPU)
    draw = made.draw(1000, torch.Generator().manual_seed(0))
    config = made.config
    assert draw.v.shape == (1000,) and (draw.v > 0).all() and (draw.weight == 1).all()
    if objective in ("simple", "nelbo"):  # every t of the linear schedule exactly once
        assert draw.t is not None and draw.t.sort().values.tolist() == list(range(1000))
        assert float(draw.v.max()) == pytest.approx(24777, rel=0.01)
        return
    position = (draw.v.log() / 2 + math.log(127.5) - math.log(config.sigma_min)) / math.log(
        config.sigma_max / config.sigma_min
    )
    assert (position - (torch.arange(1000) + 0.5) / 1000).abs().max() < 0.5e-3 + 1e-5


def test_betas_and_timesteps_of_the_recipe_are_drawn() -> None:
    made = Objective(
        recipe("train.objective=simple", "network.betas=cosine", "train.timesteps=20"), CPU
    )
    v = made.draw(200, torch.Generator().manual_seed(0)).v.unique()
    wanted = Schedule.named("cosine").respaced(20).v
    np.testing.assert_allclose(v.numpy(), wanted, rtol=1e-6)


def test_importance_sampling_is_uniform_until_it_knows_and_then_as_the_loss() -> None:
    history = History(4)
    for _ in range(KEPT - 1):
        history.add(torch.arange(4), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert history.probabilities().tolist() == [0.25] * 4
    history.add(torch.arange(4), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    wanted = (1 - UNIFORM) * torch.tensor([0.1, 0.2, 0.3, 0.4]) + UNIFORM / 4
    assert torch.allclose(history.probabilities().float(), wanted)
    for _ in range(KEPT):  # what was long ago is forgotten; E[L^2], not E[L]^2
        history.add(torch.tensor([0, 0]), torch.tensor([0.0, 6 * math.sqrt(2)]))
    p = history.probabilities()
    assert float(p[0] / p[1]) == pytest.approx(3, rel=1e-2)


def test_importance_sampling_does_not_change_the_mean() -> None:
    made = Objective(
        recipe("train.objective=simple", "train.sampling=importance", "train.timesteps=10"), CPU
    )
    assert made.history is not None
    losses = torch.arange(1.0, 11.0)
    for _ in range(KEPT):
        made.history.add(torch.arange(10), losses)
    draw = made.draw(20_000, torch.Generator().manual_seed(0))
    assert draw.t is not None
    count = torch.bincount(draw.t, minlength=10) / len(draw.t)
    assert torch.allclose(count, made.history.probabilities().float(), atol=1e-4)
    assert float((draw.weight * losses[draw.t]).mean()) == pytest.approx(5.5, rel=1e-3)
    # Every draw now counts (almost) the same: what is left of the variance comes from UNIFORM.
    assert float((draw.weight * losses[draw.t]).std()) < 0.05


# --- in training --------------------------------------------------------------------------------


def test_importance_sampling_resumes_to_the_bit(image_folder: Path, tmp_path: Path) -> None:
    about = ("train.objective=nelbo", "train.sampling=importance", "network.sigma2=learned")
    made = recipe(*about, "train.steps=7", "train.timesteps=2")
    run = train(made, image_folder, tmp_path / "whole", quiet=True)
    assert run.objective.history is not None
    assert (run.objective.history.count >= KEPT).all()
    train(made, image_folder, tmp_path / "parts", minutes=1e-9, quiet=True)
    train(made, image_folder, tmp_path / "parts", quiet=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("predicts", get_args(Predicts))
def test_hybrid_learns(image_folder: Path, tmp_path: Path, predicts: str) -> None:
    about = ("train.objective=hybrid", "network.sigma2=learned", f"network.predicts={predicts}")
    run = train(recipe(*about, "train.steps=2"), image_folder, tmp_path, quiet=True)
    head = run.model.head.weight.detach()
    assert (head[:3] != 0).any() and (head[3:] != 0).any()


def test_older_recipes_are_the_same_recipe() -> None:
    fields = RECIPE.to_dict()
    assert not {"predicts", "sigma2", "betas", "fourier"} & set(fields["network"])
    assert Recipe.from_dict(fields) == RECIPE
    other = recipe("network.predicts=eps")
    assert other.to_dict()["network"]["predicts"] == "eps"
    assert Recipe.from_dict(other.to_dict()) == other
    assert isinstance(other.train, TrainConfig)
