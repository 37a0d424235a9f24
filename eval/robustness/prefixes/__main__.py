"""Prefixes: every one of small files, random ones of large files: each is an image, none worse.

A prefix is decoded by itself, as if nothing else had come. Too short a one is refused in a
sentence; from some byte on, which is stated, there is an image, and the more bytes the closer it
is: its PSNR is compared with that of the best shorter prefix. Of archives as many images come out
as are complete, exactly, and never fewer.

    python -m diffcodec.eval.robustness.prefixes ../shared/data/kodak --json prefixes.json
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_named
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.prefixes.golden import whole_golden
from diffcodec.eval.robustness.prefixes.jobs import Job, Row, doer
from diffcodec.eval.robustness.prefixes.shipped import Large, centre

PROGRAM = "diffcodec.eval.robustness.prefixes"
ALLOWED = 0.1  # dB that a longer prefix may be worse than a shorter one;
# and where there are so few samples that a dozen which round otherwise are as much as that.
ALLOWED_SMALL = 0.2
SMALL = 32  # side of images of which all prefixes are decoded
FEW = 2  # of these with each network
MODELS = ("cifar10", "photo-large")


def findings(row: Row) -> list[str]:
    """What is not as it should be; model: only a file of a shipped network has it."""
    found = []
    if row["refused_late"]:
        found.append(f"{row['refused_late']} prefixes are refused, shorter ones are not")
    allowed = ALLOWED_SMALL if max(row.get("shape", [0])) <= SMALL else ALLOWED
    if "model" in row and row["fall_db"] > allowed:
        found.append(f"{row['fall_db']} dB worse at {row['fall_at']} bytes")
    if row.get("otherwise"):
        found.append(f"something else by themselves: {row['otherwise']}")
    if row.get("fewer") or row.get("wrong"):
        found.append(f"images get lost ({row['fewer']}) or are wrong ({row['wrong']})")
    if row["lossless"] is False:
        found.append("the whole file is not exact")
    return [f"{row['name']}: {line}" for line in found]


def to_text(rows: Sequence[Row]) -> str:
    """For people."""
    from tabulate import tabulate

    keys = ("name", "bytes", "prefixes", "images", "first_image", "fall_db", "fall_at", "step_db")
    lines = [[row.get(key) for key in keys] for row in rows]
    head = ["file", "bytes", "prefixes", "images", "first", "dB worse", "at", "than the one before"]
    said = [line for row in rows for line in findings(row)]
    return f"{tabulate(lines, head)}\n" + ("\n".join(said) or "nothing was found")


@options.measurement
@options.data_argument
@options.count_option(10)
@click.option("--crop", type=click.IntRange(32), default=192, show_default=True, help="Side.")
@click.option("--prefixes", type=click.IntRange(1), default=100, show_default=True, help="Of each.")
@click.option(
    "--stride", type=click.IntRange(1), default=1, show_default=True, help="Of golden prefixes."
)
@click.option("--seed", type=int, default=0, show_default=True)
@options.processes_option
@options.json_option
def main(
    data: Path,
    count: int,
    crop: int,
    prefixes: int,
    stride: int,
    seed: int,
    processes: int,
    json_path: Path | None,
) -> None:
    """Decode prefixes of the golden files, and of files made of images of DATA by shipped networks:
    is each an image, and no worse than a shorter one? Exit code 1 if not."""
    images = load_named(data, "all", 0, count, lambda line: click.echo(line, err=True))
    named = [(image.name, image.pixels) for image in images]
    model = MODELS[-1]
    large: list[Job] = [
        Large(name, model, centre(pixels, crop), prefixes, seed + i)
        for i, (name, pixels) in enumerate(named)
    ]
    small: list[Job] = [
        Large(f"{name}, {SMALL}x{SMALL}", model, centre(pixels, SMALL), None)
        for model in MODELS
        for name, pixels in named[:FEW]
    ]
    jobs = [*large, *small, *whole_golden()]
    rows = in_order(partial(doer, stride), jobs, processes, "files")
    end = len(large) + len(small)
    result = {
        "large": rows[: len(large)],
        "small": rows[len(large) : end],
        "golden": rows[end:],
        "crop": crop,
        "seed": seed,
        "stride": stride,
        **provenance(PROGRAM, threads=1, processes=processes),
    }
    write_result(json_path, result)
    click.echo(to_text(rows))
    if any(findings(row) for row in rows):
        raise click.ClickException("a prefix is not as it should be")


if __name__ == "__main__":
    main()
