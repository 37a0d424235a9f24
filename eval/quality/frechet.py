"""The Frechet distance of two sets of features, each taken for a Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64


@dataclass(frozen=True, eq=False)
class Moments:
    """mean: (D,); covariance: (D, D), that of the sample (n - 1)."""

    mean: Float64
    covariance: Float64

    @staticmethod
    def of(features: Float64) -> Moments:
        """Of (N, D) features, N at least 2."""
        return Moments(features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False)))


class Frechet:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) to one reference (Dowson and Landau 1982).

    In Inception's features it is FID; in other features it is called by what they are.
    """

    def __init__(self, reference: Moments) -> None:
        self.reference = reference
        self.root = _root(reference.covariance)

    def __call__(self, other: Moments) -> float:
        """Never below 0. (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2), R^2 = C1: symmetric."""
        difference = self.reference.mean - other.mean
        product = self.root @ other.covariance @ self.root
        shared = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
        spread = np.trace(self.reference.covariance) + np.trace(other.covariance)
        return max(0.0, float(difference @ difference + spread - 2 * shared))


def _root(covariance: Float64) -> Float64:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)
