"""Decimals against floats, and against whatever the calling thread's context asks for."""

from __future__ import annotations

import math
from decimal import ROUND_UP, Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.bitstream import gaussian, rate
from diffcodec.bitstream.decimals import PI, PowerCurve, cosines, power_of_two, rounded_log2
from diffcodec.bitstream.pixels import SIGMAS, sigma_of
from diffcodec.bitstream.trellis import Trellis

patient = settings(deadline=None)  # a busy machine is not a failure


def test_powers_and_sigmas() -> None:
    for i in range(-400, 161):
        assert rate.energy_of(i) == pytest.approx(2.0 ** (i / 16), rel=1e-14)
    assert [rate.energy_of(16 * k) for k in (-3, 0, 5)] == [0.125, 1.0, 32.0]
    assert power_of_two(3, 8) ** 8 == pytest.approx(Decimal(8))
    for i in range(SIGMAS):
        assert sigma_of(i) == round(2 ** (i / 8 - 5) * (1 << 20)) / (1 << 20)


@patient
@given(st.floats(1e-12, 1e12), st.sampled_from([8, 16]))
def test_logarithms_are_rounded(x: float, scale: int) -> None:
    assert abs(rounded_log2(x, scale) - scale * math.log2(x)) <= 0.5 + 1e-9
    assert rounded_log2(2.0**0.5, 1) == 1  # the double is above the root of 2
    assert [rounded_log2(2.0**k, scale) for k in (-7, 0, 9)] == [-7 * scale, 0, 9 * scale]


def test_cosines() -> None:
    found = cosines(Decimal("0.1"), PI / 2001, 1000)
    expected = np.cos(0.1 + np.arange(1000) * np.pi / 2001)
    np.testing.assert_allclose([float(c) for c in found], expected, atol=1e-15)
    with localcontext(Context(prec=50)):
        thirds = cosines(Decimal(0), PI / 3000, 1001)  # up to pi / 3
        assert abs(thirds[1000] - Decimal("0.5")) < Decimal("1e-45")


@patient
@given(st.floats(1e-6, 1e6))
def test_a_curve_is_straight_between_logarithms(x: float) -> None:
    nodes, values = [1e-3, 0.5, 2.0, 900.0], [0.01, 0.5, 0.3, 0.3]
    curve = PowerCurve(nodes, values)
    log = np.interp(math.log(x), np.log(nodes), np.log(values))
    assert curve(x) == pytest.approx(math.exp(log), rel=1e-12)
    assert [curve(node) for node in nodes] == pytest.approx(values, rel=1e-15)
    assert (curve(1e-9), curve(1e9)) == (0.01, 0.3)


def test_the_callers_context_does_not_matter() -> None:
    """A program that computes money with 4 digits, rounded up, gets the same bits."""

    def everything() -> list[object]:
        for cached in (rate.scale_for, rate.energy_of, rate.half_log2, sigma_of):
            cached.cache_clear()  # type: ignore[attr-defined]
        curve = PowerCurve([0.1, 3.0], [0.2, 0.7])
        return [
            *(Trellis(14).bits(3072, i) for i in range(-400, 161, 7)),
            *(rate.scale_for(i) for i in range(-400, 161, 7)),
            *(sigma_of(i) for i in range(SIGMAS)),
            *(curve(x) for x in (0.05, 0.11, 1.0, 2.9)),
            *(rounded_log2(x, 16) for x in (0.3, 1.7, 1e9)),
            *(gaussian._exactly(step, 1 << 20, 256) for step in (-384, -70, 0, 1, 200)),
            cosines(Decimal("0.1"), Decimal("0.001"), 20),
        ]

    usual = everything()
    with localcontext(Context(prec=4, rounding=ROUND_UP)):
        assert everything() == usual
