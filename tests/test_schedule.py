"""Schedules against the published constants, and subsets against the chain they come from."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.theory.schedule import NAMES, Schedule, parse_steps

patient = settings(deadline=None)  # a busy machine is not a failure

subsets = st.sets(st.integers(1, 1000), min_size=1, max_size=40).map(sorted)


def test_linear_is_ddpms():
    s = Schedule.named("linear", T=1000)
    np.testing.assert_allclose(s.betas, np.linspace(1e-4, 0.02, 1000), rtol=1e-11)
    assert s.alpha_bar[999] == pytest.approx(4.0358e-05, rel=1e-5)
    logs = np.log1p(-np.linspace(1e-4, 0.02, 1000))
    assert s.alpha_bar[499] == pytest.approx(np.exp(math.fsum(logs[:500])), rel=1e-12)
    assert s.v[0] == pytest.approx(1e-4 / (1 - 1e-4), rel=1e-11)
    assert s.sigma_grey[0] == pytest.approx(1.27506, rel=1e-5)
    assert s.sigma_grey[999] == pytest.approx(20069, rel=1e-4)


def test_linear_is_reproducible_to_the_bit():
    # A product of doubles, nothing else: streams may name a schedule instead of its noise levels.
    abar = 1.0
    for t, expected in enumerate(Schedule.named("linear", T=1000).alpha_bar):
        abar *= 1 - (1e-4 + t * ((0.02 - 1e-4) / 999) if t < 999 else 0.02)
        assert abar == expected


def test_quadratic_and_sigmoid_definitions():
    q, s = Schedule.named("quadratic").betas, Schedule.named("sigmoid").betas
    np.testing.assert_allclose(np.diff(np.sqrt(q)), (0.02**0.5 - 0.01) / 999, rtol=1e-6)
    assert q[[0, -1]] == pytest.approx([1e-4, 0.02])
    assert s[499] + s[500] == pytest.approx(1e-4 + 0.02)  # symmetric about the middle
    assert s[0] == pytest.approx(1e-4 + 0.0199 / (1 + np.exp(6)))


def test_quadratic_and_sigmoid_are_reproducible_to_the_bit():
    # Roots, sums and products that IEEE rounds; and a logistic function of 50 digits, rounded once.
    low, high = math.sqrt(1e-4), math.sqrt(0.02)
    roots = [low + t * ((high - low) / 999) for t in range(999)] + [high]
    logistic = [Decimal(12 * t) / 999 - 6 for t in range(1000)]
    shares = [float(1 / (1 + (-x).exp())) for x in logistic]  # 28 digits round to the same double
    quadratic, sigmoid = 1.0, 1.0
    named = (Schedule.named(name).alpha_bar for name in ("quadratic", "sigmoid"))
    for root, share, q, s in zip(roots, shares, *named, strict=True):
        quadratic *= 1 - root * root
        sigmoid *= 1 - (1e-4 + (0.02 - 1e-4) * share)
        assert (q, s) == (quadratic, sigmoid)
    libm = 1e-4 + 0.0199 / (1 + np.exp(-np.linspace(-6, 6, 1000)))
    np.testing.assert_allclose(Schedule.named("sigmoid").betas, libm, rtol=1e-10)


def test_cosine_is_improved_ddpms():
    s = Schedule.named("cosine", T=1000)
    t = np.arange(1, 1000)
    f = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(s.alpha_bar[:-1], f / np.cos(0.008 / 1.008 * np.pi / 2) ** 2, 1e-9)
    assert s.betas[-1] == pytest.approx(0.999)  # clipped: without that alpha_bar_T is 0
    assert s.betas[:-1].max() < 0.999


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("T", [100, 300, 4000])
def test_other_T_end_in_about_the_same_noise(name, T):
    s, reference = Schedule.named(name, T), Schedule.named(name, 1000)
    assert s.T == T and (np.diff(s.v) > 0).all()
    assert s.betas.max() <= 0.999 + 1e-12
    if name != "cosine":  # there the clip decides, see above
        assert np.log10(s.v[-1]) == pytest.approx(np.log10(reference.v[-1]), abs=0.5)


@patient
@given(subsets)
def test_any_subset_is_a_chain_with_the_same_marginals(steps):
    full = Schedule.named("linear")
    part = full.subset(steps)
    np.testing.assert_array_equal(part.v, full.v[np.array(steps) - 1])  # to the bit
    np.testing.assert_allclose(np.cumprod(1 - part.betas), part.alpha_bar, rtol=1e-11)
    assert (part.betas > 0).all() and (part.betas < 1).all()
    assert part.timesteps.tolist() == steps


@patient
@given(subsets)
def test_transitions_of_a_subset_multiply_to_the_marginal(steps):
    part = Schedule.named("cosine").subset(steps)
    scale, variance = 1.0, 0.0  # x_t = scale x_0 + N(0, variance), step by step through q (eq. 2)
    for t in range(part.T):
        scale *= np.sqrt(1 - part.betas[t])
        variance = (1 - part.betas[t]) * variance + part.betas[t]
        assert scale**2 == pytest.approx(part.alpha_bar[t], rel=1e-10)
        assert variance == pytest.approx(1 - part.alpha_bar[t], rel=1e-9)


def test_subset_of_a_subset_keeps_the_original_numbers():
    part = Schedule.named("linear").subset([1, 10, 100, 1000])
    assert part.subset([2, 4]).timesteps.tolist() == [10, 1000]


@pytest.mark.parametrize("steps", [[], [0, 1], [1, 1001], [3, 2], [5, 5]])
def test_bad_subsets_are_refused(steps):
    with pytest.raises(ValueError, match="timesteps"):
        Schedule.named("linear").subset(steps)


@patient
@given(st.integers(2, 1000))
def test_respaced_keeps_both_ends_and_is_even(n):
    t = Schedule.named("linear").respaced(n).timesteps
    assert len(t) == n and t[0] == 1 and t[-1] == 1000
    np.testing.assert_allclose(t, np.linspace(1, 1000, n), atol=0.5001)


def test_parse_steps():
    full = Schedule.named("linear")
    assert parse_steps("ddpm:1000") == full.v[::-1].tolist()
    assert parse_steps("ddpm:50") == parse_steps("linear:50")
    v = parse_steps("ddpm:50")
    assert len(v) == 50 and v == sorted(v, reverse=True)
    assert v[0] == full.v[-1] and v[-1] == full.v[0]
    assert parse_steps("cosine:100")[0] == Schedule.named("cosine").v[-1]
    assert parse_steps("quadratic:2") == Schedule.named("quadratic").v[[999, 0]].tolist()


@pytest.mark.parametrize(
    "text", ["ddpm", "ddpm:", "ddpm:1", "ddpm:1001", "ddpm:-5", "ddpm:5.0", "ddpm:²", "x:50", ":50"]
)
def test_parse_steps_refuses(text):
    with pytest.raises(ValueError):
        parse_steps(text)


def test_tables_cannot_be_written_to():
    with pytest.raises(ValueError):
        Schedule.named("linear").alpha_bar[0] = 0.5


def test_unknown_names_and_lengths_are_refused():
    with pytest.raises(ValueError, match="linear, quadratic, sigmoid, cosine"):
        Schedule.named("cubic")
    with pytest.raises(ValueError, match="at least one"):
        Schedule.named("linear", T=0)
