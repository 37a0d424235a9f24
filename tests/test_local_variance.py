"""Classes of pixels by their residual: worth much where errors differ, else nothing."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec.eval.experiments.local_variance import CLASSES, classes, of_pixels, of_steps
from diffcodec.theory.denoiser import GaussianDenoiser


def uneven(ratio: float) -> tuple[GaussianDenoiser, np.ndarray]:
    """A source whose left half varies `ratio` times as much as its right half, and a sample."""
    variance = np.full((1, 1, 64), 0.04)
    variance[..., 32:] /= ratio**2
    source = GaussianDenoiser(0.0, variance)
    x_0 = source.sample(2, (3, 64, 64), np.random.default_rng(1)).clip(-1, 1)
    return source, np.rint((x_0 + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)


def test_classes_are_equally_large_and_follow_the_residual() -> None:
    source, pixels = uneven(30.0)
    x_0 = pixels[0].transpose(2, 0, 1) / 127.5 - 1
    y = x_0 + 0.1 * np.random.default_rng(0).standard_normal(x_0.shape)
    kind = classes(y, source(y.astype(np.float32), 0.01).astype(np.float64))
    assert np.bincount(kind.reshape(-1)).tolist() == [kind.size // CLASSES] * CLASSES
    assert kind[..., :28].mean() < CLASSES / 4 and kind[..., 36:].mean() > CLASSES / 2


def test_what_even_and_uneven_sources_save() -> None:
    chain = (10.0, 2.0, 0.5, 0.02, 0.002)
    even, uneven_ = (of_steps(*uneven(ratio), chain) for ratio in (1.0, 30.0))
    # One step, from v = 0.5 to 0.02: dSNR = 48, errors 0.037 and 4.4e-5.
    one = np.log2(1 + 48 * 0.0185)
    many = np.log2(1 + 48 * 0.037) / 2 + np.log2(1 + 48 * 4.4e-5) / 2
    assert abs(even) < 0.01
    assert 0.5 * (1 - many / one) < uneven_ < 1.1 * (1 - many / one)


def test_exact_pixels_save_where_errors_differ() -> None:
    even, uneven_ = (of_pixels(*uneven(ratio), 4.0) for ratio in (1.0, 30.0))
    assert even["classes_bpd"] == pytest.approx(even["one_bpd"], abs=0.03)
    assert uneven_["classes_bpd"] < uneven_["one_bpd"] - 0.1
