"""Likelihood of images under a diffusion model, and what its denoiser is worth as a codec.

`nelbo`: the variational bound of Ho et al. 2020 (DDPM, eq. 5) in bits/dim with every term, and the
RMSE of x0_hat at each t (together DDPM's Table 4). `denoising_curve`: the MSE D of x0_hat at any
noise levels. `implied_rate`: the rate of an ideal chain of small steps, the integral of D over SNR
(Guo, Shamai & Verdu 2005).

    python -m diffcodec.eval.likelihood MODEL DATA --images 64 --crop 64 --json nll.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.denoiser import BatchDenoiser, Float32
from diffcodec.diffusion import Float64, GaussianDiffusion, Int64
from diffcodec.eval.environment import environment, portable
from diffcodec.schedule import GREY, Schedule

Pixels = NDArray[np.uint8]

# With a stride, every image still meets t = 1..10: half of all bits, and most of the variance
# between images, lie in these terms.
DENSE = 10
SIGMAS_GREY = (1, 1.5, 2, 3, 4, 6, 8, 12, 15, 20, 25, 35, 50, 70, 100, 150, 200, 300, 500, 1000)


def nelbo(
    denoiser: BatchDenoiser,
    images: Pixels,
    schedule: Schedule,
    sigma2: Literal["beta", "beta_tilde"] = "beta",
    *,
    clip_denoised: bool = True,
    stride: int = 1,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, Any]:
    """The bound on the images' negative log-likelihood, in bits/dim, ready for JSON.

    `images`: (N, H, W, C) uint8. Every expectation over x_t is one draw per image and t. With
    `stride` m > 1 each image meets t = 1..10 and every m-th of the other steps; which ones rotates
    from image to image in random order, so that every term is still the mean of an unbiased
    sample of the images and the cost falls m-fold. The standard error covers the choice of images,
    the draws, and the stride; it is None where a term was seen on fewer than two images.

    Returns {"nelbo": {bpd, L_T, L_steps, L_0, standard_error, ...}, "per_step": [...]}, the steps
    from T down to 1 with L_{t-1} as "bpd" and "rate_bpd", the bits/dim sent when x_t is reached.
    Raises ValueError for stride < 1 or fewer images than the stride.
    """
    N = len(images)
    if not 1 <= stride <= N:
        raise ValueError(f"the stride must lie between 1 and the number of images, {N}")
    rng = np.random.default_rng(seed)
    group = rng.permutation(N) % stride  # the offset of each image
    diffusion = GaussianDiffusion(schedule, sigma2, clip_denoised)
    parts = [
        diffusion.calc_bpd_loop(
            denoiser, to_x0(images[n]), rng, _plan(schedule.T, stride, group[n])
        )
        for n in _batches(N, batch_size)
    ]
    prior = np.concatenate([p.prior for p in parts])  # [N]
    vb, mse = (
        np.concatenate([p.vb for p in parts]),
        np.concatenate([p.mse for p in parts]),
    )  # [N, T]
    L = np.nanmean(vb, axis=0)  # [T]: L_0, ..., L_{T-1}
    sent = prior.mean() + np.append(np.cumsum(L[:0:-1])[::-1], 0.0)  # [T]: L_T + ... + L_t
    return {
        "nelbo": {
            "bpd": float(prior.mean() + L.sum()),
            "L_T": float(prior.mean()),
            "L_steps": float(L[1:].sum()),
            "L_0": float(L[0]),
            "standard_error": _standard_error(prior, vb, group),
            "T": schedule.T,
            "schedule": schedule.name,
            "sigma2": sigma2,
            "clip_denoised": clip_denoised,
            "stride": stride,
            "images": N,
            "seed": seed,
        },
        "per_step": [
            {
                "t": t,
                "sigma_grey": float(schedule.sigma_grey[t - 1]),
                "bpd": float(L[t - 1]),
                "rate_bpd": float(sent[t - 1]),
                "rmse_grey": float(np.sqrt(np.nanmean(mse[:, t - 1])) * GREY),
                "images": int(np.isfinite(vb[:, t - 1]).sum()),
            }
            for t in range(schedule.T, 0, -1)
        ],
    }


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
        for n in _batches(len(images), batch_size):
            x_0 = to_x0(images[n])
            y = x_0 + sigma / GREY * rng.standard_normal(x_0.shape)
            x0_hat = denoiser.batch(y.astype(np.float32), (sigma / GREY) ** 2).astype(np.float64)
            if clip_denoised:
                x0_hat = np.clip(x0_hat, -1, 1)
            total += float(((x0_hat - x_0) ** 2).sum())
        mse = total / images.size
        rows.append({"sigma_grey": float(sigma), "mse": mse, **_quality(mse)})
    return rows


def implied_rate(curve: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The rate-distortion curve of an ideal chain of infinitely small steps with this denoiser.

    R(sigma) = 1/2 log2(e) * integral of D over SNR from 0 to 1/sigma^2 (x0 units): what L_1 + ...
    + L_T tends to with many steps. Between the levels of the curve D is taken as a power of the
    SNR; below the first one (the noisiest) as constant, a little too small. Returns the rows of
    `curve`, noisiest first, with "rate_bpd" added. Raises ValueError for an error of 0.
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
    pieces = np.append(D[0] * snr[0], D[:-1] * snr[:-1] * growth * u)
    rate = np.cumsum(pieces) / (2 * np.log(2))
    return [{**row, "rate_bpd": float(r)} for row, r in zip(rows, rate, strict=True)]


def to_x0(images: Pixels) -> Float64:
    """(N, H, W, C) uint8 -> x0 = k/127.5 - 1: (N, C, H, W) float64."""
    assert images.ndim == 4 and images.dtype == np.uint8
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / GREY - 1


def _plan(T: int, stride: int, offset: Int64) -> Int64:
    """(K, N) timesteps, row by row, 0 for none: 1..DENSE for all, then every stride-th of the rest
    with each image's `offset` (N,) in 0..stride - 1."""
    dense = np.arange(1, min(T, DENSE) + 1)
    sparse = np.arange(DENSE + 1, T + 1, stride)
    rows = np.concatenate([dense[:, None] + 0 * offset, sparse[:, None] + offset])
    rows[rows > T] = 0
    return np.asarray(rows[rows.any(axis=1)][::-1], dtype=np.int64)


