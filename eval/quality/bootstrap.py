"""How far a measure of samples would move if others were drawn: the bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 200


@dataclass(frozen=True)
class Estimate:
    """A value with its interval at LEVEL, None where it was not asked for."""

    value: float
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        interval = None if self.interval is None else [round(x, 6) for x in self.interval]
        return {"value": round(self.value, 6), "interval": interval}


def bootstrap(
    value: float,
    again: Callable[[NDArray[np.int64]], float],
    count: int,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """A value and how its like vary over sets of `count` samples, drawn with replacement.

    again: the measure of samples by number, (count,). The interval is around the value what the
    draws are around their own mean: a set with repetitions measures worse than one without, and
    that is no doubt about the value. Nor is the bias in it that all sets of `count` samples share;
    the floor shows that. draws: 0 for no interval.
    """
    if draws == 0:
        return Estimate(value)
    rng = np.random.default_rng(seed)
    found = np.array([again(rng.integers(count, size=count)) for _ in range(draws)])
    low, high = np.quantile(found - found.mean(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, (value + float(low), value + float(high)))
