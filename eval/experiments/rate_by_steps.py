"""What more steps buy: the size of files, and bits per pixel at a quality, against time.

Every image is its own file, coded with chains of several lengths, decoded and compared, and cut
at many sizes. Lengths that the network has no chain for are chosen from its tables
(`optimised_levels.chosen`), as `diffcodec schedule` does with images; such a network has a
fingerprint of its own. A step that would carry less than 32 bits is left out of a file, so small
images visit fewer levels than a long chain has.

    python -m diffcodec.eval.experiments.rate_by_steps cifar10 cifar/ --split test --tile 32 \\
        --images 32 --json rate-by-steps-cifar10.json
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import click

from diffcodec.bitstream.types import Progress
from diffcodec.codec import Codec
from diffcodec.eval.common import options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.likelihood.optimised_levels import MOST, chosen
from diffcodec.eval.rd.joint import stacks
from diffcodec.eval.rd.mean_curve import rate_at
from diffcodec.eval.rd.rate_distortion import Settings, evaluate
from diffcodec.eval.rd.room import room
from diffcodec.executors import executor
from diffcodec.files import write_atomic
from diffcodec.theory.chain import Tables
from diffcodec.zoo import load_graph

STEPS = (12, 25, 50, 100, 250, 1000)
CUTS = tuple(2.0 ** (i / 4) for i in range(-20, 13))  # bpp, 1/32 to 8


def network_with(model: str, steps: int, folder: Path) -> str:
    """The network, or a file of it in `folder` that has a chain of so many steps."""
    graph = load_graph(model)
    tables = Tables.of(graph.facts.get("tables", {}))
    if str(steps) in tables.chains:
        return model
    chains = {**tables.chains, str(steps): chosen(tables, [steps])[steps]}
    path = folder / f"{Path(model).stem}-{steps}.safetensors"
    graph.with_tables(dataclasses.replace(tables, chains=chains)).save(path)
    return str(path)


def row(
    model: str,
    steps: int,
    images: Sequence[NamedImage],
    decibels: float,
    *,
    pool: Executor | None = None,
    path: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Files of one chain: means over images, ready for JSON.

    visited: steps in a file; bpd, bpd_ideal: of whole files, and the sum of the informations;
    bpp_pooled, bpp_mean: of cuts whose pooled or mean PSNR is `decibels`, null outside of what was
    measured; encode_seconds, decode_seconds: for each image, by kind.
    """
    codec: Codec = Codec.from_pretrained(model, 1)
    least = min(image.pixels.shape[0] * image.pixels.shape[1] for image in images)
    cuts = tuple(bpp for bpp in CUTS if room(bpp, least))
    result = evaluate(
        codec,
        images,
        Settings(cuts, str(steps)),
        model=model,
        pool=pool,
        path=path,
        progress=progress,
    )
    end, curve = result["lossless"], result["results"]
    return {
        "steps": steps,
        "visited": result["model"]["steps"],
        "bpd": end["bpd"],
        "standard_error_bpd": end["standard_error"],
        "bpd_ideal": end["bpd_ideal_mi"],
        "overhead_percent": end["overhead_percent_over_mi"],
        "exact": end["exact"],
        "bpp_pooled": rate_at(curve["bpp"], curve["psnr-rgb-pooled"], decibels),
        "bpp_mean": rate_at(curve["bpp"], curve["psnr-rgb"], decibels),
        **_seconds(result["seconds_per_picture"], images),
        "fingerprint": codec.fingerprint.hex(),
    }


def _seconds(of_files: dict[str, dict[str, float]], files: Sequence[NamedImage]) -> dict[str, Any]:
    """Means over images from means over files, which may be stacks."""
    share = len(files) / sum(file.parts for file in files)
    return {
        f"{way}_seconds": {part: share * seconds for part, seconds in kinds.items()}
        for way, kinds in of_files.items()
    }