def _standard_error(prior: Float64, vb: Float64, group: Int64) -> float | None:
    """Of the bound: images with the same offset are independent draws of the same quantity."""
    if np.bincount(group).min() < 2:
        return None
    share = prior / len(prior) + np.nansum(vb / np.isfinite(vb).sum(axis=0), axis=1)  # [N]
    parts = [share[group == j] for j in range(group.max() + 1)]
    return float(np.sqrt(sum(len(part) * part.var(ddof=1) for part in parts)))


def _batches(N: int, batch_size: int) -> Iterator[slice]:
    for start in range(0, N, batch_size):
        yield slice(start, min(start + batch_size, N))


def _quality(mse: float) -> dict[str, float]:
    """RMSE in grey levels and PSNR of an MSE in x0 units, where the full range 0..255 is 2."""
    psnr_db = float(10 * np.log10(4 / mse)) if mse > 0 else float("inf")
    return {"rmse_grey": float(np.sqrt(mse) * GREY), "psnr_db": psnr_db}


class _Progress:
    """A denoiser that reports on stderr how many images it has denoised."""

    def __init__(self, denoiser: BatchDenoiser, total: int) -> None:
        self.denoiser, self.total, self.done = denoiser, total, 0
        self.start = self.shown = time.monotonic()

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        x0_hat = self.denoiser.batch(y, v)
        self.done += len(y)
        now = time.monotonic()
        if now - self.shown > 5:
            left = (now - self.start) * (self.total - self.done) / self.done
            print(f"{self.done}/{self.total} denoised, {left:.0f} s left", file=sys.stderr)
            self.shown = now
        return x0_hat


