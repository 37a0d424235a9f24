"""How far two rate-distortion curves lie apart on average: BD-rate and BD-PSNR (Bjontegaard 2001).

Between the points log rate is a piecewise cubic of quality, and quality one of log rate: pchip,
which overshoots nowhere, instead of the one cubic of the first proposal. The mean is over what both
curves cover, and there must be enough of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64

POINTS = 2  # of each curve that must lie where both are


class OverlapError(ValueError):
    """Two curves that cannot be compared."""


@dataclass(frozen=True)
class Operating:
    """Points of a curve: rates (bpp, or any unit) and qualities (dB), finite, in any order."""

    name: str
    rate: Sequence[float]
    quality: Sequence[float]

    def frontier(self) -> tuple[Float64, Float64]:
        """Log rates and qualities, both strictly rising; points that are no better for more go."""
        pairs = sorted(zip(self.rate, self.quality, strict=True))
        kept: list[tuple[float, float]] = []
        for rate, quality in pairs:
            if not kept or (rate > kept[-1][0] and quality > kept[-1][1]):
                kept.append((rate, quality))
            elif rate == kept[-1][0] and quality > kept[-1][1]:
                kept[-1] = (rate, quality)
        rates, qualities = np.array(kept, np.float64).reshape(-1, 2).T
        return np.log(rates), qualities


def bd_rate(reference: Operating, other: Operating) -> float:
    """How many percent more bits `other` needs for equal quality, negative where it needs fewer.

    Raises OverlapError if the curves share too little of the quality axis.
    """
    (log_a, a), (log_b, b) = reference.frontier(), other.frontier()
    difference = _mean_difference((a, log_a), (b, log_b), reference, other, "quality")
    return float(100 * np.expm1(difference))


def bd_quality(reference: Operating, other: Operating) -> float:
    """How many dB `other` is better at equal rate, negative where it is worse (BD-PSNR).

    Raises OverlapError if the curves share too little of the rate axis.
    """
    a, b = reference.frontier(), other.frontier()
    return _mean_difference(a, b, reference, other, "rate")


def _mean_difference(
    first: tuple[Float64, Float64],
    second: tuple[Float64, Float64],
    reference: Operating,
    other: Operating,
    axis: str,
) -> float:
    """Mean of second minus first, each (x, y), over the x that both have."""
    from scipy.interpolate import PchipInterpolator

    empty = not (first[0].size and second[0].size)
    low = 0.0 if empty else max(first[0][0], second[0][0])
    high = 0.0 if empty else min(first[0][-1], second[0][-1])
    inside = [int(np.sum((x >= low) & (x <= high))) for x, _ in (first, second)]
    if high <= low or min(inside) < POINTS:
        raise OverlapError(
            f"{other.name} and {reference.name} cannot be compared: the curves overlap too little "
            f"in {axis}"
        )
    areas = [float(PchipInterpolator(x, y).integrate(low, high)) for x, y in (first, second)]
    return (areas[1] - areas[0]) / float(high - low)
