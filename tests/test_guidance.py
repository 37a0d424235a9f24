"""Guidance (ADM, Algorithms 1 and 2) on a mixture whose classifier is known, and as a command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.eval.experiments import classifier_accuracy, guidance
from diffcodec.image import load
from diffcodec.sampling.ddim import ddim
from diffcodec.sampling.ddpm import ddpm
from diffcodec.sampling.noise import ImageNoise
from diffcodec.sampling.walk import Guide, last, prior, visit
from diffcodec.theory.elbo import Variance
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.score_matching import Mixture
from tests.command import invoke
from tests.measured import measured
from tests.tiny_classifiers import GUIDING, JUDGING, dark_and_bright, saved, trained

SOURCE = Mixture(np.array([0.7, 0.3]), np.array([-0.4, 0.6]), np.array([0.01, 0.02]))
CLASS = 1  # the second Gaussian
ONLY = Mixture(np.ones(1), SOURCE.mean[CLASS:], SOURCE.variance[CLASS:])
SHAPE = (1, 1, 1)  # images of one sub-pixel


class Denoises:
    """The best denoiser of a mixture; images are (N, 1, 1, 1)."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        found = self.mixture.x0_hat(y.astype(np.float64).ravel(), float(v))
        return found.reshape(y.shape).astype(np.float32)


def log_p(y: Float64, v: float) -> Float64:
    """log p(CLASS | y, v), by Bayes' rule, from the densities."""
    variance = SOURCE.variance + v
    density = np.log(SOURCE.weight / np.sqrt(variance)) - (y[..., None] - SOURCE.mean) ** 2 / (
        2 * variance
    )
    return np.asarray(density[..., CLASS] - np.logaddexp(density[..., 0], density[..., 1]))


def guide(scale: float) -> Guide:
    """scale times the gradient of log_p: the class's score less that of all."""

    def gradient(y: Float64, v: float) -> Float64:
        flat = y.ravel()
        found = ONLY.noisy(v).score(flat) - SOURCE.noisy(v).score(flat)
        return np.asarray(scale * found.reshape(y.shape))

    return gradient


def slope(of: Callable[[Float64], Float64], x: Float64) -> Float64:
    """The derivative of a function of single numbers."""
    return np.asarray((of(x + 1e-6) - of(x - 1e-6)) / 2e-6)


def test_the_classifier_is_the_mixtures() -> None:
    y = np.linspace(-2, 2, 9).reshape(-1, 1, 1, 1)
    assert np.allclose(guide(1)(y, 0.3), slope(lambda y: log_p(y, 0.3), y), atol=1e-8)


@pytest.mark.parametrize("sigma2", ["beta", "beta_tilde"])
def test_algorithm_1_moves_the_mean_by_s_sigma_g(sigma2: Variance) -> None:
    alpha_bar = 1 / (1 + Schedule.named("linear", 1000).v)
    ab_t, ab_s = alpha_bar[599], alpha_bar[549]  # fifty timesteps in one
    alpha, beta = ab_t / ab_s, 1 - ab_t / ab_s
    v_t, v_s = (float((1 - ab) / ab) for ab in (ab_t, ab_s))
    x_t = np.linspace(-2, 2, 7).reshape(-1, 1, 1, 1)
    y_t = x_t / np.sqrt(ab_t)
    silent = partial(np.zeros_like, y_t)
    *_, end = ddpm(Denoises(SOURCE), y_t, [v_t, v_s], silent, sigma2, guide=guide(2.5))
    # DDPM's own letters: eq. 11 for mu, section 3.2 for Sigma.
    x0_hat = SOURCE.x0_hat(y_t.ravel(), v_t).reshape(y_t.shape)
    eps = (x_t - np.sqrt(ab_t) * x0_hat) / np.sqrt(1 - ab_t)
    mu = (x_t - beta / np.sqrt(1 - ab_t) * eps) / np.sqrt(alpha)
    Sigma = beta if sigma2 == "beta" else (1 - ab_s) / (1 - ab_t) * beta
    g = slope(lambda x: log_p(x / np.sqrt(ab_t), v_t), x_t)
    assert np.allclose(end.y * np.sqrt(ab_s), mu + 2.5 * Sigma * g, atol=1e-5)
    assert np.abs(2.5 * Sigma * g).max() > 0.02


def test_algorithm_2_changes_eps_and_at_scale_1_it_is_the_class_itself() -> None:
    y, v = np.linspace(-2, 2, 9).reshape(-1, 1, 1, 1), 0.4
    ab = 1 / (1 + v)
    for scale in (1.0, 3.0):
        found = visit(Denoises(SOURCE), y, v, guide(scale)).x0_hat
        eps = (y - SOURCE.x0_hat(y.ravel(), v).reshape(y.shape)) / np.sqrt(v)
        g = slope(lambda x: log_p(x / np.sqrt(ab), v), np.sqrt(ab) * y)
        eps_hat = eps - np.sqrt(1 - ab) * scale * g
        assert np.allclose((y - found) / np.sqrt(v), eps_hat, atol=1e-5)
    found = visit(Denoises(SOURCE), y, v, guide(1.0)).x0_hat
    assert np.allclose(found, ONLY.x0_hat(y.ravel(), v).reshape(y.shape), atol=1e-6)


