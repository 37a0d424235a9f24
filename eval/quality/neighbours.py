"""Precision and recall of samples (Kynkaanniemi et al. 2019): sets as manifolds, by neighbours.

The manifold of a set is all that lies as near to one of its points as that point's K-th neighbour
in the set. Precision is the share of the samples in the manifold of the reference, recall the share
of the reference in that of the samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64
from diffcodec.errors import DataError

K = 3
ROWS = 1000  # distances of so many points at a time
TINY = 1e-6  # of the largest norm: what distances are off by


def radii(points: Float64, k: int = K) -> Float64:
    """The distance of each point (N, D) to its k-th neighbour among the others: (N,).

    Raises DataError for fewer than k + 1 points.
    """
    if len(points) <= k:
        raise DataError(f"precision and recall need more than {k} images in each set")
    import torch

    found = []
    for part in _distances(points, points):
        found.append(torch.from_numpy(part).kthvalue(k + 1, dim=1).values.numpy())
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class Covered:
    """Which points lie in whose ball. inside: bit by bit, (centres, points / 8) uint8."""

    inside: NDArray[np.uint8]
    points: int

    @staticmethod
    def by(centres: Float64, radius: Float64, points: Float64) -> Covered:
        """Balls around centres (M, D) with radii (M,); points: (N, D)."""
        slack = TINY * max(float(np.linalg.norm(of, axis=1).max()) for of in (centres, points))
        first, rows = 0, []
        for part in _distances(centres, points):
            balls = radius[first : first + len(part), None] + slack
            rows.append(np.packbits(part <= balls, axis=1))
            first += len(part)
        return Covered(np.concatenate(rows), len(points))

    def share(self, centres: NDArray[np.int64] | None = None) -> float:
        """The share of the points that lie in a ball; centres: only in balls of these."""
        rows = self.inside if centres is None else self.inside[np.unique(centres)]
        return int(_bits(rows, self.points).sum()) / self.points

    def each(self) -> NDArray[np.bool_]:
        """Does a point lie in a ball? (points,)."""
        return _bits(self.inside, self.points).astype(bool)


def _bits(rows: NDArray[np.uint8], points: int) -> NDArray[np.uint8]:
    """Whether a point lies in a ball of any of the rows: (points,), 0 or 1."""
    return np.unpackbits(np.bitwise_or.reduce(rows, axis=0), count=points)


def _distances(a: Float64, b: Float64) -> Iterator[Float64]:
    """ROWS of the distances of a (M, D) to b (N, D) at a time: (<= ROWS, N)."""
    import torch

    other = torch.from_numpy(np.ascontiguousarray(b))
    for first in range(0, len(a), ROWS):
        part = torch.from_numpy(np.ascontiguousarray(a[first : first + ROWS]))
        yield torch.cdist(part, other).numpy()
