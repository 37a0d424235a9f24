"""q and p_theta against Bayes' rule, closed forms and Monte Carlo; the decoder's masses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.theory import elbo
from diffcodec.theory import gaussian as d
from diffcodec.theory.denoiser import GaussianDenoiser, OracleDenoiser
from diffcodec.theory.elbo import GaussianDiffusion, discretized_gaussian_log_likelihood
from diffcodec.theory.schedule import NAMES, Schedule

patient = settings(deadline=None)  # a busy machine is not a failure

LINEAR = Schedule.named("linear")
log_variances = st.tuples(st.floats(-9, 9), st.floats(0.01, 9)).map(  # v_s < v_t
    lambda p: (10 ** p[0], 10 ** (p[0] + p[1]))
)
grid = np.arange(256) / 127.5 - 1


def images(n, seed=0):
    """Pixels on the grid of 8-bit images: (n, 3, 4, 4) in [-1, 1]."""
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 4, 4)) / 127.5 - 1


# x0 units.


@patient
@given(log_variances, st.floats(-1, 1), st.floats(-1e3, 1e3))
def test_posterior_is_the_product_of_two_gaussians(v, x0, y_t):
    # y_t = y_s + N(0, v_t - v_s) and y_s = x0 + N(0, v_s): precisions add.
    v_s, v_t = v
    precision = 1 / v_s + 1 / (v_t - v_s)
    mean = (x0 / v_s + y_t / (v_t - v_s)) / precision
    assert d.posterior_variance(v_s, v_t) == pytest.approx(1 / precision, rel=1e-9)
    got = d.posterior_mean(np.array([y_t]), np.array([x0]), v_s, v_t)[0]
    assert got == pytest.approx(mean, rel=1e-9, abs=1e-9)


@patient
@given(log_variances)
def test_a_step_adds_its_precision(v):
    # Seeing x0 through noise of precision 1/v_s - 1/v_t turns v_t into v_s.
    v_s, v_t = v
    assert 1 / (d.step_precision(v_s, v_t) + 1 / v_t) == pytest.approx(v_s, rel=1e-12)


def test_the_first_step_starts_from_nothing():
    x0, v = np.array([0.3, -0.7]), 5.0
    assert d.step_ratio(v, np.inf) == 0
    assert d.step_precision(v, np.inf) == 1 / v
    assert d.posterior_variance(v, np.inf) == v
    np.testing.assert_array_equal(d.posterior_mean(np.array([1e9, -3.0]), x0, v, np.inf), x0)
    np.testing.assert_allclose(d.shift(x0, v, np.inf), x0 / np.sqrt(5), rtol=1e-15)
    assert d.noise_variance(0.0) == np.inf and d.noise_variance(1.0) == 0


def test_shift_is_the_distance_of_the_means_in_standard_deviations():
    rng = np.random.default_rng(1)
    x0, x0_hat, y = rng.standard_normal((3, 100))
    v_s, v_t = 0.3, 2.0
    means = d.posterior_mean(y, x0, v_s, v_t) - d.posterior_mean(y, x0_hat, v_s, v_t)
    mu = d.shift(x0 - x0_hat, v_s, v_t)
    np.testing.assert_allclose(mu, means / np.sqrt(d.posterior_variance(v_s, v_t)), rtol=1e-11)
    variance = np.full(100, d.posterior_variance(v_s, v_t))
    kl = elbo.normal_kl(d.posterior_mean(y, x0, v_s, v_t), variance, 0 * y, variance)
    kl0 = elbo.normal_kl(means, variance, 0.0, variance)
    assert d.kl_bits(mu) == pytest.approx(kl0.sum() / np.log(2))
    assert not np.allclose(kl, kl0)


def test_chain_from_nothing_reaches_its_marginal():
    # Drawn step by step through the posterior with the true x0, y_s is x0 + N(0, v_s).
    rng, n = np.random.default_rng(2), 40_000
    x0, y, v_t = np.full(n, 0.4), np.zeros(n), np.inf
    for v_s in (30.0, 4.0, 0.5, 0.02):
        y = d.posterior_mean(y, x0, v_s, v_t)
        y += np.sqrt(d.posterior_variance(v_s, v_t)) * rng.standard_normal(n)
        assert y.mean() == pytest.approx(0.4, abs=4 * np.sqrt(v_s / n))
        assert y.var() == pytest.approx(v_s, rel=4 * np.sqrt(2 / n))
        v_t = v_s


@patient
@given(st.lists(st.floats(-8, 4), min_size=1, max_size=30, unique=True))
def test_information_of_a_white_source_does_not_depend_on_the_steps(logs):
    # With p_theta widened by the network's error the steps telescope to R(D), however few.
    levels = [10.0**e for e in sorted(logs, reverse=True)]
    source = GaussianDenoiser(0.0, 0.3)
    spent = sum(
        d.mi_bpd(source.mse(v_t) * d.step_precision(v_s, v_t))
        for v_t, v_s in zip([np.inf, *levels], levels, strict=False)
        if v_s < v_t
    )
    assert spent == pytest.approx(source.information_bpd(levels[-1]), rel=1e-6)
    assert spent == pytest.approx(source.rate_bpd(source.mse(levels[-1])), rel=1e-6, abs=1e-9)


def test_the_same_variance_bound_converges_to_the_information_from_above():
    power = 1 / (1 + np.arange(8)[:, None] ** 2 + np.arange(8) ** 2)
    source = GaussianDenoiser(0.0, power, "dct")
    v_0, target, gaps = 1e-4, source.information_bpd(1e-4), []
    for steps in (30, 300, 3000):
        levels = np.geomspace(1e6, v_0, steps)
        # E KL = D (1/v_s - 1/v_t) / 2 nats, and 1/2 log2(1 + .) for the widened p_theta.
        gain = [
            source.mse(v_t) * d.step_precision(v_s, v_t)
            for v_t, v_s in zip([np.inf, *levels], levels, strict=False)
        ]
        gaps.append(sum(gain) / 2 / np.log(2) - target)
        assert target < sum(d.mi_bpd(gain)) < target + gaps[-1]
    assert gaps[0] > 9 * gaps[1] > 80 * gaps[2] > 0 and gaps[2] < 0.02


# DDPM's form.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("t", [2, 3, 500, 1000])
def test_both_forms_of_a_step_agree(name, t):
    schedule = Schedule.named(name)
    abar_t, abar_s = schedule.alpha_bar[t - 1], schedule.alpha_bar[t - 2]
    v_t, v_s = schedule.v[t - 1], schedule.v[t - 2]
    rng = np.random.default_rng(t)
    x_0, x_t = images(2), rng.standard_normal((2, 3, 4, 4))
    mean, variance = GaussianDiffusion(schedule).q_posterior_mean_variance(
        x_0, x_t, np.array([t, t])
    )
    y_mean = d.posterior_mean(x_t / np.sqrt(abar_t), x_0, v_s, v_t)
    # At small t both forms subtract numbers that agree in the first four digits.
    np.testing.assert_allclose(mean, np.sqrt(abar_s) * y_mean, rtol=1e-12, atol=1e-12)
    y_variance = abar_s * d.posterior_variance(v_s, v_t)
    np.testing.assert_allclose(variance.ravel(), y_variance, rtol=1e-10)


@patient
@given(st.integers(1, 1000), st.integers(1, 1000))
def test_eps_and_x0_are_two_names_of_one_thing(t1, t2):
    diffusion, t = GaussianDiffusion(LINEAR), np.array([t1, t2])
    rng = np.random.default_rng(t1)
    x_0, eps = images(2), rng.standard_normal((2, 3, 4, 4))
    x_t = diffusion.q_sample(x_0, t, eps)
    np.testing.assert_allclose(diffusion.predict_x0(x_t, t, eps), x_0, atol=1e-11)
    np.testing.assert_allclose(diffusion.predict_eps(x_t, t, x_0), eps, atol=1e-11)


def test_q_sample_by_monte_carlo():
    diffusion, n = GaussianDiffusion(LINEAR), 400
    x_0 = np.full((n, 3, 8, 8), 0.6)
    for step in (1, 100, 1000):
        t = np.full(n, step)
        noise = np.random.default_rng(step).standard_normal(x_0.shape)
        x_t, abar = diffusion.q_sample(x_0, t, noise), LINEAR.alpha_bar[step - 1]
        se = np.sqrt((1 - abar) / x_0.size)
        assert x_t.mean() == pytest.approx(np.sqrt(abar) * 0.6, abs=4 * se)
        assert x_t.var() == pytest.approx(1 - abar, rel=4 * np.sqrt(2 / x_0.size))


def test_mean_of_p_theta_is_equation_11():
    source, rng = GaussianDenoiser(0.1, 0.2), np.random.default_rng(3)
    diffusion = GaussianDiffusion(LINEAR, clip_denoised=False)
    x_t, t = rng.standard_normal((3, 3, 4, 4)), np.array([1, 40, 1000])
    mean, _, x0_hat = diffusion.p_mean_variance(source, x_t, t)
    eps = diffusion.predict_eps(x_t, t, x0_hat)
    alpha, beta, abar = (
        table[t - 1].reshape(-1, 1, 1, 1)
        for table in (LINEAR.alphas, LINEAR.betas, LINEAR.alpha_bar)
    )
    eq11 = (x_t - beta / np.sqrt(1 - abar) * eps) / np.sqrt(alpha)
    np.testing.assert_allclose(mean, eq11, atol=1e-12)
    # x0_hat comes from the denoiser in x0 units.
    y = (x_t[1] / np.sqrt(LINEAR.alpha_bar[39])).astype(np.float32)
    np.testing.assert_array_equal(x0_hat[1], source(y, LINEAR.v[39]))


def test_variances_of_p_theta():
    source, x, t = GaussianDenoiser(0.0, 1.0), np.zeros((3, 1, 2, 2)), np.array([1, 2, 1000])
    first = LINEAR.beta_tilde[1]  # 0.94 grey levels
    for sigma2, table in (("beta", LINEAR.betas), ("beta_tilde", LINEAR.beta_tilde)):
        variance = GaussianDiffusion(LINEAR, sigma2).p_mean_variance(source, x, t)[1].ravel()
        np.testing.assert_array_equal(variance, [first, table[1], table[999]])
    assert np.sqrt(first) * 127.5 == pytest.approx(0.9412, rel=1e-3)


def test_clipping_applies_to_x0_hat():
    source, t = GaussianDenoiser(3.0, 1e-6), np.array([500])
    for clip, expected in ((True, 1.0), (False, 3.0)):
        diffusion = GaussianDiffusion(LINEAR, clip_denoised=clip)
        x0_hat = diffusion.p_mean_variance(source, np.zeros((1, 3, 2, 2)), t)[2]
        np.testing.assert_allclose(x0_hat, expected, atol=1e-3)


def test_prior_is_the_kl_to_a_standard_normal():
    x_0, abar = images(2), LINEAR.alpha_bar[-1]
    second_moment = (abar * x_0**2 + 1 - abar).mean(axis=(1, 2, 3))
    expected = 0.5 * (second_moment - 1 - np.log(1 - abar)) / np.log(2)
    prior = GaussianDiffusion(LINEAR).prior_bpd(x_0)
    np.testing.assert_allclose(prior, expected, rtol=1e-6)
    assert (prior > 0).all() and (prior < 1e-4).all()  # "L_T ~ 1e-5 bits/dim", DDPM section 4.3


# The decoder, eq. 13.


def log_masses(mean, sigma):
    return discretized_gaussian_log_likelihood(grid, np.full(256, mean), np.full(256, sigma))


@patient
@given(st.floats(-3, 3), st.floats(-4, 1.5))
def test_masses_sum_to_1(mean, log_sigma):
    assert np.exp(log_masses(mean, 10**log_sigma)).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("mean", [-1e6, -1e3, -40.0, 40.0, 1e3, 1e6])
@pytest.mark.parametrize("sigma", [1e-4, 0.01, 1.0, 1e3])
def test_masses_of_means_far_out_are_finite_and_sum_to_1(mean, sigma):
    log_p = log_masses(mean, sigma)
    assert np.isfinite(log_p).all() and (log_p <= 0).all()
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(log_p, log_masses(-mean, sigma)[::-1], rtol=1e-7, atol=1e-12)


def test_both_tails_against_the_asymptotic_series():
    # Mass of [a, b], b - a >> 1/a, is Q(a) ~ phi(a) / a (1 - 1/a^2 + 3/a^4).
    sigma, k = 0.001, np.array([100, 156])  # 28 bins from 128, on both sides
    a = ((28 - 0.5) / 127.5) / sigma
    expected = -(a**2) / 2 - np.log(a * np.sqrt(2 * np.pi)) + np.log1p(-(a**-2) + 3 * a**-4)
    np.testing.assert_allclose(log_masses(grid[128], sigma)[k], expected, rtol=1e-9)


def test_broad_gaussians_have_mass_density_times_width():
    log_p, x = log_masses(0.2, 5.0)[1:-1], grid[1:-1]
    density = np.exp(-((x - 0.2) ** 2) / 50) / np.sqrt(2 * np.pi * 25)
    np.testing.assert_allclose(np.exp(log_p), density * 2 / 255, rtol=1e-6)


def test_pixels_off_the_grid_are_refused():
    with pytest.raises(AssertionError):
        discretized_gaussian_log_likelihood(np.array([0.5]), np.zeros(1), np.ones(1))


# The bound.


def test_oracle_pays_nothing_for_the_steps():
    x_0, schedule = images(3), LINEAR.respaced(20)
    for sigma2 in ("beta", "beta_tilde"):
        terms = GaussianDiffusion(schedule, sigma2).calc_bpd_loop(
            OracleDenoiser(x_0.astype(np.float32)), x_0, np.random.default_rng(0)
        )
        assert terms.mse.max() < 1e-13
        if sigma2 == "beta_tilde":
            assert np.abs(terms.vb[:, 1:]).max() < 1e-9
        else:  # the variances differ: KL of N(0, beta_tilde) to N(0, beta)
            rho = schedule.beta_tilde[1:] / schedule.betas[1:]
            np.testing.assert_allclose(
                terms.vb[:, 1:], [0.5 * (rho - 1 - np.log(rho)) / np.log(2)] * 3, atol=1e-9
            )
        # L_0: the mass of a bin of width 2/255 seen from its centre.
        sigma = np.sqrt(schedule.beta_tilde[1])
        inner = discretized_gaussian_log_likelihood(np.array([1 / 255]), np.array([1 / 255]), sigma)
        assert terms.vb[:, 0].max() <= -inner[0] / np.log(2) + 1e-9


def test_steps_cost_the_closed_form_of_a_gaussian_source():
    # E L_{t-1} = D (1/v_s - 1/v_t) / 2 nats at equal variances.
    source, schedule = GaussianDenoiser(0.0, 0.25), LINEAR.respaced(25)
    diffusion = GaussianDiffusion(schedule, "beta_tilde", clip_denoised=False)
    rng = np.random.default_rng(4)
    x = np.rint((source.sample(300, (3, 4, 4), rng).clip(-1, 1) + 1) * 127.5) / 127.5 - 1
    source = GaussianDenoiser(x.mean(), x.var())  # clipped: the linear optimum, and its MSE, remain
    terms = diffusion.calc_bpd_loop(source, x, rng)
    D = np.array([source.mse(v) for v in schedule.v])
    se = terms.mse.std(axis=0) / np.sqrt(300)
    assert (np.abs(terms.mse.mean(axis=0) - D) < 4.5 * se).all()
    expected = D[1:] * -np.diff(1 / schedule.v) / 2 / np.log(2)
    se = terms.vb[:, 1:].std(axis=0) / np.sqrt(300)
    assert (np.abs(terms.vb[:, 1:].mean(axis=0) - expected) < 4.5 * se).all()
    np.testing.assert_allclose(terms.total, terms.prior + terms.vb.sum(axis=1))


def test_fine_chain_and_decoder_reach_the_sources_nll():
    # Steps at their widened cost down to v_1, then eq. 13 with variance D(v_1): the entropy of the
    # source in bins of 1/127.5. The bins blur x0_hat's error by 1/12 of a squared grey level, and
    # that is all that may be lost.
    source, v_1, rng = GaussianDenoiser(0.05, 0.06), 1e-3, np.random.default_rng(5)
    x = np.rint((source.sample(4000, (3, 4, 4), rng) + 1) * 127.5).clip(0, 255) / 127.5 - 1
    y = x + np.sqrt(v_1) * rng.standard_normal(x.shape)
    x0_hat = source.batch(y.astype(np.float32), v_1).astype(np.float64)
    sigma = np.full((1, 1, 1, 1), np.sqrt(source.mse(v_1)))
    L_0 = -discretized_gaussian_log_likelihood(x, x0_hat, sigma) / np.log(2)
    total = source.information_bpd(v_1) + L_0.mean()
    nll = source.entropy_bpd() + np.log2(127.5)
    se = L_0.std() / np.sqrt(L_0.size)
    assert total == pytest.approx(nll, abs=4 * se + 0.002) and se < 0.003


def test_only_the_timesteps_asked_for_are_evaluated():
    source, x_0, schedule = GaussianDenoiser(0.0, 0.3), images(2), LINEAR.respaced(5)
    plan = np.array([[5, 4], [0, 2]])
    terms = GaussianDiffusion(schedule).calc_bpd_loop(source, x_0, np.random.default_rng(0), plan)
    seen = [[False, False, False, False, True], [False, True, False, True, False]]
    assert np.isfinite(terms.vb).tolist() == seen and np.isfinite(terms.mse).tolist() == seen
    assert np.isnan(terms.total).all() and np.isfinite(terms.prior).all()
