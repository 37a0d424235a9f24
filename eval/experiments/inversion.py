"""How well DDIM's latents keep an image, by the number of steps (DDIM, Table 2).

Images are inverted to noise and drawn again, deterministically; the error of what comes back is
that of Euler's method on the way there, and falls with the steps.

    python -m diffcodec.eval.experiments.inversion cifar10/ --split test --tile 32 --count 100
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from diffcodec.eval.common import options
from diffcodec.eval.common.images import about, load_pixels
from diffcodec.eval.common.processes import network_of
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.sampling.inversion import there_and_back
from diffcodec.sampling.taus import T, spaced
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import to_x0

STEPS = (10, 20, 50, 100, 200)
SPACING = "quadratic"
PAPER = {10: 0.014, 20: 0.0065, 50: 0.0023, 100: 0.0009, 200: 0.0004}  # CIFAR-10, its own network
BATCH = 64  # images in a call of the network


def to_text(rows: list[Result]) -> str:
    """A table; the error of the paper beside ours."""
    from tabulate import tabulate

    shown = [
        [row["steps"], f"{row['mse']:.2e}", f"{row['psnr']:.1f}", PAPER.get(row["steps"], "")]
        for row in rows
    ]
    return tabulate(
        shown, ["steps", "mean square error", "dB", "DDIM, its network"], disable_numparse=True
    )


@options.measurement
@options.data_argument
@options.split_option
@options.tile_option
@options.crop_option
@options.count_option(100)
@options.model_option("cifar10")
@click.option(
    "--steps",
    type=click.IntRange(2, T),
    multiple=True,
    default=STEPS,
    show_default=True,
    metavar="S",
)
@options.json_option
def main(
    data: Path,
    split: str,
    tile: int,
    crop: int,
    count: int,
    model: str,
    steps: tuple[int, ...],
    json_path: Path | None,
) -> None:
    """Invert the images of DATA with several numbers of steps, and measure what comes back."""
    images = load_pixels(data, split, count, tile, crop)
    network = network_of(model, "cpu", None)
    x_0, schedule = to_x0(images), Schedule.named(network.betas, T)
    rows = []
    for S in sorted(set(steps)):
        began = time.perf_counter()
        with progress_bar(f"{S} steps") as progress:
            levels = spaced(SPACING, S, schedule)
            mse = there_and_back(network, x_0, levels, BATCH, progress).mse
        error = float(mse.mean())
        rows.append(
            {
                "steps": S,
                "mse": error,
                "standard_error": float(mse.std(ddof=1) / np.sqrt(len(mse))) if count > 1 else None,
                "psnr": float(-10 * np.log10(max(error, 1e-12))),
                "paper": PAPER.get(S),
                "seconds": round(time.perf_counter() - began, 3),
            }
        )
    keys = ("name", "fingerprint", "parameters")
    result = {
        "model": {key: getattr(network, key) for key in keys},
        "dataset": about(data, split, tile, list(images)),
        "spacing": SPACING,
        "inversion": rows,
        **provenance(__name__, threads=network.threads, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(rows))


if __name__ == "__main__":
    main()
