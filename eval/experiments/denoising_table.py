"""How well a network denoises whole images, and what codec that makes in the limit.

As the denoising papers report it: white noise of sigma grey levels is added to each image, x0_hat
is rounded to 8 bits, and its PSNR is averaged over the images. The same errors, before they are
rounded, imply the rate of an ideal chain of small steps (`denoising.implied_rate`), and so a
rate-distortion curve; the exact pixels that follow cost what the codec's pixel coder asks for.

    python -m diffcodec.eval.experiments.denoising_table photo kodak/ --json denoising-photo.json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.archive.pixels import pixel_bits
from diffcodec.eval.common import metrics, options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.processes import network_of
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.records import Record, collect, key_of
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.likelihood.denoising import batches, implied_rate
from diffcodec.eval.likelihood.nll import batch_size
from diffcodec.eval.likelihood.plan import noise
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.executors import executor
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.units import GREY, to_x0

# Grey levels. The papers have 15, 25 and 50; the first and the last are there for the rate alone.
SIGMAS: tuple[float, ...] = (0.5, 1, 2, 3, 5, 10, 15, 25, 50, 100, 200, 400, 1000)
PIXELS_BELOW = 5  # grey levels: up to here the exact pixels may follow
DECIBELS = (26, 28, 30, 32, 34, 36, 38, 40)  # at which the implied rate is reported
COLUMNS = {
    "sigma_grey": "noise (grey)",
    "psnr_db": "mean PSNR (dB)",
    "rmse_grey": "RMSE (grey)",
    "rate_bpd": "implied bits/dim",
    "lossless_bpd": "lossless then",
}


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
    from tabulate import tabulate

    lines = []
    for found in result["sets"]:
        lines.append(f"{found['dataset']['name']}, {found['dataset']['images']} images")
        rows = [[row.get(key) for key in COLUMNS] for row in found["denoising"]]
        head = list(COLUMNS.values())
        lines.append(tabulate(rows, head, floatfmt=("g", ".2f", ".2f", ".4f", ".4f")))
        pairs = zip(found["implied"]["psnr_db"], found["implied"]["bpp"], strict=True)
        rates = ", ".join(f"{db} dB {bpp:.3f}" for db, bpp in pairs if bpp is not None)
        lines += [f"implied bpp: {rates}", ""]
    return "\n".join(lines[:-1])


def measurer(model: str, threads: int, seed: int) -> Callable[[NamedImage], Record]:
    """`measure` with a network that is read once in a process."""
    return partial(measure, network_of(model, "cpu", threads), seed)


def record_key(fingerprint: str, seed: int, image: NamedImage) -> str:
    """Names an image's record by all it depends on."""
    pixels = image.pixels
    return key_of([fingerprint, seed, SIGMAS, PIXELS_BELOW, pixels.shape], pixels)


@options.measurement
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@options.set_options
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the noise.")
@options.records_option
@options.processes_option
@click.option("--threads", type=click.IntRange(1), default=1, help="Of each process.")
@options.json_option
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
    network = network_of(model, "cpu", threads)
    for folder in data:
        images = load_named(folder, split, tile, count, partial(click.echo, err=True))
        with progress_bar(folder.name) as progress, executor(processes) as pool:
            found = collect(
                partial(measurer, model, threads, seed),
                images,
                [record_key(network.fingerprint, seed, image) for image in images],
                pool=pool,
                path=records,
                progress=progress,
            )
        dataset = about(folder, split, tile, [image.pixels for image in images])
        sets.append({"dataset": dataset, **summarise(found)})
    result = {
        "sets": sets,
        "model": {
            "name": network.name,
            "fingerprint": network.fingerprint,
            "parameters": network.parameters,
            "kmac_per_pixel": _work(network),
        },
        "seed": seed,
        **provenance(__name__, threads=threads, processes=processes),
    }
    write_result(json_path, result)
    click.echo(to_text(result))


def _work(network: BatchDenoiser) -> float | None:
    """Thousands of multiplications for each pixel; of an integer network it is known."""
    if not isinstance(network, ExactDenoiser):
        return None
    return macs_per_pixel(network.graph) / 1000


if __name__ == "__main__":
    main()
