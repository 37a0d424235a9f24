"""The variational bound of Ho et al. 2020 (DDPM), eq. 5: q, p_theta and the terms L_t.

Timesteps are the paper's t = 1..T; equation numbers are the paper's. Images are (N, C, H, W),
float64.

Eq. 16 sorts the same bound by what p_theta is to match, the reverse process of all images:

    L = KL(q(x_T) || p(x_T)) + sum_t E KL(q(x_{t-1} | x_t) || p_theta(x_{t-1} | x_t)) + H(x_0)

For Gaussian pixels q(x_{t-1} | x_t) is Gaussian, with the variance that is "widened" below. With
masks for noise, where x_t shows all but the first t of T coordinates, each term is the cost of one
coordinate given those that are shown: p_theta is an autoregressive model (section 4.3), and a
diffusion codec one whose order is coarse to fine instead of pixel by pixel. The two forms, and the
model of masks, are compared in tests/test_autoregressive.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32, Float64, Int64
from diffcodec.theory.denoiser import BatchDenoiser, VarianceDenoiser
from diffcodec.theory.gaussian import LN2, noise_variance
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY

Variance = Literal["beta", "beta_tilde", "learned", "widened"]

MOST = 200.0  # modulus of a learned log sigma^2: whatever the network says, sigma^2 is a number


def normal_kl(mean1: Float64, var1: Float64, mean2: Float64 | float, var2: Float64) -> Float64:
    """KL(N(mean1, var1) || N(mean2, var2)) of each dimension, in nats."""
    ratio = var1 / var2
    return np.asarray(0.5 * (ratio - 1 - np.log(ratio) + (mean1 - mean2) ** 2 / var2))


def discretized_gaussian_log_likelihood(x_0: Float64, mean: Float64, sigma: Float64) -> Float64:
    """log of the mass that N(mean, sigma^2) has in the bin of each pixel (DDPM eq. 13), in nats.

    `x_0`: pixels on the grid k/127.5 - 1; `mean`, `sigma` > 0: of its shape or broadcast to it.
    The bins of 0 and 255 extend to infinity, so the 256 masses sum to 1. Finite and accurate
    however far out the mean lies.
    """
    from scipy.special import log_ndtr  # the codec needs no scipy

    assert np.broadcast_shapes(x_0.shape, mean.shape, sigma.shape) == x_0.shape
    assert (sigma > 0).all()
    k = np.rint((x_0 + 1) * GREY)
    assert (np.abs(k / GREY - 1 - x_0) < 1e-5).all() and k.min() >= 0 and k.max() <= 255
    low = np.where(k == 0, -np.inf, ((k - 0.5) / GREY - 1 - mean) / sigma)
    high = np.where(k == 255, np.inf, ((k + 0.5) / GREY - 1 - mean) / sigma)
    # Above the mean both CDFs are 1 - tiny: take the mirror image, where both are tiny.
    flip = low + high > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    log_cdf_b = log_ndtr(b)
    gap = log_cdf_b - log_ndtr(a)  # > 0, inf at an edge; log(B - A) = log B + log(1 - e^-gap)
    return np.asarray(log_cdf_b + np.log(-np.expm1(-gap)))


@dataclass(frozen=True, eq=False)
class BpdTerms:
    """The variational bound of a batch, in bits/dim (DDPM eq. 5); float64.

    `total` = prior + sum of vb: (B,). `prior` = L_T: (B,). `vb`: (B, T), column t - 1 holds
    L_{t-1}: column 0 is L_0, the decoder's. `mse`: (B, T), mean squared error of x0_hat at t, in x0
    units. NaN stands for a term that was not evaluated.
    """

    total: Float64
    prior: Float64
    vb: Float64
    mse: Float64


@dataclass(frozen=True, eq=False)
class GaussianDiffusion:
    """q and p_theta of one schedule, with the names of Ho et al.'s code.

    `sigma2`: the variance of p_theta, "beta" or "beta_tilde" (DDPM section 3.2); "learned": the
    denoiser's, a VarianceDenoiser (improved DDPM, eq. 15); "widened": beta_tilde and what the error
    of x0_hat adds. `clip_denoised`: x0_hat is clipped to [-1, 1], as in DDPM's evaluation; off for
    data without bounds. `error`: (T,), the squared error of x0_hat that is expected at each t, for
    "widened", and for the decoder of all fixed kinds (`p_variance`).
    """

    schedule: Schedule
    sigma2: Variance = "beta"
    clip_denoised: bool = True
    error: Float64 | None = None

    def __post_init__(self) -> None:
        assert self.schedule.T >= 2, "the decoder's variance is that of the second step"
        assert self.error is None or self.error.shape == (self.schedule.T,)
        assert self.error is not None or self.sigma2 != "widened"

    @property
    def p_variance(self) -> Float64:
        """The variance of p_theta(x_{t-1} | x_t) where it is fixed: (T,) float64.

        At t = 1, the decoder's, it is the error expected of x0_hat. Without one it is beta_tilde_2
        as in Ho et al.'s code: beta_tilde_1 is 0, and beta_1 makes a worse decoder.
        """
        s = self.schedule
        if self.sigma2 == "widened" and self.error is not None:
            weight = np.sqrt(s.alpha_bar_prev) * s.betas / (1 - s.alpha_bar)  # of x_0 in eq. 7
            return np.asarray(s.beta_tilde + weight**2 * self.error)
        first = s.beta_tilde[1] if self.error is None else self.error[0]
        return np.append(first, (s.betas if self.sigma2 == "beta" else s.beta_tilde)[1:])

    def q_mean_variance(self, x_0: Float64, t: Int64) -> tuple[Float64, Float64]:
        """Of q(x_t | x_0) (eq. 4). `x_0`: (N, C, H, W), `t`: (N,). Variance: (N, 1, 1, 1)."""
        alpha_bar = self._at(self.schedule.alpha_bar, x_0, t)
        return np.sqrt(alpha_bar) * x_0, 1 - alpha_bar

    def q_sample(self, x_0: Float64, t: Int64, noise: Float64) -> Float64:
        """x_t ~ q(x_t | x_0) (eq. 4) from `noise` ~ N(0, 1) of x_0's shape."""
        assert noise.shape == x_0.shape
        mean, variance = self.q_mean_variance(x_0, t)
        return np.asarray(mean + np.sqrt(variance) * noise)

    def q_posterior_mean_variance(
        self, x_0: Float64, x_t: Float64, t: Int64
    ) -> tuple[Float64, Float64]:
        """Of q(x_{t-1} | x_t, x_0) (eqs. 6 and 7); the variance, (N, 1, 1, 1), is 0 at t = 1."""
        assert x_0.shape == x_t.shape
        s = self.schedule
        alpha_bar, alpha_bar_prev = (
            self._at(s.alpha_bar, x_0, t),
            self._at(s.alpha_bar_prev, x_0, t),
        )
        alpha, beta = self._at(s.alphas, x_0, t), self._at(s.betas, x_0, t)
        mean = (
            np.sqrt(alpha_bar_prev) * beta / (1 - alpha_bar) * x_0
            + np.sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar) * x_t
        )
        return mean, self._at(s.beta_tilde, x_0, t)

    def predict_x0(self, x_t: Float64, t: Int64, eps: Float64) -> Float64:
        """x0_hat = (x_t - sqrt(1 - alpha_bar) eps) / sqrt(alpha_bar) (eq. 15)."""
        assert x_t.shape == eps.shape
        alpha_bar = self._at(self.schedule.alpha_bar, x_t, t)
        return np.asarray((x_t - np.sqrt(1 - alpha_bar) * eps) / np.sqrt(alpha_bar))

    def predict_eps(self, x_t: Float64, t: Int64, x0_hat: Float64) -> Float64:
        """The noise that x0_hat implies: eq. 15 solved for eps."""
        assert x_t.shape == x0_hat.shape
        alpha_bar = self._at(self.schedule.alpha_bar, x_t, t)
        return np.asarray((x_t - np.sqrt(alpha_bar) * x0_hat) / np.sqrt(1 - alpha_bar))

    def p_mean_variance(
        self, denoiser: BatchDenoiser, x_t: Float64, t: Int64
    ) -> tuple[Float64, Float64, Float64]:
        """Mean and variance of p_theta(x_{t-1} | x_t), and x0_hat.

        q's posterior with x0_hat for x_0: eq. 11 with eps = predict_eps(x_t, t, x0_hat). The
        variance is `p_variance`, (N, 1, 1, 1), a learned one of x_t's shape; at t = 1 that lies
        between beta_tilde_2 and beta_1. Raises ValueError where a variance is to be learned and
        the denoiser has none.
        """
        alpha_bar = self._at(self.schedule.alpha_bar, x_t, t)
        y = (x_t / np.sqrt(alpha_bar)).astype(np.float32)
        x0_hat, variance = self._denoised(denoiser, y, noise_variance(alpha_bar).ravel(), t)
        assert x0_hat.shape == x_t.shape
        if self.clip_denoised:
            x0_hat = np.clip(x0_hat, -1, 1)
        mean, _ = self.q_posterior_mean_variance(x0_hat, x_t, t)
        return mean, variance, x0_hat

    def _denoised(
        self, denoiser: BatchDenoiser, y: Float32, v: Float64, t: Int64
    ) -> tuple[Float64, Float64]:
        """x0_hat and the variance of p_theta."""
        if self.sigma2 != "learned":
            return denoiser.batch(y, v).astype(np.float64), self._at(self.p_variance, y, t)
        if not isinstance(denoiser, VarianceDenoiser):
            raise ValueError("the network has no learned variance: choose beta or beta_tilde")
        x0_hat, share = denoiser.with_variance(y, v)
        beta, tilde = self.schedule.betas, self.schedule.beta_tilde
        tilde = np.append(tilde[1], tilde[1:])
        low, high = (self._at(np.log(table), y, t) for table in (tilde, beta))
        log_variance = np.clip(low + share.astype(np.float64) * (high - low), -MOST, MOST)
        return x0_hat.astype(np.float64), np.exp(log_variance)

    def vb_terms_bpd(
        self, denoiser: BatchDenoiser, x_0: Float64, x_t: Float64, t: Int64
    ) -> tuple[Float64, Float64]:
        """L_{t-1} (eq. 5; L_0 at t = 1) in bits/dim and the MSE of x0_hat: (N,) each."""
        true_mean, true_variance = self.q_posterior_mean_variance(x_0, x_t, t)
        mean, variance, x0_hat = self.p_mean_variance(denoiser, x_t, t)
        nats = np.empty_like(x_0)
        first = t == 1
        if first.any():
            sigma = np.sqrt(variance[first])
            nats[first] = -discretized_gaussian_log_likelihood(x_0[first], mean[first], sigma)
        late = ~first
        nats[late] = normal_kl(true_mean[late], true_variance[late], mean[late], variance[late])
        return _mean_flat(nats) / LN2, _mean_flat((x0_hat - x_0) ** 2)

    def prior_bpd(self, x_0: Float64) -> Float64:
        """L_T = KL(q(x_T | x_0) || N(0, 1)) in bits/dim: (N,)."""
        mean, variance = self.q_mean_variance(x_0, np.full(len(x_0), self.schedule.T))
        return _mean_flat(normal_kl(mean, variance, 0.0, np.ones_like(variance))) / LN2

    def calc_bpd_loop(
        self,
        denoiser: BatchDenoiser,
        x_0: Float64,
        rng: np.random.Generator,
        timesteps: Int64 | None = None,
    ) -> BpdTerms:
        """All terms of the bound, one draw of x_t for each image and t.

        `timesteps`: (K, N), row by row the t at which each image is evaluated, 0 for none; without
        it every image meets T, ..., 1.
        """
        (N, _, _, _), T = x_0.shape, self.schedule.T
        assert x_0.dtype == np.float64
        if timesteps is None:
            timesteps = np.repeat(np.arange(T, 0, -1)[:, None], N, axis=1)
        assert timesteps.ndim == 2 and timesteps.shape[1] == N
        vb, mse = np.full((N, T), np.nan), np.full((N, T), np.nan)
        for row in timesteps:
            (n,) = np.nonzero(row)
            x_t = self.q_sample(x_0[n], row[n], rng.standard_normal(x_0[n].shape))
            vb[n, row[n] - 1], mse[n, row[n] - 1] = self.vb_terms_bpd(denoiser, x_0[n], x_t, row[n])
        prior = self.prior_bpd(x_0)
        return BpdTerms(prior + vb.sum(axis=1), prior, vb, mse)

    def _at(self, table: Float64, x: NDArray[np.floating], t: Int64) -> Float64:
        """Entries for timesteps t (1-based), shaped to broadcast over x."""
        assert x.ndim == 4 and t.shape == (len(x),) and table.shape == (self.schedule.T,)
        assert ((t >= 1) & (t <= self.schedule.T)).all()
        return table[t - 1].reshape(-1, 1, 1, 1)


def _mean_flat(x: Float64) -> Float64:
    return np.asarray(x.mean(axis=(1, 2, 3)))