def test_samples_are_of_the_class_and_more_scale_draws_them_together() -> None:
    levels = Schedule.named("linear", 1000).v[::-2].tolist()
    mean, variance = SOURCE.mean[CLASS], SOURCE.variance[CLASS]
    for sampler in ("ddpm", "ddim"):
        spread = {}
        for scale in (0.0, 1.0, 4.0):
            noise = ImageNoise(0, range(2000), SHAPE)
            start = prior(levels[0], noise)
            if sampler == "ddpm":
                walk = ddpm(Denoises(SOURCE), start, levels, noise, guide=guide(scale))
            else:
                walk = ddim(Denoises(SOURCE), start, levels, guide=guide(scale))
            x = last(walk)
            spread[scale] = x.var()
            if scale == 0:
                assert np.mean(x > 0.1) == pytest.approx(SOURCE.weight[CLASS], abs=0.04)
            else:
                assert np.mean(x > 0.1) > 0.99
            if scale == 1:
                assert x.mean() == pytest.approx(mean, abs=0.015)
                assert x.var() == pytest.approx(variance, rel=0.1)
        assert spread[4.0] < 0.95 * spread[1.0]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("guide")
    trained(GUIDING, folder)
    return folder / "classifier.safetensors"


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_the_command_with_scale_0_is_that_without_a_guide(
    sampler: str, tiny_float: Path, classifier: Path, tmp_path: Path
) -> None:
    words = ["sample", "-m", tiny_float, "-n", 3, "--size", "8x8", "--sampler", sampler]
    words += ["--steps", 4, "--seed", 5, "-q"]
    led = [*words, "--guide", classifier, "--class", 1]
    invoke(*words, "-o", tmp_path / "without.png")
    invoke(*led, "--scale", 0, "-o", tmp_path / "0.png")
    invoke(*led, "--scale", 500, "-o", tmp_path / "500.png")
    without, none, much = (load(tmp_path / f"{name}.png") for name in ("without", "0", "500"))
    assert np.array_equal(without, none)
    assert much.mean() > without.mean() + 1  # class 1 is bright


def test_what_cannot_guide_is_refused_in_a_sentence(
    tiny_float: Path, classifier: Path, tmp_path: Path
) -> None:
    words = ["sample", "-m", tiny_float, "-n", 1, "--size", "8x8", "--steps", 2]
    words += ["-o", tmp_path / "x.png"]

    def said(*more: object, code: int = 1) -> str:
        text = invoke(*words, *more, code=code).stderr
        assert text.count("\n") == 1 and not (tmp_path / "x.png").exists()
        return text

    assert "has no class 2: it has 0 to 1" in said("--guide", classifier, "--class", 2)
    assert "--scale is about --guide" in said("--scale", 2, code=2)
    assert "--class N" in said("--guide", classifier, code=2)
    assert "holds no classifier" in said("--guide", tiny_float, "--class", 1)
    assert "from 0 on" in said("--guide", classifier, "--class", 1, "--scale", -1)
    large = said("--guide", classifier, "--class", 1, "--size", "16x8")
    assert "takes RGB images of 8 x 8, not of 16 x 8" in large


def test_the_experiment_judges_by_another_classifier(
    tiny_float: Path, classifier: Path, tmp_path: Path
) -> None:
    trained(JUDGING, tmp_path / "judge")
    images = dark_and_bright(60, seed=40)
    np.save(tmp_path / "labels.npy", images.labels)
    words = ["--data", saved(images.pixels, tmp_path / "real"), "--labels", tmp_path / "labels.npy"]
    words += ["-m", tiny_float, "--guide", classifier, "--class", 1, "-n", 8, "--steps", 3]
    judge = ["--judge", tmp_path / "judge" / "classifier.safetensors"]
    scales = ["--scale", 0, "--scale", 500]
    result, text = measured(guidance.main, *words, *judge, *scales, out=tmp_path / "g.json")
    without, much = result["rows"]
    assert (without["scale"], much["scale"]) == (0, 500) and "diversity" in text
    assert much["class_probability"]["value"] > without["class_probability"]["value"]
    assert result["real"]["class_share"]["value"] == 1 and result["reference_images"] == 15
    assert result["real"]["diversity"]["value"] == pytest.approx(1, abs=0.5)
    assert result["guide"]["fingerprint"] != result["judge"]["fingerprint"]
    found, text = measured(
        classifier_accuracy.main, classifier, *words[:4], out=tmp_path / "accuracy.json"
    )
    (row,) = found["classifiers"]
    assert row["images"] == 60 and row["accuracy"] > 0.9 and len(row["levels"]) == 7
    assert "guiding" in text
