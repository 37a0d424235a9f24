"""Three forms of score matching on a density whose score is known: one minimum.

A model s_theta of the score s(y) = d/dy log q(y) is fitted by either of

    explicit (ESM):   1/2 E |s_theta(y) - s(y)|^2                     needs the score
    implicit (ISM):   E [1/2 s_theta(y)^2 + s_theta'(y)]              needs samples and a derivative
    denoising (DSM):  1/2 E |s_theta(y) - d/dy log q(y | x0)|^2       needs samples and their noise

The second is the first up to a constant, by partial integration (Hyvarinen 2005, theorem 1; NCSN
eq. 1; sliced score matching, eq. 3, is the same in one dimension). The third is the first for
y = x0 + n, up to another constant, as s(y) = E[d/dy log q(y | x0) | y] (Vincent 2011, section 4;
NCSN eq. 2), and with Gaussian noise, d/dy log q(y | x0) = (x0 - y) / v, it is what networks of
DDPM are trained with (training/objective.py).

Here q is a mixture of Gaussians in one dimension and s_theta = theta . phi(y), so that each
objective is a quadratic function of theta and every expectation a sum, exact to many digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64

NODES = 120  # of the Gauss-Hermite quadrature
Features = Callable[[Float64], Float64]  # phi: (N,) -> (P, N); or their derivatives


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_k weight_k N(mean_k, variance_k): (K,) float64 each, weights that sum to 1."""

    weight: Float64
    mean: Float64
    variance: Float64

    def noisy(self, v: float) -> Mixture:
        """Of y = x0 + n, n ~ N(0, v)."""
        return Mixture(self.weight, self.mean, self.variance + v)

    def score(self, y: Float64) -> Float64:
        """d/dy log q(y): (N,) -> (N,)."""
        return np.asarray((self._share(y) * self._pull(y)).sum(axis=0))

    def x0_hat(self, y: Float64, v: float) -> Float64:
        """E[x0 | y], the best denoiser of this source: (N,) -> (N,)."""
        noisy = self.noisy(v)
        wiener = (self.variance / noisy.variance)[:, None]
        each = self.mean[:, None] + wiener * (y - self.mean[:, None])
        return np.asarray((noisy._share(y) * each).sum(axis=0))

    def nodes(self) -> tuple[Float64, Float64]:
        """Points (N,) and weights (N,): sums over them are expectations of smooth functions."""
        z, share = _gauss()
        points = self.mean[:, None] + np.sqrt(self.variance)[:, None] * z
        return points.ravel(), (self.weight[:, None] * share).ravel()

    def _pull(self, y: Float64) -> Float64:
        return (self.mean[:, None] - y) / self.variance[:, None]  # (K, N)

    def _share(self, y: Float64) -> Float64:
        """Of each Gaussian in q(y): (K, N)."""
        scale = np.log(self.weight) - np.log(self.variance) / 2
        log = scale[:, None] - (y - self.mean[:, None]) ** 2 / (2 * self.variance[:, None])
        share = np.exp(log - log.max(axis=0))
        return np.asarray(share / share.sum(axis=0))


@dataclass(frozen=True, eq=False)
class Quadratic:
    """J(theta) = 1/2 theta' A theta - b' theta + c; A: (P, P), b: (P,)."""

    A: Float64
    b: Float64
    c: float

    def __call__(self, theta: Float64) -> float:
        return float(theta @ self.A @ theta / 2 - self.b @ theta + self.c)

    @property
    def minimiser(self) -> Float64:
        """Where its gradient, A theta - b, is 0."""
        return np.asarray(np.linalg.solve(self.A, self.b))


def explicit(q: Mixture, phi: Features) -> Quadratic:
    """ESM: 1/2 E |theta . phi(y) - s(y)|^2 for y ~ q."""
    y, weight = q.nodes()
    return _squares(phi(y), q.score(y), weight)


def implicit(q: Mixture, phi: Features, slope: Features) -> Quadratic:
    """ISM: E [1/2 (theta . phi(y))^2 + theta . phi'(y)] for y ~ q; slope: phi'."""
    y, weight = q.nodes()
    features = phi(y)
    return Quadratic((weight * features) @ features.T, -slope(y) @ weight, 0.0)


def denoising(p: Mixture, v: float, phi: Features) -> Quadratic:
    """DSM: 1/2 E |theta . phi(y) - (x0 - y) / v|^2 for y = x0 + n, x0 ~ p, n ~ N(0, v)."""
    x0, of_x0 = p.nodes()
    z, share = _gauss()
    noise = np.sqrt(v) * z
    y, weight = (x0[:, None] + noise).ravel(), (of_x0[:, None] * share).ravel()
    return _squares(phi(y), np.tile(-noise / v, len(x0)), weight)


def _squares(features: Float64, target: Float64, weight: Float64) -> Quadratic:
    """1/2 sum of weight |theta . features - target|^2."""
    weighted = weight * features
    c = float(weight @ target**2) / 2
    return Quadratic(weighted @ features.T, weighted @ target, c)


def _gauss() -> tuple[Float64, Float64]:
    """z and their weights for expectations over N(0, 1)."""
    z, weight = np.polynomial.hermite_e.hermegauss(NODES)
    return z, weight / np.sqrt(2 * np.pi)
