"""Singles, every operation rounded on its own: what vector.h does, in numpy.

Functions take arrays, lanes last, and most of them a single too. A Python number next to a single
counts as a single; two singles never become a double. numpy's own sums are not used, as their order
is nobody's promise.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from diffcodec.bitstream.types import Float32, Int64

Single = np.float32
Number = float | np.float32
Singles = TypeVar("Singles", Float32, np.float32)

LIMITS = np.array([-2.0, -1.0, -0.35, 0.35, 1.0, 2.0], np.float32)  # of `seventh`
ZERO, ONE = Single(0), Single(1)


def at_least(x: Singles, least: Number) -> Singles:
    """`least` too where x is not a number."""
    larger: Singles = np.fmax(x, Single(least))
    return larger


def within(x: Singles, least: Number, most: Number) -> Singles:
    """`least` too where x is not a number."""
    inside: Singles = np.fmin(np.fmax(x, Single(least)), Single(most))
    return inside


def within1(x: Single, least: Number, most: Number) -> Single:
    """As `within`; faster for one single."""
    if not x > least:
        return Single(least)
    return x if x < most else Single(most)


def clip(x: int, least: int, most: int) -> int:
    """x, or the limit that it is beyond."""
    return least if x < least else most if x > most else x


def sum_lanes(a: Float32) -> Float32:
    """(..., 2^n) -> (...): the upper half is added to the lower one until one lane is left."""
    while (half := a.shape[-1] // 2) > 1:
        a = a[..., :half] + a[..., half:]
    return a[..., 0] + a[..., 1]


def sum_of(a: Float32) -> Single:
    """As `sum_lanes`, of one vector (2^n,)."""
    while (half := len(a) // 2) > 1:
        a = a[:half] + a[half:]
    total: Single = a[0] + a[1]
    return total


def sum_groups(products: Float32) -> Float32:
    """(..., groups, LANES) -> (...): groups added in their order to 0, then the lanes."""
    total: Float32 = 0.0 + products[..., 0, :]
    for group in range(1, products.shape[-2]):
        total = total + products[..., group, :]
    return sum_lanes(total)


def in_order(a: Float32) -> Float32:
    """(n, ...) -> (...): added to the first, one after the other."""
    total: Float32 = np.add.accumulate(a, axis=0)[-1]
    return total


def sum_in_order(a: Float32) -> Single:
    """As `in_order`, of numbers (n,)."""
    total: Single = np.add.accumulate(a)[-1]
    return total


def log_2(x: Singles) -> Singles:
    """Of positive normal numbers, within 0.0011; exact at powers of two."""
    bits = x.view(np.int32)
    exponent = ((bits >> 23) - 127).astype(np.float32)
    m = ((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
    log: Singles = exponent + (((0.15638611 * m - 1.04640899) * m + 3.04452418) * m - 2.15450130)
    return log


def exp_2(x: Singles) -> Singles:
    """Of -64 < x < 64, within 6e-6 of the value."""
    n = (x + 64.0).astype(np.int32) - 64
    f = x - n.astype(np.float32)
    p = (((0.01368647 * f + 0.05175228) * f + 0.24156560) * f + 0.69299566) * f + 1.0
    power: Singles = (p.view(np.int32) + (n << 23)).view(np.float32)
    return power


def logistic(x: Singles) -> Singles:
    """1 / (1 + exp(-x)), of x within -20 .. 20."""
    chance: Singles = 1.0 / (1.0 + exp_2(within(x, -20.0, 20.0) * -1.44269504))
    return chance


def inverse_root(x: Singles) -> Singles:
    """1 / sqrt(x) of positive normal numbers, within 5e-6 of the value: two steps of Newton's."""
    y = (0x5F3759DF - (x.view(np.int32) >> 1)).view(np.float32)
    half = 0.5 * x
    y = y * (1.5 - half * y * y)
    root: Singles = y * (1.5 - half * y * y)
    return root


def seventh(x: Float32) -> Int64:
    """How many of 6 limits each of x (n,) reaches, 0 .. 6."""
    reached: Int64 = LIMITS.searchsorted(x, side="right")
    return reached
