"""Weighted least squares with a ridge: what regression.h does, in numpy.

A Gram (VECTORS LANES,) holds rows j of the sums  w f_j f_i  for i from the group of sixteen that j
lies in; the last of the regressors is the target. Its square (n, n) has the same numbers at [j, i],
and left of them, where a kernel has nothing, numbers that are never read.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.level import LANES
from diffcodec.bitstream.adaptive.vector import ONE, ZERO, Single, sum_groups
from diffcodec.bitstream.types import Float32

MOST_GROUPS = 4
MOST = LANES * MOST_GROUPS
RIDGE = 0.15
LARGEST = 64.0  # weight; what is larger, or no number, counts as 0

Places = tuple[NDArray[np.intp], NDArray[np.intp]]


@cache
def places(groups: int) -> Places:
    """The row j and the column i of every number of a Gram."""
    n = LANES * groups
    rows, columns = np.indices((n, n))
    there = columns >= rows // LANES * LANES
    return rows[there], columns[there]


def gram_size(groups: int) -> int:
    """Numbers of a Gram."""
    return LANES * LANES * groups * (groups + 1) // 2


def sum_products(samples: Float32, w: Float32) -> Float32:
    """The Gram of  w f f^T  over samples (n, LANES groups) with weights (n,), in their order."""
    rows, columns = places(samples.shape[1] // LANES)
    total = np.zeros(len(rows), np.float32)
    for sample, weight in zip(samples, w, strict=True):
        total += (weight * sample)[rows] * sample[columns]
    return total


def fold_in(gram: Float32, decay: float, sums: Float32) -> None:
    """The sums are added to a Gram, which is worth less than they are."""
    gram[:] = gram * decay + sums


def square(groups: int, gram: Float32) -> Float32:
    """(n, n) of a Gram."""
    a = np.zeros((LANES * groups, LANES * groups), np.float32)
    a[places(groups)] = gram
    return a


def factorise(a: Float32, n: int) -> None:
    """Cholesky's factor in place of a square, of the first n regressors.

    The diagonal becomes its inverse, 0 for a regressor that the ones before explain: its weight is
    0. Rounding may leave anything in a Gram that is nearly singular, even what is no number;
    weights_of lets none of it out.
    """
    for j in range(n):
        row = a[j, j // LANES * LANES :]
        pivot = a[j, j] * 1.000001 + RIDGE
        inverse: Single = ONE / np.sqrt(pivot) if pivot > Single(0.5) * Single(RIDGE) else ZERO
        row *= inverse
        a[j, j] = inverse
        a[j + 1 : n, j // LANES * LANES :] -= a[j, j + 1 : n, None] * row


def weights_of(factor: Float32, n: int) -> Float32:
    """The weights (LANES groups,) of the first n regressors; the others' are 0."""
    w = np.zeros(len(factor), np.float32)
    end = (n - 1) // LANES * LANES + LANES
    for j in range(n - 1, -1, -1):
        first = j // LANES * LANES
        products = factor[j, first:end] * w[first:end]
        more = sum_groups(products.reshape(-1, LANES))
        w[j] = (factor[j, -1] - more) * factor[j, j]
    return np.where((w <= LARGEST) & (w >= -LARGEST), w, ZERO)


def predict(weights: Float32, regressors: Float32) -> Float32:
    """(..., LANES groups) weights, (LANES groups,) regressors -> (...)."""
    products = weights * regressors
    return sum_groups(products.reshape(*products.shape[:-1], -1, LANES))
