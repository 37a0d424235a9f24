"""What a denoiser is worth as a codec: its error at any noise level, and the rate that implies.

`denoising_curve`: the MSE D of x0_hat at any noise levels. `implied_rate`: the rate of an ideal
chain of small steps, the integral of D over SNR (Guo, Shamai & Verdu 2005).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.units import GREY, to_x0

SIGMAS_GREY = (1, 1.5, 2, 3, 4, 6, 8, 12, 15, 20, 25, 35, 50, 70, 100, 150, 200, 300, 500, 1000)


def denoising_curve(
    denoiser: BatchDenoiser,
    images: Pixels,
    sigmas_grey: Sequence[float] = SIGMAS_GREY,
    *,
    clip_denoised: bool = True,
    batch_size: int = 64,
    seed: int = 0,
) -> list[dict[str, float]]:
    """D(sigma): the error of x0_hat at each noise level, largest noise first.

    `images`: (N, H, W, C) uint8; `sigmas_grey`: noise standard deviations in grey levels (0..255).
    Each row holds "sigma_grey", "mse" (x0 units), "rmse_grey" and "psnr_db" (of the mean MSE).
    """
    rows = []
    for sigma in sorted(sigmas_grey, reverse=True):
        rng = np.random.default_rng(seed)  # the same noise at every level: a smoother curve
        total = 0.0
        for n in batches(len(images), batch_size):
            x_0 = to_x0(images[n])
            y = x_0 + sigma / GREY * rng.standard_normal(x_0.shape)
            x0_hat = denoiser.batch(y.astype(np.float32), (sigma / GREY) ** 2).astype(np.float64)
            if clip_denoised:
                x0_hat = np.clip(x0_hat, -1, 1)
            total += float(((x0_hat - x_0) ** 2).sum())
        mse = total / images.size
        rows.append({"sigma_grey": float(sigma), "mse": mse, **quality(mse)})
    return rows


def implied_rate(
    curve: Sequence[dict[str, float]], unseen: float | None = None
) -> list[dict[str, float]]:
    """The rate-distortion curve of an ideal chain of infinitely small steps with this denoiser.

    R(sigma) = 1/2 log2(e) * integral of D over SNR from 0 to 1/sigma^2 (x0 units): what L_1 + ...
    + L_T tends to with many steps. Between the levels of the curve D is taken as a power of the
    SNR; below the first one (the noisiest) as constant, a little too small. unseen: the error at
    SNR 0, if it is known; then D is that of a Gaussian between there and the first level. Returns
    the rows of `curve`, noisiest first, with "rate_bpd" added. Raises ValueError for an error of 0.
    """
    rows = sorted(curve, key=lambda row: -row["sigma_grey"])
    snr = np.array([(GREY / row["sigma_grey"]) ** 2 for row in rows])
    D = np.array([row["mse"] for row in rows])
    if not (D > 0).all():
        raise ValueError("a rate is implied only by errors above 0")
    # Integral of D = D_1 (s/s_1)^p over one piece, with u = ln(s_2/s_1) and q = (p + 1) u:
    # D_1 s_1 (e^q - 1) / q * u, where (e^q - 1)/q is 1 at q = 0, that is D ~ 1/s.
    u = np.diff(np.log(snr))
    q = np.diff(np.log(D)) + u
    growth = np.where(np.abs(q) < 1e-12, 1.0, np.expm1(q) / np.where(q == 0, 1.0, q))
    first = D[0] * snr[0]
    if unseen is not None and unseen > D[0]:
        # D = unseen / (1 + c s), which is D_0 at the first level.
        first *= np.log(unseen / D[0]) / (1 - D[0] / unseen)
    pieces = np.append(first, D[:-1] * snr[:-1] * growth * u)
    rate = np.cumsum(pieces) / (2 * np.log(2))
    return [{**row, "rate_bpd": float(r)} for row, r in zip(rows, rate, strict=True)]


def batches(N: int, batch_size: int) -> Iterator[slice]:
    """Slices of at most batch_size that make up 0 .. N - 1."""
    for start in range(0, N, batch_size):
        yield slice(start, min(start + batch_size, N))


def quality(mse: float) -> dict[str, float]:
    """RMSE in grey levels and PSNR of an MSE in x0 units, where the full range 0..255 is 2."""
    psnr_db = float(10 * np.log10(4 / mse)) if mse > 0 else float("inf")
    return {"rmse_grey": float(np.sqrt(mse) * GREY), "psnr_db": psnr_db}
