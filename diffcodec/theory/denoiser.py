"""Denoisers: everything that turns a noisy state into an estimate of the image.

A denoiser sees `y = x0 + n`, `n ~ N(0, v)`, in units of x0 (pixels scaled to [-1, 1]) and returns
`x0_hat`. Networks, their exact integer forms and the two analytic denoisers below all look alike.
The analytic ones have known answers, so that whatever is built on a denoiser can be tested against
theory without training anything: one that knows x0 must cost 0 bits, and the Gaussian one must
meet its rate-distortion curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcodec.bitstream.types import Float32, Float64

AXES = (-3, -2, -1)  # of the DCT: channels, rows, columns


class Denoiser(Protocol):
    """`x0_hat = denoiser(y, v)`: what the codec is built on."""

    def __call__(self, y: Float32, v: float) -> Float32:
        """`y`: (C, H, W) float32, x0 plus noise of variance `v` > 0, finite, in x0 units.

        Returns x0_hat: (C, H, W) float32, not necessarily inside [-1, 1].
        """
        ...


class BatchDenoiser(Protocol):
    """The same for many images at once: what likelihood evaluation is built on."""

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        """`y`: (N, C, H, W) float32; `v`: one variance or (N,), one for each image.

        Returns x0_hat: (N, C, H, W) float32.
        """
        ...


@runtime_checkable
class VarianceDenoiser(Protocol):
    """A BatchDenoiser that knows how sure it is: the variance of p_theta is learned."""

    def with_variance(self, y: Float32, v: float | Float64) -> tuple[Float32, Float32]:
        """As `batch`: x0_hat, and of its shape, where log sigma^2 lies between beta_tilde's (0)
        and beta's (1), not necessarily inside."""
        ...


@dataclass(frozen=True, eq=False)
class OracleDenoiser:
    """Knows the answer: every step of a correct codec costs it 0 bits.

    `x0`: (C, H, W), or (N, C, H, W) for batches of exactly these images.
    """

    x0: Float32

    def __call__(self, y: Float32, v: float) -> Float32:
        assert y.shape == self.x0.shape and 0 < v < np.inf
        return self.x0.astype(np.float32)

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        assert y.ndim == 4
        return np.broadcast_to(self.x0, y.shape).astype(np.float32)


class GaussianDenoiser:
    """The optimal denoiser of a Gaussian source, `x0 ~ N(mean, Q' diag(variance) Q)`.

    `mean` and `variance` are scalars or broadcast to (C, H, W). `basis` is Q: "pixel" (the
    variance of each pixel) or "dct" (the variance of each coefficient of the orthonormal
    three-dimensional DCT-II over channels, rows and columns: a stationary source with any
    spectrum). All rates are in bits/dim, all distortions in x0 units squared.
    """

    def __init__(
        self, mean: ArrayLike, variance: ArrayLike, basis: Literal["pixel", "dct"] = "pixel"
    ) -> None:
        self.mean = np.asarray(mean, dtype=np.float64)
        self.variance = np.asarray(variance, dtype=np.float64)
        self.basis = basis
        assert self.mean.ndim <= 3 and self.variance.ndim <= 3 and (self.variance >= 0).all()

    def __call__(self, y: Float32, v: float) -> Float32:
        assert y.ndim == 3
        return self.batch(y[None], v).reshape(y.shape)

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        assert y.ndim == 4 and (np.asarray(v) > 0).all() and np.isfinite(v).all()
        v = np.broadcast_to(np.asarray(v, dtype=np.float64), len(y)).reshape(-1, 1, 1, 1)
        wiener = self.variance / (self.variance + v)  # E[z0 | z] = wiener * z for each coefficient
        x0_hat = self.mean + self._inverse(wiener * self._forward(y - self.mean))
        assert x0_hat.shape == y.shape
        return np.asarray(x0_hat, dtype=np.float32)

    def sample(self, n: int, shape: tuple[int, int, int], rng: np.random.Generator) -> Float64:
        """n images from the source: (n, *shape) float64, not clipped to [-1, 1]."""
        z = np.sqrt(self.variance) * rng.standard_normal((n, *shape))
        return np.asarray(self.mean + self._inverse(z))

    def mse(self, v: float) -> float:
        """D(v): mean squared error per dimension of x0_hat at noise variance v (may be inf)."""
        if np.isinf(v):
            return float(self.variance.mean())
        return float((self.variance * v / (self.variance + v)).mean())

    def information_bpd(self, v: float) -> float:
        """I(x0; y) = 1/2 log2(1 + variance/v): what a diffusion codec spends to reach noise v."""
        return float(0.5 * np.log2(1 + self.variance / v).mean())

    def nll_bpd(self, x0: Float64) -> Float64:
        """-log2 of the density in x0 units, per dimension: (N, C, H, W) -> (N,) float64."""
        assert x0.ndim == 4 and (self.variance > 0).all()
        z2 = self._forward(x0 - self.mean) ** 2 / self.variance
        nats = 0.5 * (z2 + np.log(2 * np.pi * self.variance))
        return np.asarray(nats.mean(axis=(1, 2, 3)) / np.log(2))

    def entropy_bpd(self) -> float:
        """Differential entropy in x0 units: 1/2 log2(2 pi e variance)."""
        return float(0.5 * np.log2(2 * np.pi * np.e * self.variance).mean())

    def rate_bpd(self, distortion: float) -> float:
        """R(D) by reverse water-filling (Cover & Thomas, theorem 10.3.3).

        A diffusion codec that stops at noise v spends `information_bpd(v) >= rate_bpd(mse(v))`:
        Gaussian noise is the optimal test channel only where all variances are equal. Raises
        ValueError unless distortion > 0.
        """
        if distortion <= 0:
            raise ValueError("R(D) of a Gaussian source is infinite at distortion 0")
        low, high = 0.0, float(self.variance.max())  # the water level, by bisection
        if distortion >= self.variance.mean():
            return 0.0
        for _ in range(200):
            level = 0.5 * (low + high)
            if np.minimum(level, self.variance).mean() < distortion:
                low = level
            else:
                high = level
        return float(0.5 * np.log2(np.maximum(self.variance / high, 1)).mean())

    def _forward(self, x: NDArray[np.floating]) -> Float64:
        z = np.asarray(x, dtype=np.float64)
        if self.basis == "pixel":
            return z
        from scipy.fft import dctn  # the codec needs no scipy

        return np.asarray(dctn(z, axes=AXES, norm="ortho"))

    def _inverse(self, z: Float64) -> Float64:
        if self.basis == "pixel":
            return z
        from scipy.fft import idctn

        return np.asarray(idctn(z, axes=AXES, norm="ortho"))
