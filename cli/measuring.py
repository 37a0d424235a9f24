"""What the measuring commands share: claims of their outputs, measurements, what they report."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring_options import Run, Selection
from diffcodec.cli.output import Output, Results

if TYPE_CHECKING:
    from diffcodec.codec import Codec
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.peers.peers import Peer
    from diffcodec.eval.rd.rate_distortion import Settings

FIGURES = (".png", ".svg", ".pdf")


def figure_format(option: str, path: str) -> str:
    """What a figure's suffix asks for: png, svg or pdf."""
    suffix = Path(path).suffix.lower()
    if suffix not in FIGURES:
        raise click.UsageError(f"{option} {path} has no suffix of {', '.join(FIGURES)}")
    return suffix[1:]


def need_matplotlib(what: str, *others: str) -> None:
    """Refuse a figure before the work that leads to it. others: packages that it needs too."""
    for package in ("matplotlib", *others):
        if importlib.util.find_spec(package) is None:
            raise click.ClickException(f"{what} needs {package}: pip install 'diffcodec[plot]'")


def claim_outputs(data: Path, output: Results, run: Run, reconstructions: Path | None) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done."""
    files = {"--json": output.json_file, "--records": run.records}
    output.claim_files([data], files, resumed=run.records)
    if reconstructions is not None:
        if reconstructions.exists() and not reconstructions.is_dir():
            raise click.ClickException(f"{reconstructions} is not a directory; name another one")
        if reconstructions.is_dir() and not os.access(reconstructions, os.W_OK):
            raise click.ClickException(f"{reconstructions}: Permission denied")


def report_similarity(images: Sequence[NamedImage], output: Output) -> None:
    """Say why there will be no MS-SSIM, where there could be."""
    from diffcodec.eval.common.similarity import SMALLEST, available, large_enough

    large = [large_enough(image.pixels.shape) for image in images]
    if any(large) and not available():
        output.say("no MS-SSIM without pytorch-msssim: pip install 'diffcodec[eval]'")
    elif any(large) and not all(large):
        output.say(f"no MS-SSIM: some images have a side below {SMALLEST} pixels")


def measure(
    codec: Codec,
    name: str,
    images: Sequence[NamedImage],
    settings: Settings,
    others: Mapping[str, Peer],
    run: Run,
    output: Output,
) -> dict[str, Any]:
    """Our files and those of other codecs, with progress: the result of `diffcodec eval`."""
    from diffcodec.eval.rd.rate_distortion import evaluate

    with run.resumable(), output.progress("coding") as progress:
        result = evaluate(
            codec,
            images,
            settings,
            model=name,
            processes=run.processes,
            path=run.records,
            progress=progress,
        )
    folder = None if settings.reconstructions is None else Path(settings.reconstructions)
    curves, lossless = measure_peers(
        others, images, settings.cuts_bpp, folder, run, output, "other codecs"
    )
    result["peers"], result["lossless"]["peers"] = curves, lossless
    return result


def measure_peers(
    peers: Mapping[str, Peer],
    images: Sequence[NamedImage],
    rates_bpp: Sequence[float],
    reconstructions: Path | None,
    run: Run,
    output: Output,
    label: str = "coding",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The curves of other codecs and their lossless sizes, by name."""
    from diffcodec.eval.rd.bench import bench, pool

    with run.resumable(), output.progress(label) as progress:
        found = bench(
            peers,
            images,
            rates_bpp,
            processes=run.processes,
            path=run.records,
            reconstructions=reconstructions,
            progress=progress,
        )
    return pool(peers, found)


def about_run(
    data: Path, images: Sequence[NamedImage], selection: Selection, threads: int, processes: int
) -> dict[str, Any]:
    """The data set, the machine and the command, as a result states them."""
    from diffcodec.eval.common.images import about
    from diffcodec.eval.common.results import provenance
    from diffcodec.eval.rd.bench import versions

    return {
        "dataset": about(data, selection.split, selection.tile, [i.pixels for i in images]),
        **provenance("diffcodec", threads, processes, **versions(), device="cpu"),
    }
