"""The analytic denoisers against their own closed forms, by Monte Carlo and by limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.theory.denoiser import GaussianDenoiser, OracleDenoiser

patient = settings(deadline=None)  # a busy machine is not a failure

SHAPE = (3, 8, 8)


def coloured() -> GaussianDenoiser:
    """A smooth source: power falls with frequency, over three decades."""
    k = np.arange(8)
    power = 1 / (1 + k[:, None] ** 2 + k**2)
    return GaussianDenoiser(0.1, 0.3 * power * np.array([3, 1, 0.1]).reshape(3, 1, 1), "dct")


def noisy(x, v, rng):
    return (x + np.sqrt(v) * rng.standard_normal(x.shape)).astype(np.float32)


@pytest.mark.parametrize("v", [1e-3, 0.1, 3.0, 100.0])
@pytest.mark.parametrize("source", [GaussianDenoiser(-0.2, 0.25), coloured()], ids=["white", "dct"])
def test_mse_is_the_closed_form(source, v):
    rng = np.random.default_rng(0)
    x = source.sample(1000, SHAPE, rng)
    errors = ((source.batch(noisy(x, v, rng), v) - x) ** 2).mean(axis=(1, 2, 3))
    assert errors.mean() == pytest.approx(
        source.mse(v), abs=4 * errors.std() / np.sqrt(len(errors))
    )


def test_white_x0_hat_is_the_posterior_mean():
    # Bayes: precision 4 of the source and 4/3 of the noise, so x0_hat goes a quarter of the way.
    y = np.array([[[1.0, -0.2]]], dtype=np.float32)
    np.testing.assert_allclose(GaussianDenoiser(-0.2, 0.25)(y, 0.75), [[[0.1, -0.2]]], rtol=1e-6)


def test_is_optimal_among_linear_denoisers():
    source, rng, v = coloured(), np.random.default_rng(1), 0.05
    x = source.sample(1000, SHAPE, rng)
    y = noisy(x, v, rng)
    best = ((source.batch(y, v) - x) ** 2).mean()
    for wrong_v in (0.7 * v, 1.4 * v):
        assert ((source.batch(y, wrong_v) - x) ** 2).mean() > best
    white = GaussianDenoiser(0.1, source.variance.mean())  # ignores the spectrum
    assert ((white.batch(y, v) - x) ** 2).mean() > 1.2 * best


def test_nll_averages_to_the_entropy():
    source = coloured()
    nll = source.nll_bpd(source.sample(4000, SHAPE, np.random.default_rng(2)))
    assert nll.mean() == pytest.approx(source.entropy_bpd(), abs=4 * nll.std() / np.sqrt(4000))


def test_nll_of_the_dct_form_is_that_of_the_covariance_matrix():
    variance = np.array([[0.5, 0.2, 0.1], [0.3, 0.05, 0.02]])[None]  # (1, 2, 3)
    source = GaussianDenoiser(0.0, variance, "dct")
    x = np.random.default_rng(3).standard_normal((1, 1, 2, 3))
    i = np.eye(6).reshape(6, 1, 2, 3)
    Q = source._forward(i).reshape(6, 6).T  # columns: the transform of unit vectors
    np.testing.assert_allclose(Q @ Q.T, np.eye(6), atol=1e-14)
    covariance = Q.T @ np.diag(variance.ravel()) @ Q
    flat = x.ravel()
    nats = 0.5 * (
        flat @ np.linalg.solve(covariance, flat)
        + np.linalg.slogdet(2 * np.pi * covariance).logabsdet
    )
    assert source.nll_bpd(x)[0] == pytest.approx(nats / 6 / np.log(2), rel=1e-12)


def test_i_mmse():
    # d I / d SNR = D / 2 nats (Guo, Shamai & Verdu 2005): the identity all rates here rest on.
    source, snr, h = coloured(), 7.0, 1e-4
    slope = (source.information_bpd(1 / (snr + h)) - source.information_bpd(1 / (snr - h))) / 2 / h
    assert slope * np.log(2) == pytest.approx(0.5 * source.mse(1 / snr), rel=1e-6)


@patient
@given(st.floats(-6, 4))
def test_a_white_source_meets_its_rate_distortion_curve(log_v):
    source, v = GaussianDenoiser(0.0, 0.4), 10**log_v
    assert source.information_bpd(v) == pytest.approx(source.rate_bpd(source.mse(v)), abs=1e-9)


@patient
@given(st.floats(-3, 2))
def test_a_coloured_source_cannot_beat_reverse_water_filling(log_v):
    source, v = coloured(), 10**log_v
    assert source.information_bpd(v) > source.rate_bpd(source.mse(v))


def test_reverse_water_filling_by_hand():
    source = GaussianDenoiser(0.0, np.array([4.0, 1.0, 0.25]).reshape(1, 1, 3))
    # Level 0.5: D = (0.5 + 0.5 + 0.25) / 3, R = (1/2 log2 8 + 1/2 log2 2 + 0) / 3.
    assert source.rate_bpd(1.25 / 3) == pytest.approx((1.5 + 0.5) / 3)
    assert source.rate_bpd(1.75) == 0 and source.rate_bpd(9.0) == 0
    with pytest.raises(ValueError):
        source.rate_bpd(0.0)


def test_limits_of_the_noise():
    source = coloured()
    y = source.sample(1, SHAPE, np.random.default_rng(4))[0].astype(np.float32)
    np.testing.assert_allclose(source(y, 1e-12), y, atol=1e-6)  # hardly any noise: keep y
    np.testing.assert_allclose(source(y, 1e12), 0.1, atol=1e-6)  # nothing but noise: the mean
    assert source.mse(np.inf) == pytest.approx(source.variance.mean())
    assert source.mse(1e12) == pytest.approx(source.mse(np.inf))


@pytest.mark.parametrize("source", [GaussianDenoiser(-0.2, 0.25), coloured()], ids=["white", "dct"])
def test_a_batch_is_its_images_one_by_one(source):
    y = np.random.default_rng(5).standard_normal((3, *SHAPE)).astype(np.float32)
    v = np.array([0.01, 1.0, 30.0])
    single = [source(image, float(each)) for image, each in zip(y, v, strict=True)]
    batch = source.batch(y, v)
    np.testing.assert_array_equal(batch, np.stack(single))
    assert batch.dtype == single[0].dtype == np.float32


def test_the_oracle_knows():
    x = np.random.default_rng(6).standard_normal((2, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(OracleDenoiser(x).batch(0 * x, 5.0), x)
    np.testing.assert_array_equal(OracleDenoiser(x[0])(0 * x[0], 5.0), x[0])
    np.testing.assert_array_equal(OracleDenoiser(x[0]).batch(0 * x, 5.0), x[[0, 0]])
