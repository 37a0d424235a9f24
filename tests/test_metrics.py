"""Distortion and rate against hand-computed values; no infinity anywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffcodec.eval.common import metrics


def test_mse_of_known_images() -> None:
    a = np.zeros((2, 2, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0], b[1, 1, 2] = 3, 255
    assert metrics.mse(a, b) == (3**2 + 255**2) / 12
    assert metrics.mse(b, a) == metrics.mse(a, b)  # unsigned differences must not wrap


def test_mse_wants_8_bits_and_one_shape() -> None:
    a = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(TypeError, match="8-bit"):
        metrics.mse(a, a.astype(np.float64))
    with pytest.raises(ValueError, match="shape"):
        metrics.mse(a, a[:1])


def test_psnr_of_one_grey_level() -> None:
    assert metrics.psnr(1.0) == pytest.approx(48.1308, abs=1e-4)
    assert metrics.psnr(0.0) is None
    assert metrics.rmse_grey(6.25) == 2.5


def test_the_two_means_differ_as_stated() -> None:
    mses = [1.0, 100.0]
    assert metrics.mean_psnr(mses) == pytest.approx(48.1308 - 10, abs=1e-4)
    assert metrics.pooled_psnr(mses, [10, 10]) == pytest.approx(48.1308 - 10 * math.log10(50.5))
    # larger images weigh more in the pool
    assert metrics.pooled_psnr(mses, [99, 0]) == metrics.psnr(1.0)


def test_exact_images_have_no_mean_psnr() -> None:
    assert metrics.mean_psnr([0.0, 1.0]) is None
    assert metrics.pooled_psnr([0.0, 0.0], [1, 1]) is None
    assert metrics.pooled_psnr([0.0, 2.0], [1, 1]) == metrics.psnr(1.0)


def test_rates() -> None:
    assert metrics.bpp(128, (32, 32, 3)) == 1.0
    assert metrics.bpd(384, (32, 32, 3)) == 1.0
    assert metrics.bpd(128, (32, 32, 1)) == 1.0


def test_mean_and_error() -> None:
    assert metrics.mean_and_error([2.0]) == (2.0, None)
    mean, error = metrics.mean_and_error([1.0, 2.0, 3.0])
    assert mean == 2.0 and error == pytest.approx(1 / math.sqrt(3))
