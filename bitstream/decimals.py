"""Logarithms, powers and cosines that are the same on every machine.

A libm may round them as it likes, so what decides about bits or pixels is computed here: in
decimals of 50 digits, and then rounded once, to an integer or a double. What is asked for is a real
number; 50 digits decide how to round it, in whatever way they were reached.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")


def in_decimals(function: Callable[P, R]) -> Callable[P, R]:
    """Let operators on Decimal work with 50 digits, whatever the calling thread's context."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(_CONTEXT):
            return function(*args, **kwargs)

    return inside


@lru_cache(maxsize=1)
@in_decimals
def ln2() -> Decimal:
    """The natural logarithm of 2."""
    return Decimal(2).ln()


@lru_cache(maxsize=4096)
@in_decimals
def ln(x: float) -> Decimal:
    """Natural logarithm of a double, x > 0."""
    return Decimal(x).ln()


@in_decimals
def rounded_log2(x: float, scale: int) -> int:
    """scale * log2(x) of a double, x > 0, rounded; ties go to the even number."""
    return round(scale * ln(x) / ln2())


@in_decimals
def power_of_two(numerator: int, denominator: int) -> Decimal:
    """2^(numerator / denominator)."""
    return (ln2() * numerator / denominator).exp()


@in_decimals
def cosines(start: Decimal, step: Decimal, count: int) -> list[Decimal]:
    """cos(start + i step), i = 0 .. count - 1, for angles below 2, by turning a unit vector.

    Each turn loses a unit of the 50th digit, so 1000 of them leave 46.
    """
    x, y = _cos_sin(start)
    turn_x, turn_y = _cos_sin(step)
    found = []
    for _ in range(count):
        found.append(x)
        x, y = x * turn_x - y * turn_y, x * turn_y + y * turn_x
    return found


def _cos_sin(angle: Decimal) -> tuple[Decimal, Decimal]:
    """Taylor's series."""
    sums, term, k = [Decimal(1), Decimal(0)], Decimal(1), 0
    while abs(term) > Decimal("1e-55"):
        k += 1
        term = term * angle / k
        sums[k % 2] += -term if k % 4 in (2, 3) else term
    return sums[0], sums[1]


class PowerCurve:
    """y(x) through given points: a power of x between two of them, constant beyond the ends.

    That is linear interpolation of ln y over ln x. x: increasing; both positive.
    """

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self.x, self.y = [float(a) for a in x], [float(b) for b in y]
        self._known: dict[float, float] = {}

    def __call__(self, x: float) -> float:
        """y(x), the real number rounded to a double."""
        if x not in self._known:
            self._known[x] = self._at(x)
        return self._known[x]

    @in_decimals
    def _at(self, x: float) -> float:
        if x <= self.x[0]:
            return self.y[0]
        if x >= self.x[-1]:
            return self.y[-1]
        i = bisect_left(self.x, x) - 1
        (x0, y0), (x1, y1) = ((ln(self.x[j]), ln(self.y[j])) for j in (i, i + 1))
        return float((y0 + (y1 - y0) * (ln(x) - x0) / (x1 - x0)).exp())