def to_text(result: dict[str, Any]) -> str:
    """The rows for people."""
    from tabulate import tabulate

    kinds = ("total", "network", "trellis", "rest")
    rows = [
        [*(one[key] for key in ("steps", "visited", "bpd", "bpd_ideal", "bpp_pooled"))]
        + [one["encode_seconds"][kind] for kind in kinds]
        for one in result["rows"]
    ]
    head = ["steps", "visited", "bits/dim", "ideal", f"bpp at {result['decibels']:g} dB"]
    head += ["encode (s)", *kinds[1:]]
    formats = ("", ".1f", ".4f", ".4f", ".3f", *[".2f"] * len(kinds))
    return tabulate(rows, head, floatfmt=formats, missingval="-")


def draw(result: dict[str, Any], format: str) -> bytes:
    """Lossless rate, and bpp at the quality, against encoding time; png, svg or pdf."""
    import matplotlib.pyplot as plt

    from diffcodec.eval.figures.figure import OURS, finish, log_rates, prepare, tidy

    prepare(font_size=9)
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
    seconds = [one["encode_seconds"]["total"] for one in result["rows"]]
    kinds = {"bpd": "whole files", "bpd_ideal": "ideal code of the same steps"}
    for key, label in kinds.items():
        line = "-o" if key == "bpd" else ":"
        values = [one[key] for one in result["rows"]]
        panels[0].plot(seconds, values, line, color=OURS, label=label, markersize=4)
    panels[0].legend(frameon=False)
    known = [(s, one) for s, one in zip(seconds, result["rows"], strict=True) if one["bpp_pooled"]]
    panels[1].plot(
        [s for s, _ in known], [one["bpp_pooled"] for _, one in known], "-o", color=OURS, ms=4
    )
    for s, one in zip(seconds, result["rows"], strict=True):
        panels[0].annotate(f"{one['steps']}", (s, one["bpd"]), (3, 4), textcoords="offset points")
    tidy(panels[0], "seconds to encode an image", "bits/dim", "exact images, by steps")
    tidy(panels[1], "seconds to encode an image", "bpp", f"at {result['decibels']:g} dB")
    for axes in panels:
        log_rates(axes)
    return finish(figure, format)


@options.measurement
@click.argument("model")
@options.data_argument
@click.option("--steps", type=click.IntRange(2, MOST), multiple=True, help=f"Of {STEPS}.")
@options.set_options
@options.joint_option
@click.option("--db", "decibels", type=float, default=30.0, show_default=True, help="Quality.")
@options.records_option
@options.processes_option
@options.json_option
@options.plot_option
def main(
    model: str,
    data: Path,
    steps: tuple[int, ...],
    split: str,
    tile: int,
    count: int | None,
    joint: int | None,
    decibels: float,
    records: Path | None,
    processes: int,
    json_path: Path | None,
    plot: Path | None,
) -> None:
    """Files of the images in DATA by MODEL, with chains of several lengths: size and time."""
    own = Codec.from_pretrained(model, 1)
    images = load_named(data, split, tile, count)
    coded = stacks(images, joint) if joint else images
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for K in sorted(set(steps or STEPS)):
            network = network_with(model, K, Path(folder))
            with progress_bar(f"{K} steps") as progress, executor(processes) as pool:
                found = row(
                    network,
                    K,
                    coded,
                    decibels,
                    pool=pool,
                    path=records,
                    progress=progress,
                )
            rows.append(found)
    result: Result = {
        "rows": rows,
        "decibels": decibels,
        "joint": joint,
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "model": {"name": own.name, "fingerprint": own.fingerprint.hex()},
        **provenance(__name__, threads=1, processes=processes),
    }
    write_result(json_path, result)
    if plot is not None:
        write_atomic(plot, draw(result, plot.suffix[1:] or "png"))
    click.echo(to_text(result))
    if any(one["exact"] < len(coded) for one in rows):
        raise click.ClickException("some images did not come back exactly")


if __name__ == "__main__":
    main()
