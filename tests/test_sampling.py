"""Samplers against their papers' equations, and against sources whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

import diffcodec
from diffcodec.bitstream.types import Float32, Float64
from diffcodec.errors import OptionError
from diffcodec.sampling import taus
from diffcodec.sampling.ddim import ddim, invert
from diffcodec.sampling.ddpm import ddpm
from diffcodec.sampling.grid import grid
from diffcodec.sampling.inversion import there_and_back
from diffcodec.sampling.langevin import langevin
from diffcodec.sampling.latents import Latents
from diffcodec.sampling.method import Method, Name
from diffcodec.sampling.mixing import linear, shares, spherical
from diffcodec.sampling.noise import ImageNoise, Use
from diffcodec.sampling.starts import between, from_one, on_the_way
from diffcodec.sampling.walk import Noise, Walk, last, prior, q_sample, score, visit
from diffcodec.theory.chain import Tables
from diffcodec.theory.denoiser import GaussianDenoiser
from diffcodec.theory.elbo import GaussianDiffusion, Variance
from diffcodec.theory.schedule import Schedule

MEAN, SPREAD = -0.2, 0.4
SHAPE = (3, 16, 16)
FULL = Schedule.named("linear")
SOURCE = GaussianDenoiser(MEAN, SPREAD**2)


class Unsure:
    """A denoiser with a learned variance: any function of y will do."""

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        return SOURCE.batch(y, v)

    def with_variance(self, y: Float32, v: float | Float64) -> tuple[Float32, Float32]:
        return SOURCE.batch(y, v), np.tanh(y) + np.float32(0.3)


def always(z: Float64) -> Noise:
    return lambda: z


def noise(numbers: int = 32, seed: int = 0) -> ImageNoise:
    return ImageNoise(seed, range(numbers), SHAPE)


def states(v: float, n: int = 4) -> Float64:
    rng = np.random.default_rng(7)
    return np.asarray(MEAN + math.sqrt(SPREAD**2 + v) * rng.standard_normal((n, *SHAPE)))


# --- one step, in the papers' own coordinates ---------------------------------------------------


@pytest.mark.parametrize("sigma2", ["beta", "beta_tilde", "learned", "widened"])
@pytest.mark.parametrize("step", [(2, 1), (500, 499), (1000, 999), (900, 300)])
def test_a_step_of_ddpm_is_p_theta_of_the_bound(sigma2: Variance, step: tuple[int, int]) -> None:
    t, s = step
    chain = FULL.subset([1, 2, s, t] if s > 2 else [s, t])
    v_s, v_t = chain.v[-2:]
    error = np.array([SOURCE.mse(v) for v in chain.v])
    theta = GaussianDiffusion(chain, sigma2, clip_denoised=False, error=error)
    y = states(v_t)
    x_t, n = y * math.sqrt(FULL.alpha_bar[t - 1]), np.full(len(y), chain.T)
    mean, variance, _ = theta.p_mean_variance(Unsure(), x_t, n)
    for z in (np.zeros_like(y), np.ones_like(y)):
        first, second = ddpm(Unsure(), y, (v_t, v_s), always(z), sigma2, SOURCE.mse)
        assert first.v == v_t and second.v == v_s
        x_s = second.y * math.sqrt(FULL.alpha_bar[s - 1])
        np.testing.assert_allclose(x_s, mean + np.sqrt(variance) * z, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_a_step_of_ddim_is_equation_12(eta: float) -> None:
    t, s = 700, 400
    alpha_bar_t, alpha_bar_s = FULL.alpha_bar[t - 1], FULL.alpha_bar[s - 1]
    v_s, v_t = FULL.v[s - 1], FULL.v[t - 1]
    y, z = states(v_t), noise(4)()
    x_t, x0_hat = y * math.sqrt(alpha_bar_t), visit(SOURCE, y, v_t).x0_hat
    eps = (x_t - math.sqrt(alpha_bar_t) * x0_hat) / math.sqrt(1 - alpha_bar_t)
    sigma = (
        eta
        * math.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t))
        * math.sqrt(  # eq. 16
            1 - alpha_bar_t / alpha_bar_s
        )
    )
    x_s = math.sqrt(alpha_bar_s) * x0_hat + math.sqrt(1 - alpha_bar_s - sigma**2) * eps + sigma * z
    _, second = ddim(SOURCE, y, (v_t, v_s), eta, always(z))
    np.testing.assert_allclose(second.y * math.sqrt(alpha_bar_s), x_s, rtol=1e-9)


def test_ddim_with_eta_1_is_ddpm_with_beta_tilde() -> None:
    levels = taus.decreasing(FULL)
    start = prior(levels[0], noise(2))
    by_ddim = list(ddim(SOURCE, start, levels, 1.0, noise(2, seed=1)))
    by_ddpm = list(ddpm(SOURCE, start, levels, noise(2, seed=1), "beta_tilde"))
    assert len(by_ddim) == len(by_ddpm) == 1000
    for one, other in zip(by_ddim, by_ddpm, strict=True):
        np.testing.assert_allclose(one.y, other.y, rtol=1e-5, atol=1e-5)
    beta = last(ddpm(SOURCE, start, levels, noise(2, seed=1), "beta"))
    assert np.abs(beta - by_ddpm[-1].x0_hat).max() > 1e-3


# --- whole walks from a Gaussian source -------------------------------------------------------


def walks() -> dict[str, Callable[[Float64], Walk]]:
    full, short = taus.decreasing(FULL), taus.spaced("geometric", 60, FULL)
    z = noise(seed=2)
    return {
        "ddpm, beta": lambda y: ddpm(SOURCE, y, full, z, "beta"),
        "ddpm, beta_tilde": lambda y: ddpm(SOURCE, y, full, z, "beta_tilde"),
        "ddpm, widened": lambda y: ddpm(SOURCE, y, short, z, "widened", SOURCE.mse),
        "ddim": lambda y: ddim(SOURCE, y, full),
        "ddim, eta 0.5": lambda y: ddim(SOURCE, y, full, 0.5, z),
    }


@pytest.mark.parametrize("name", walks())
def test_samples_have_the_mean_and_the_variance_of_the_source(name: str) -> None:
    x = last(walks()[name](prior(float(FULL.v[-1]), noise())))
    assert x.shape == (32, *SHAPE) and x.dtype == np.float64
    assert x.mean() == pytest.approx(MEAN, abs=4 * SPREAD / math.sqrt(x.size))
    assert x.var() == pytest.approx(SPREAD**2, rel=0.03)


def test_ddim_of_many_steps_is_the_probability_flow() -> None:
    """(y - mean) / sqrt(variance + v) stays what it is along the flow of a Gaussian."""
    errors = []
    for steps in (50, 200, 800):
        levels = taus.spaced("geometric", steps, FULL)
        y = prior(levels[0], noise(2))
        flow = MEAN + (y - MEAN) * SPREAD**2 / math.sqrt(
            (SPREAD**2 + levels[0]) * (SPREAD**2 + levels[-1])
        )
        errors.append(np.abs(last(ddim(SOURCE, y, levels)) - flow).max())
    assert errors[1] < 0.3 * errors[0] and errors[2] < 0.3 * errors[1] and errors[2] < 0.02


def test_inversion_then_sampling_is_the_identity_in_the_limit() -> None:
    x_0 = SOURCE.sample(2, SHAPE, np.random.default_rng(3))
    errors = []
    for steps in (50, 200, 800):
        levels = taus.spaced("geometric", steps, FULL)
        *_, end = invert(SOURCE, x_0, levels)
        assert end.v == levels[0]
        errors.append(np.abs(last(ddim(SOURCE, end.y, levels)) - x_0).max())
    assert errors[1] < 0.3 * errors[0] and errors[2] < 0.3 * errors[1] and errors[2] < 0.02
    z = (end.y - MEAN) / math.sqrt(SPREAD**2 + levels[0])  # the latent is the source, whitened
    np.testing.assert_allclose(z, (x_0 - MEAN) / SPREAD, rtol=0.03, atol=0.01)


def test_there_and_back_is_inversion_then_sampling() -> None:
    x_0 = SOURCE.sample(5, SHAPE, np.random.default_rng(3))
    levels, reports = taus.spaced("quadratic", 10, FULL), list[tuple[int, int]]()
    found = there_and_back(SOURCE, x_0, levels, 2, lambda *at: reports.append(at))
    *_, end = invert(SOURCE, x_0, levels)
    np.testing.assert_allclose(found.y, end.y, rtol=1e-6)
    assert found.v == levels[0] and reports[-1] == (100, 100) and len(reports) == 60
    back = last(ddim(SOURCE, end.y, levels))
    np.testing.assert_allclose(found.mse, (((back - x_0) / 2) ** 2).mean(axis=(1, 2, 3)), rtol=1e-4)


def test_langevin_follows_its_recursion_to_the_source() -> None:
    """y' = y - alpha / 2 (y - mean) / (variance + v) + noise, whose moments are known.

    Levels that fall too fast for the steps leave too large a variance; here they nearly do not.
    """
    snr, each, levels = 0.25, 40, np.geomspace(4, 0.001, 30).tolist()
    y = prior(levels[0], noise())
    mean, variance = 0.0, 1 + levels[0]
    for v in levels:
        alpha, total = 4 * snr**2 * v, SPREAD**2 + v
        for _ in range(each):
            mean = mean - alpha / 2 * (mean - MEAN) / total
            variance = variance * (1 - alpha / 2 / total) ** 2 + alpha * (1 - snr**2)
    *_, end = langevin(SOURCE, y, levels, noise(seed=2), snr, each)
    assert end.y.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance / end.y.size))
    assert end.y.var() == pytest.approx(variance, rel=0.03)
    assert end.x0_hat.mean() == pytest.approx(MEAN, abs=0.01)
    assert end.x0_hat.var() == pytest.approx(SPREAD**2, rel=0.05)


def test_the_score_is_that_of_the_noisy_source() -> None:
    assert diffcodec.score is score
    y = states(0.7)
    np.testing.assert_allclose(
        score(SOURCE, y, 0.7), -(y - MEAN) / (SPREAD**2 + 0.7), rtol=1e-4, atol=1e-6
    )


def test_a_guide_tilts_the_source() -> None:
    """p(c | x0) ~ exp(a x0) makes N(mean, variance) N(mean + a variance, variance)."""
    a = 1.5
    full = taus.decreasing(FULL)

    def guide(y: Float64, v: float) -> Float64:
        return np.full_like(y, a * SPREAD**2 / (SPREAD**2 + v))  # of log E[exp(a x0) | y]

    start = prior(full[0], noise())
    for walk in (
        ddpm(SOURCE, start, full, noise(seed=2), guide=guide),
        ddim(SOURCE, start, full, guide=guide),
        langevin(
            SOURCE, start, np.geomspace(4, 0.001, 30).tolist(), noise(seed=2), 0.25, 40, guide
        ),
    ):
        x = last(walk)
        assert x.mean() == pytest.approx(MEAN + a * SPREAD**2, abs=0.01)
        assert x.var() == pytest.approx(SPREAD**2, rel=0.05)


# --- between states, and states as files --------------------------------------------------------


def test_mixtures_begin_and_end_with_the_two() -> None:
    a, b = noise(2)()
    for mix in (linear, spherical):
        np.testing.assert_allclose(mix(a, b, 0.0), a)
        np.testing.assert_allclose(mix(a, b, 1.0), b)
    assert shares(3) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_mixtures_with_shared_noise_keep_its_variance() -> None:
    x_0 = SOURCE.sample(2, SHAPE, np.random.default_rng(1))
    y = on_the_way(x_0, 9.0, seed=0)
    np.testing.assert_allclose(y[0] - x_0[0], y[1] - x_0[1], atol=1e-12)
    mixed = linear(y[0], y[1], 0.5) - (x_0[0] + x_0[1]) / 2
    assert mixed.var() == pytest.approx(9, rel=0.15)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "langevin"])
def test_the_ends_of_an_interpolation_are_plain_reconstructions(name: Name) -> None:
    method = Method(name, taus.spaced("quadratic", 20, FULL), eta=0.5 if name == "ddim" else 0.0)
    v = taus.level_of(400, FULL)
    ends = on_the_way(SOURCE.sample(2, SHAPE, np.random.default_rng(1)), v, seed=3)
    mixed = last(between(SOURCE, method, ends, v, shares(2), linear, 3)([0, 1, 2, 3]))
    for end, image in zip(ends, (mixed[0], mixed[3]), strict=True):
        alone = last(from_one(SOURCE, method, end, v, 3)([0]))[0]
        np.testing.assert_array_equal(image, alone)
    assert method.visits(v) == len(list(from_one(SOURCE, method, ends[0], v, 3)([0])))


def test_latents_are_files() -> None:
    y = states(30.0, 2)
    found = Latents.read(Latents.of(y, 30.0, "abc").to_bytes())
    assert found.v == 30.0 and found.network == "abc" and found.x_T.dtype == np.float32
    np.testing.assert_allclose(found.y, y, rtol=1e-6)
    np.testing.assert_allclose(found.x_T, y / math.sqrt(31), rtol=1e-6)


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"no", np.zeros(3).tobytes()])
def test_what_are_no_latents(data: bytes) -> None:
    with pytest.raises(OptionError, match="no file of latents"):
        Latents.read(data)


def test_latents_that_are_packed_in_another_way() -> None:
    """What zipfile says of methods, versions and encryption it does not know."""
    good = Latents.of(states(30.0, 2), 30.0, "abc").to_bytes()
    for offset, value in ((8, 1), (10, 99), (6, 200)):  # of the directory
        data = bytearray(good)
        data[good.index(b"PK\1\2") + offset] = value
        with pytest.raises(OptionError, match="no file of latents"):
            Latents.read(bytes(data))


def test_a_grid_has_rows_and_white_between() -> None:
    images = [np.full((4, 6, 3), i, np.uint8) for i in range(5)]
    square, row = grid(images), grid(images, 5)
    assert square.shape == (4 * 2 + 2, 6 * 3 + 2 * 2, 3) and row.shape == (4, 6 * 5 + 2 * 4, 3)
    assert (square[6:10, 8:14] == 4).all() and (square[4:6] == 255).all()
    assert (square[6:10, 16:] == 255).all()  # nothing is left for the last place


# --- noise and levels ---------------------------------------------------------------------------


def test_noise_is_that_of_the_image_in_any_company() -> None:
    whole = ImageNoise(5, range(6), SHAPE)
    parts = [ImageNoise(5, numbers, SHAPE) for numbers in ([0, 1, 2, 3], [4], [5])]
    for _ in range(3):
        np.testing.assert_array_equal(whole(), np.concatenate([part() for part in parts]))
    draws = [ImageNoise(*who)() for who in ((5, [0], SHAPE), (6, [0], SHAPE), (5, [1], SHAPE))]
    draws.append(ImageNoise(5, [0], SHAPE, Use.FORWARD)())
    for one, other in pairwise(draws):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.15


def test_an_image_on_its_way_has_this_much_noise() -> None:
    y = q_sample(np.full((32, *SHAPE), 0.5), 4.0, noise())
    assert y.mean() == pytest.approx(0.5, abs=0.04) and y.var() == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("spacing", ["linear", "quadratic", "geometric"])
@pytest.mark.parametrize("steps", [2, 10, 50, 999, 1000])
def test_levels_go_from_the_last_timestep_to_the_first(spacing: str, steps: int) -> None:
    levels = taus.spaced(spacing, steps, FULL)
    assert len(levels) == steps and all(a > b for a, b in pairwise(levels))
    assert levels[0] == pytest.approx(FULL.v[-1]) and levels[-1] == pytest.approx(FULL.v[0])


def test_all_steps_are_the_whole_chain() -> None:
    whole = tuple(FULL.v[::-1])
    assert taus.spaced("linear", 1000, FULL) == whole == taus.chosen(range(1, 1001), FULL)
    ratios = [a / b for a, b in pairwise(taus.spaced("geometric", 30, FULL))]
    assert ratios == pytest.approx([ratios[0]] * 29)
    quadratic = taus.spaced("quadratic", 11, FULL)
    assert quadratic == taus.chosen([1, 10, 40, 90, 160, 250, 360, 490, 640, 810, 1000], FULL)


def test_a_networks_own_levels_follow_those_of_the_last_timestep() -> None:
    tables = Tables((0.0, 0.0, 0.0), 0.25, np.ones(1), np.ones(1), {"3": (9.0, 1.0, 0.1)})
    assert taus.spaced("optimised", 3, FULL, tables) == (FULL.v[-1], 9.0, 1.0, 0.1)
    for known in (tables, None):
        with pytest.raises(OptionError, match="no optimised schedule of 4 levels"):
            taus.spaced("optimised", 4, FULL, known)


def test_a_walk_may_begin_in_the_middle() -> None:
    levels = taus.chosen([1, 10, 100, 1000], FULL)
    for t in (50, 100, 1000):
        v = taus.level_of(t, FULL)
        rest = taus.below(levels, v)
        assert rest[0] == v and rest[1:] == tuple(level for level in levels if level < v)


# --- what there is not --------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [-0.1, math.inf, math.nan])
def test_an_eta_that_there_is_not(eta: float) -> None:
    with pytest.raises(OptionError, match="from 0 on"):
        last(ddim(SOURCE, states(1.0), (1.0, 0.5), eta, noise(4)))


def test_an_eta_with_more_noise_than_there_is() -> None:
    with pytest.raises(OptionError, match=r"take at most 1.05"):
        last(ddim(SOURCE, states(1.0), (1.0, 0.1), 1.5, noise(4)))
    last(ddim(SOURCE, states(1.0), (1.0, 0.1), 1.05, noise(4)))


def test_a_variance_that_there_is_not() -> None:
    with pytest.raises(OptionError, match="no learned variance"):
        last(ddpm(SOURCE, states(1.0), (1.0, 0.5), noise(4), "learned"))
    with pytest.raises(OptionError, match="widened"):
        last(ddpm(SOURCE, states(1.0), (1.0, 0.5), noise(4), "widened"))


@pytest.mark.parametrize("snr", [0.0, 1.0, -1.0, math.nan])
def test_an_snr_that_there_is_not(snr: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        last(langevin(SOURCE, states(1.0), (1.0,), noise(4), snr))
    with pytest.raises(OptionError, match="at least 1"):
        last(langevin(SOURCE, states(1.0), (1.0,), noise(4), 0.1, 0))


@pytest.mark.parametrize(
    ("chosen", "why"),
    [([], "non-empty"), ([5, 5], "increasing"), ([0, 9], "1..1000"), ([9, 2], "incr")],
)
def test_taus_that_there_are_not(chosen: list[int], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        taus.chosen(chosen, FULL)


def test_levels_that_there_are_not() -> None:
    for steps in (1, 0, 1001):
        with pytest.raises(OptionError, match="2 to 1000 steps"):
            taus.spaced("linear", steps, FULL)
    with pytest.raises(OptionError, match="no spacing"):
        taus.spaced("cubic", 10, FULL)
    for t in (0, 1001):
        with pytest.raises(OptionError, match=r"1\.\.1000"):
            taus.level_of(t, FULL)