def load_pixels(folder: Path, split: str, count: int, tile: int, crop: int) -> Pixels:
    """The first `count` pictures of `folder` as (N, H, W, C) uint8.

    `tile`: pictures are mosaics of squares of this side (0: they are not). `crop`: keep the central
    crop x crop pixels (0: all). Raises ValueError where sizes differ or are below the crop.
    """
    from diffcodec.data import load_images  # Pillow: only where pictures are read

    images = load_images(folder, split, tile)[:count]
    if crop:
        if min(min(image.shape[:2]) for image in images) < crop:
            raise ValueError(f"a picture in {folder} is smaller than {crop} x {crop}")
        corners = [((i.shape[0] - crop) // 2, (i.shape[1] - crop) // 2) for i in images]
        images = [i[y : y + crop, x : x + crop] for i, (y, x) in zip(images, corners, strict=True)]
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"the pictures in {folder} differ in size: choose a crop")
    return np.stack(images)


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--split", default="all", show_default=True, help="Files whose name begins so.")
@click.option("--images", default=64, show_default=True, help="Use the first N pictures of DATA.")
@click.option("--tile", default=0, help="DATA holds mosaics of S x S pictures (CIFAR-10: 32).")
@click.option("--crop", default=0, help="Use the central S x S pixels of each picture.")
@click.option("--stride", default=1, show_default=True, help="Evaluate every m-th t per picture.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the results.")
def main(
    model: str,
    data: Path,
    split: str,
    images: int,
    tile: int,
    crop: int,
    stride: int,
    batch_size: int,
    json_path: Path | None,
) -> None:
    """Bits/dim of the pictures in DATA under MODEL (T = 1000, linear), with every term."""
    import torch

    from diffcodec.data import digest
    from diffcodec.files import write_atomic
    from diffcodec.network import load_network

    schedule = Schedule.named("linear")
    try:
        network = load_network(model)
        pixels = load_pixels(data, split, images, tile, crop)
        levels = DENSE + (schedule.T - DENSE) // stride + len(SIGMAS_GREY)
        denoiser = _Progress(network, len(pixels) * levels)
        bound = nelbo(denoiser, pixels, schedule, stride=stride, batch_size=batch_size)
        curve = denoising_curve(denoiser, pixels, batch_size=batch_size)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    result = {
        "dataset": {
            "name": data.name,
            "split": split,
            "images": len(pixels),
            "shape": list(pixels.shape[1:]),
            "sha256": digest(list(pixels)),
        },
        "model": {
            "name": network.name,
            "fingerprint": network.fingerprint,
            "parameters": network.parameters,
        },
        **bound,
        "denoising": implied_rate(curve),
        "environment": environment(torch.get_num_threads(), processes=1),
        "command": f"python -m diffcodec.eval.likelihood {portable(sys.argv[1:])}",
    }
    click.echo(_summary(result))
    if json_path is not None:
        write_atomic(json_path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())


def _summary(result: dict[str, Any]) -> str:
    """The bound in one line, then the denoising table."""
    n, error = result["nelbo"], result["nelbo"]["standard_error"]
    spread = "" if error is None else f" +- {error:.4f}"
    lines = [
        f"{n['bpd']:.4f}{spread} bits/dim = L_T {n['L_T']:.5f} + steps {n['L_steps']:.4f} "
        f"+ L_0 {n['L_0']:.4f}  ({n['images']} images, T = {n['T']} {n['schedule']})",
        "noise (grey)  RMSE (grey)  PSNR (dB)  implied bits/dim",
    ]
    lines += [
        f"{row['sigma_grey']:12.1f} {row['rmse_grey']:12.2f} {row['psnr_db']:10.2f} "
        f"{row['rate_bpd']:17.4f}"
        for row in result["denoising"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
