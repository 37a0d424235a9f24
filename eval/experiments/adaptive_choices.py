"""What the parts of the adaptive coder buy, at several switches and without any state.

Parts of photographs are coded as strips, given a state that is drawn at the switch's noise and the
network's x0_hat, and given nothing; with all of the coder, and without its trained start, or the
contexts that know the grid of colours; and at every level. Bits/dim of the strips' bytes; the steps
before them are not counted.

    python -m diffcodec.eval.experiments.adaptive_choices photo kodak/ --json adaptive-kodak.json
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from diffcodec.bitstream.adaptive import LEVELS, encode_strip
from diffcodec.bitstream.adaptive.grid import ColourGrid
from diffcodec.bitstream.adaptive.starts import untrained
from diffcodec.bitstream.pixels import best_sigma, ideal_bits
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.training.starts import side_of
from diffcodec.zoo import load_graph

SWITCHES = (0.6, 1.5, 3.0, 6.0)  # grey levels
HEIGHT, WIDTH = 256, 384  # of the part in the middle of an image
PARTS = ("all of it", "no trained start", "no grid of colours", "neither", "fast", "best")
GAUSSIAN = "one Gaussian (ideal)"


def bits_of(model: str, job: tuple[NamedImage, float | None]) -> dict[str, float]:
    """Bits/dim of an image's middle by PARTS, at a switch or without a state."""
    image, switch = job
    planes, side = middle(image.pixels), None
    if switch is not None:
        side = side_of(ExactDenoiser(load_graph(model)), planes, switch, seed=1)
    found = {}
    for part in PARTS:
        level = LEVELS.index(part) if part in LEVELS else 1
        learnt = untrained(level, 3) if part in ("no trained start", "neither") else None
        grid = ColourGrid(1, 0) if part in ("no grid of colours", "neither") else None
        code = encode_strip(planes, side, level, RGB8, learnt=learnt, grid=grid)
        found[part] = 8 * len(code.data) / planes.size
    if side is not None:
        values, means = planes.reshape(-1), side.means.reshape(-1)
        gaussian = ideal_bits(values, means, best_sigma(values, means))
        found[GAUSSIAN] = gaussian / planes.size
    return found


def middle(pixels: Pixels) -> Pixels:
    """Planes (3, <= HEIGHT, <= WIDTH) of an image (H, W, 3)."""
    top, left = (max(0, n - m) // 2 for n, m in zip(pixels.shape, (HEIGHT, WIDTH), strict=False))
    part = pixels[top : top + HEIGHT, left : left + WIDTH]
    return np.ascontiguousarray(part.transpose(2, 0, 1))


def started(model: str) -> partial[dict[str, float]]:
    """What measures one job."""
    return partial(bits_of, model)


def rows_of(found: Sequence[tuple[float | None, dict[str, float]]]) -> list[Result]:
    """Means over images for every part, by switch."""
    rows = []
    for part in (*PARTS, GAUSSIAN):
        row: Result = {"part": part}
        for switch in (*SWITCHES, None):
            bits = [one[part] for at, one in found if at == switch and part in one]
            row["none" if switch is None else f"{switch:g}"] = (
                round(float(np.mean(bits)), 4) if bits else None
            )
        rows.append(row)
    return rows


@options.measurement
@click.argument("model")
@options.data_argument
@options.set_options
@options.processes_option
@options.json_option
def main(
    model: str,
    data: Path,
    split: str,
    tile: int,
    count: int | None,
    processes: int,
    json_path: Path | None,
) -> None:
    """What the parts of the adaptive coder buy on the images in DATA, given MODEL's x0_hat."""
    from tabulate import tabulate

    images = load_named(data, split, tile, count)
    jobs = [(image, switch) for switch in (*SWITCHES, None) for image in images]
    measured = in_order(partial(started, model), jobs, processes, "coding")
    found = [(switch, one) for (_, switch), one in zip(jobs, measured, strict=True)]
    rows = rows_of(found)
    click.echo(tabulate(rows, headers="keys", missingval="-"))
    result: Result = {
        "model": {"name": model, "fingerprint": load_graph(model).fingerprint.hex()},
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "size": [HEIGHT, WIDTH],
        "rows": rows,
        **provenance(__name__, threads=1, processes=processes),
    }
    write_result(json_path, result)


if __name__ == "__main__":
    main()
