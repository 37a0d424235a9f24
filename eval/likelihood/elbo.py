"""The bound over a set, DDPM's eq. 5 in bits/dim: means and standard errors, as table, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float64, Int64, Pixels
from diffcodec.eval.common.words import counted
from diffcodec.eval.likelihood.nll import Terms, evaluate
from diffcodec.eval.likelihood.plan import PlannedImage, Settings, images_of
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.units import GREY

COLUMNS = (
    "t",
    "timestep",
    "sigma_grey",
    "L_bpd",
    "L_standard_error_bpd",
    "rate_bpd",
    "rmse_grey",
    "images",
)
SHOWN = 12  # lines of the table for people


def nelbo(
    denoiser: BatchDenoiser, images: Pixels, settings: Settings, batch: int = 64
) -> dict[str, Any]:
    """`summarise` for images of one size, (N, H, W, C) uint8, of which nothing is kept.

    batch: (image, t) pairs in a call of the denoiser. Raises ValueError for a chain that does not
    exist and for a stride above N.
    """
    named = images_of([(f"{i}", image) for i, image in enumerate(images)], settings, "")
    terms = evaluate(denoiser, named, settings, batch=lambda pixels: batch)
    assert terms is not None  # one process alone is the first
    return summarise(terms, named, settings)


def summarise(terms: Terms, images: Sequence[PlannedImage], settings: Settings) -> dict[str, Any]:
    """The means over images, ready for JSON; bits/dim, and grey levels (0..255).

    "nelbo": bpd = L_T_bpd + L_steps_bpd + L_0_bpd. "per_step", from T down to 1: L_bpd is L_{t-1},
    rate_bpd what has been sent when x_t is reached, L_T + ... + L_t, rmse_grey that of x0_hat(x_t)
    (DDPM's Figure 5); timestep numbers t in the full chain. Standard errors cover the choice of
    images, the draws of x_t and the stride; None where one image says nothing about it.
    "per_image": the bound of each image, without a stride.
    """
    schedule, prior = settings.schedule, terms.prior
    L, error = np.nanmean(terms.vb, axis=0), _errors(terms.vb)  # [T]
    sent = prior.mean() + np.append(np.cumsum(L[:0:-1])[::-1], 0.0)
    rmse = np.sqrt(np.nanmean(terms.mse, axis=0)) * GREY
    offsets = settings.offsets(len(prior))
    return {
        "nelbo": {
            "bpd": float(prior.mean() + L.sum()),
            "standard_error_bpd": standard_error(prior, terms.vb, offsets),
            "L_T_bpd": float(prior.mean()),
            "L_steps_bpd": float(L[1:].sum()),
            "L_0_bpd": float(L[0]),
            "T": schedule.T,
            "schedule": schedule.name,
            "sigma2": settings.sigma2,
            "clip_denoised": True,
            "stride": settings.stride,
            "seed": settings.seed,
            "images": len(prior),
        },
        "per_step": [
            {
                "t": t,
                "timestep": int(schedule.timesteps[t - 1]),
                "sigma_grey": float(schedule.sigma_grey[t - 1]),
                "L_bpd": float(L[t - 1]),
                "L_standard_error_bpd": _number(error[t - 1]),
                "rate_bpd": float(sent[t - 1]),
                "rmse_grey": float(rmse[t - 1]),
                "images": int(np.isfinite(terms.vb[:, t - 1]).sum()),
            }
            for t in range(schedule.T, 0, -1)
        ],
        "per_image": [] if settings.stride > 1 else _per_image(terms, images),
    }


def standard_error(prior: Float64, vb: Float64, group: Int64) -> float | None:
    """Of the bound: images with the same offset are independent draws of the same quantity."""
    if np.bincount(group).min() < 2:
        return None
    share = prior / len(prior) + np.nansum(vb / np.isfinite(vb).sum(axis=0), axis=1)  # [N]
    parts = [share[group == j] for j in range(group.max() + 1)]
    return float(np.sqrt(sum(len(part) * part.var(ddof=1) for part in parts)))


def _errors(vb: Float64) -> Float64:
    """Standard error of every column's mean, (T,); NaN where fewer than two images met it."""
    count = np.isfinite(vb).sum(axis=0)
    error = np.full(vb.shape[1], np.nan)
    some = count > 1
    error[some] = np.nanstd(vb[:, some], axis=0, ddof=1) / np.sqrt(count[some])
    return error


def _per_image(terms: Terms, images: Sequence[PlannedImage]) -> list[dict[str, Any]]:
    return [
        {
            "name": image.name,
            "bpd": float(prior + vb.sum()),
            "L_T_bpd": float(prior),
            "L_steps_bpd": float(vb[1:].sum()),
            "L_0_bpd": float(vb[0]),
        }
        for image, prior, vb in zip(images, terms.prior, terms.vb, strict=True)
    ]


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def shape_of(images: Sequence[Pixels]) -> list[int] | None:
    """[H, W, C] of all images, None where they differ."""
    shapes = {pixels.shape for pixels in images}
    return list(shapes.pop()) if len(shapes) == 1 else None


def to_csv(result: dict[str, Any]) -> str:
    """One row for each t, from T down to 1."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(result["per_step"])
    return stream.getvalue()


def to_text(result: dict[str, Any]) -> str:
    """The bound in one line, some of the steps, and the images where they are few."""
    n = result["nelbo"]
    error = n["standard_error_bpd"]
    spread = "" if error is None else f" +- {error:.4f}"
    count = counted(n["images"], "image")
    chain = n["schedule"] + (", sigma2 widened" if n["sigma2"] == "widened" else "")
    lines = [
        f"{n['bpd']:.4f}{spread} bits/dim = L_T {n['L_T_bpd']:.5f} + steps {n['L_steps_bpd']:.4f} "
        f"+ L_0 {n['L_0_bpd']:.4f}  ({count}, T = {n['T']} {chain})",
        "",
        "   t  noise (grey)  L_{t-1} (bits/dim)  rate (bits/dim)  RMSE of x0_hat (grey)",
    ]
    steps = result["per_step"]
    kept = np.unique(np.linspace(0, len(steps) - 1, SHOWN).round().astype(int))
    for row in (steps[i] for i in kept):
        lines.append(
            f"{row['t']:4}  {row['sigma_grey']:12.1f}  {row['L_bpd']:18.5f}  "
            f"{row['rate_bpd']:15.4f}  {row['rmse_grey']:21.2f}"
        )
    if 1 < len(result["per_image"]) <= SHOWN:
        lines += ["", "bits/dim  image"]
        lines += [f"{row['bpd']:8.4f}  {row['name']}" for row in result["per_image"]]
    return "\n".join(lines)
