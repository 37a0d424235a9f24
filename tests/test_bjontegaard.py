"""BD-rate and BD-PSNR against closed forms, and refusal where curves do not meet."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec.eval.rd.bjontegaard import Operating, OverlapError, bd_quality, bd_rate

RATE = [0.1, 0.2, 0.45, 1.0, 2.0]
QUALITY = [24.0, 28.5, 32.0, 37.0, 41.0]
CURVE = Operating("a", RATE, QUALITY)


@pytest.mark.parametrize("factor", [1.1, 0.8, 1.0])
def test_a_curve_that_needs_so_many_percent_more_bits(factor: float) -> None:
    other = Operating("b", [factor * rate for rate in RATE], QUALITY)
    assert bd_rate(CURVE, other) == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert bd_rate(other, CURVE) == pytest.approx(100 * (1 / factor - 1), abs=1e-9)


def test_a_curve_that_is_so_many_decibels_better() -> None:
    better = Operating("b", RATE, [quality + 1.5 for quality in QUALITY])
    assert bd_quality(CURVE, better) == pytest.approx(1.5)
    assert bd_rate(CURVE, better) < -10


def test_straight_lines_with_points_elsewhere() -> None:
    """PSNR = 30 + 5 log2(rate): a factor f in rate is 5 log2(f) dB, wherever the points lie."""

    def line(rates: list[float], factor: float) -> Operating:
        return Operating("line", rates, (30 + 5 * np.log2(np.array(rates) / factor)).tolist())

    here, there = line([0.1, 0.3, 0.5, 2.0], 1.0), line([0.15, 0.2, 0.9, 1.1, 3.0], 1.25)
    assert bd_quality(here, there) == pytest.approx(-5 * np.log2(1.25))
    assert bd_rate(here, there) == pytest.approx(25.0)


def test_order_and_points_that_are_worse_for_more_bits_do_not_matter() -> None:
    rates, qualities = [*RATE, 0.5, 2.0], [*QUALITY, 31.0, 40.0]
    other = Operating("b", [1.1 * r for r in rates[::-1]], qualities[::-1])
    assert bd_rate(CURVE, other) == pytest.approx(10.0)


@pytest.mark.parametrize(
    "other",
    [
        Operating("b", [5.0, 6.0, 7.0], [50.0, 51.0, 52.0]),  # beyond it
        Operating("b", [2.0, 3.0, 4.0], [41.0, 42.0, 43.0]),  # one point in common
        Operating("b", [0.05, 5.0], [10.0, 60.0]),  # no points of its own in there
        Operating("b", [], []),
    ],
)
def test_curves_that_share_too_little_are_refused(other: Operating) -> None:
    for measure in (bd_rate, bd_quality):
        with pytest.raises(OverlapError, match="b and a cannot be compared: the curves overlap"):
            measure(CURVE, other)
