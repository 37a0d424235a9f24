"""How well a network denoises whole images, and what codec that makes in the limit.

As the denoising papers tell it: white noise of sigma grey levels is added to each image, x0_hat
is rounded to 8 bits, and its PSNR is averaged over the images. The same errors, before they are
rounded, imply the rate of an ideal chain of small steps (`denoising.implied_rate`), and so a
rate-distortion curve; the exact pixels that follow cost what the codec's pixel coder asks for.

    python -m diffcodec.eval.experiments.denoising_table photo kodak/ --json denoising-photo.json
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.archive.bitsback import pixel_bits
from diffcodec.errors import DataError
from diffcodec.eval.common import metrics
from diffcodec.eval.common.environment import environment, portable
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.records import Record, collect
from diffcodec.eval.likelihood.denoising import batches, implied_rate
from diffcodec.eval.likelihood.nll import batch_size, noise
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.files import write_atomic
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.units import GREY, to_x0
from diffcodec.zoo import load_network

# Grey levels. The papers have 15, 25 and 50; the first and the last are there for the rate alone.
SIGMAS: tuple[float, ...] = (0.5, 1, 2, 3, 5, 10, 15, 25, 50, 100, 200, 400, 1000)
PIXELS_BELOW = 5  # grey levels: up to here the exact pixels may follow
DECIBELS = (26, 28, 30, 32, 34, 36, 38, 40)  # at which the implied rate is told


def measure(denoiser: BatchDenoiser, seed: int, image: NamedImage) -> Record:
    """The errors of an image at every level, MSE in grey levels squared: one JSON record.

    "mse" is that of x0_hat, "mse_8bit" after rounding; "pixel_bits", at low noise, what the exact
    pixels cost given x0_hat; "unseen_mse" the error of mid-grey, which nothing has to be sent for.
    """
    pixels, began = image.pixels, time.perf_counter()
    x_0, n = to_x0(pixels[None])[0], noise(pixels, 0, seed)  # one draw: a smoother curve
    rows = []
    for part in batches(len(SIGMAS), batch_size("cpu", None, pixels)):
        sigma = np.array(SIGMAS[part], np.float64) / GREY
        y = (x_0 + sigma[:, None, None, None] * n).astype(np.float32)
        for grey, x0_hat in zip(SIGMAS[part], denoiser.batch(y, sigma**2), strict=True):
            rows.append(_errors(pixels, x_0, np.clip(x0_hat, -1, 1).astype(np.float64), grey))
    return {
        "name": image.name,
        "shape": list(pixels.shape),
        "unseen_mse": float(np.mean(x_0**2)) * GREY**2,
        "levels": rows,
        "seconds": time.perf_counter() - began,
    }


def _errors(pixels: Any, x_0: Any, x0_hat: Any, sigma: float) -> Record:
    rounded = np.rint((x0_hat + 1) * GREY).astype(np.uint8).transpose(1, 2, 0)
    row = {
        "sigma_grey": float(sigma),
        "mse": float(np.mean((x0_hat - x_0) ** 2)) * GREY**2,
        "mse_8bit": metrics.mse(pixels, rounded),
    }
    if sigma <= PIXELS_BELOW:
        row["pixel_bits"] = float(pixel_bits(pixels[None], x0_hat[None])[0])
    return row


def summarise(records: Sequence[Record]) -> dict[str, Any]:
    """The means over images, noisiest level first, and what they imply; ready for JSON.

    "denoising": "psnr_db" is the mean over images (8 bits), "rmse_grey" pooled, "rate_bpd" what
    an ideal chain has sent by then, "lossless_bpd" with the exact pixels from there. "implied":
    bits per pixel where the mean PSNR has a value, null outside of what was measured. "lossless":
    the least of lossless_bpd, and the noise at which the exact pixels follow.
    """
    samples = [int(np.prod(record["shape"])) for record in records]
    pixels = sum(record["shape"][0] * record["shape"][1] for record in records)
    rows: list[dict[str, Any]] = []
    for column in zip(*(record["levels"] for record in records), strict=True):
        rmse = metrics.pooled_rmse([row["mse"] for row in column], samples)
        row = {"sigma_grey": column[0]["sigma_grey"], "mse": (rmse / GREY) ** 2, "rmse_grey": rmse}
        row["psnr_db"] = metrics.mean_psnr([one["mse_8bit"] for one in column])
        if "pixel_bits" in column[0]:
            row["pixel_bpd"] = sum(one["pixel_bits"] for one in column) / sum(samples)
        rows.append(row)
    unseen = metrics.pooled_rmse([record["unseen_mse"] for record in records], samples) / GREY
    curve: list[dict[str, Any]] = implied_rate(rows, unseen**2)
    for row in curve:
        if "pixel_bpd" in row:
            row["lossless_bpd"] = row["rate_bpd"] + row["pixel_bpd"]
    ends = [row for row in curve if "lossless_bpd" in row]
    end = min(ends, key=lambda row: float(row["lossless_bpd"]))
    return {
        "denoising": curve,
        "implied": {
            "psnr_db": list(DECIBELS),
            "bpp": _rates(curve, sum(samples) / pixels),
        },
        "lossless": {"bpd": end["lossless_bpd"], "handover_grey": end["sigma_grey"]},
    }


def _rates(curve: Sequence[dict[str, Any]], channels: float) -> list[float | None]:
    """Bits per pixel at DECIBELS; between two levels their logarithm is linear in dB."""
    known = [(row["psnr_db"], row["rate_bpd"]) for row in curve if row["psnr_db"] is not None]
    quality, rate = zip(*sorted(known), strict=True)
    bits = np.exp(np.interp(DECIBELS, quality, np.log(rate))) * channels
    inside = [quality[0] <= db <= quality[-1] for db in DECIBELS]
    return [float(b) if ok else None for b, ok in zip(bits, inside, strict=True)]


def to_text(result: dict[str, Any]) -> str:
    """All sets for people."""
    lines = []
    for found in result["sets"]:
        lines.append(f"{found['dataset']['name']}, {found['dataset']['images']} images")
        lines.append("noise (grey)  mean PSNR (dB)  RMSE (grey)  implied bits/dim  lossless then")
        for row in found["denoising"]:
            psnr = "-" if row["psnr_db"] is None else f"{row['psnr_db']:.2f}"
            then = f"{row['lossless_bpd']:15.4f}" if "lossless_bpd" in row else ""
            lines.append(
                f"{row['sigma_grey']:12g} {psnr:>15} {row['rmse_grey']:12.2f} "
                f"{row['rate_bpd']:17.4f}{then}"
            )
        pairs = zip(found["implied"]["psnr_db"], found["implied"]["bpp"], strict=True)
        rates = ", ".join(f"{db} dB {bpp:.3f}" for db, bpp in pairs if bpp is not None)
        lines += [f"implied bpp: {rates}", ""]
    return "\n".join(lines[:-1])


def measurer(model: str, threads: int, seed: int) -> Callable[[NamedImage], Record]:
    """`measure` with a network of its own: what a worker process starts with."""
    return partial(measure, load_network(model, threads=threads), seed)


def record_key(fingerprint: str, seed: int, image: NamedImage) -> str:
    """Names an image's record by all it depends on."""
    pixels = np.ascontiguousarray(image.pixels)
    about = json.dumps([fingerprint, seed, SIGMAS, PIXELS_BELOW, pixels.shape])
    return hashlib.sha256(about.encode() + pixels.tobytes()).hexdigest()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--split", default="all", help="Only files or folders whose names begin so.")
