"""Likelihood of images of one size under a diffusion model, for the cards of networks.

`nelbo`: the variational bound of Ho et al. 2020 (DDPM, eq. 5) in bits/dim with every term, and the
RMSE of x0_hat at each t (together DDPM's Table 4); beside it what the denoiser is worth at any
noise level. The command `diffcodec nll` measures sets of any sizes, on several processes.

    python -m diffcodec.eval.likelihood MODEL DATA --images 64 --crop 64 --json nll.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.config import Sigma2
from diffcodec.denoiser import BatchDenoiser, Float32, VarianceDenoiser
from diffcodec.diffusion import Float64, GaussianDiffusion, Int64
from diffcodec.eval.denoising import (
    SIGMAS_GREY,
    batches,
    denoising_curve,
    implied_rate,
    to_x0,
)
from diffcodec.eval.environment import environment, portable
from diffcodec.schedule import GREY, Schedule

Pixels = NDArray[np.uint8]

# With a stride, every image still meets t = 1..10: half of all bits, and most of the variance
# between images, lie in these terms.
DENSE = 10


def nelbo(
    denoiser: BatchDenoiser,
    images: Pixels,
    schedule: Schedule,
    sigma2: Sigma2 = "beta",
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
        diffusion.calc_bpd_loop(denoiser, to_x0(images[n]), rng, plan(schedule.T, stride, group[n]))
        for n in batches(N, batch_size)
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
            "standard_error": standard_error(prior, vb, group),
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


def plan(T: int, stride: int, offset: Int64) -> Int64:
    """(K, N) timesteps, row by row, 0 for none: 1..DENSE for all, then every stride-th of the rest
    with each image's `offset` (N,) in 0..stride - 1."""
    dense = np.arange(1, min(T, DENSE) + 1)
    sparse = np.arange(DENSE + 1, T + 1, stride)
    rows = np.concatenate([dense[:, None] + 0 * offset, sparse[:, None] + offset])
    rows[rows > T] = 0
    return np.asarray(rows[rows.any(axis=1)][::-1], dtype=np.int64)


def standard_error(prior: Float64, vb: Float64, group: Int64) -> float | None:
    """Of the bound: images with the same offset are independent draws of the same quantity."""
    if np.bincount(group).min() < 2:
        return None
    share = prior / len(prior) + np.nansum(vb / np.isfinite(vb).sum(axis=0), axis=1)  # [N]
    parts = [share[group == j] for j in range(group.max() + 1)]
    return float(np.sqrt(sum(len(part) * part.var(ddof=1) for part in parts)))


class _Progress:
    """A denoiser that reports on stderr how many images it has denoised."""

    def __init__(self, denoiser: BatchDenoiser, total: int) -> None:
        self.denoiser, self.total, self.done = denoiser, total, 0
        self.start = self.shown = time.monotonic()

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        x0_hat = self.denoiser.batch(y, v)
        self._report(len(y))
        return x0_hat

    def with_variance(self, y: Float32, v: float | Float64) -> tuple[Float32, Float32]:
        assert isinstance(self.denoiser, VarianceDenoiser)
        found = self.denoiser.with_variance(y, v)
        self._report(len(y))
        return found

    def _report(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.shown > 5:
            left = (now - self.start) * (self.total - self.done) / self.done
            print(f"{self.done}/{self.total} denoised, {left:.0f} s left", file=sys.stderr)
            self.shown = now


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
    """Bits/dim of the pictures in DATA under MODEL (T = 1000, its betas), with every term."""
    from diffcodec.data import digest
    from diffcodec.files import write_atomic
    from diffcodec.zoo import load_network

    try:
        network = load_network(model)
        schedule = Schedule.named(network.betas)
        pixels = load_pixels(data, split, images, tile, crop)
        levels = DENSE + (schedule.T - DENSE) // stride + len(SIGMAS_GREY)
        denoiser = _Progress(network, len(pixels) * levels)
        bound = nelbo(
            denoiser, pixels, schedule, network.sigma2, stride=stride, batch_size=batch_size
        )
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
        "environment": environment(network.threads, processes=1),
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