@click.option("--tile", type=click.IntRange(0), default=0, help="Cut into tiles of this side.")
@click.option("--images", "count", type=click.IntRange(1), help="Only the first N of each set.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the noise.")
@click.option("--records", type=click.Path(path_type=Path), help="Go on from this JSONL file.")
@click.option("-j", "--processes", type=click.IntRange(1), default=1, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, help="Of each process.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the results.")
def main(
    model: str,
    data: tuple[Path, ...],
    split: str,
    tile: int,
    count: int | None,
    seed: int,
    records: Path | None,
    processes: int,
    threads: int,
    json_path: Path | None,
) -> None:
    """Denoising of the images in DATA, each a set of images of any sizes, by MODEL."""
    sets = []
    try:
        network = load_network(model, threads=threads)
        for folder in data:
            images = load_named(folder, split, tile, count, partial(click.echo, err=True))
            found = collect(
                partial(measurer, model, threads, seed),
                images,
                [record_key(network.fingerprint, seed, image) for image in images],
                processes=processes,
                path=records,
                progress=_tell,
            )
            sets.append({"dataset": about(folder, split, tile, images), **summarise(found)})
    except (DataError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    result = {
        "sets": sets,
        "model": {
            "name": network.name,
            "fingerprint": network.fingerprint,
            "parameters": network.parameters,
            "kmac_per_pixel": _work(network),
        },
        "seed": seed,
        "environment": environment(threads, processes),
        "command": f"python -m diffcodec.eval.experiments.denoising_table {portable(sys.argv[1:])}",
    }
    if json_path is not None:
        write_atomic(json_path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    click.echo(to_text(result))


def _work(network: BatchDenoiser) -> float | None:
    """Thousands of multiplications for each pixel; of an integer network it is known."""
    if not isinstance(network, ExactDenoiser):
        return None
    return macs_per_pixel(network.graph) / 1000


def _tell(done: int, total: int) -> None:
    click.echo(f"\r{done} of {total} images", nl=done == total, err=True)


if __name__ == "__main__":
    main()
