"""What the measuring commands share: claims of their outputs, measurements, what they report."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring_options import Run
from diffcodec.cli.output import Output, Results, listed
from diffcodec.cli.parallel import Parallel
from diffcodec.cli.streams import name_of, warn

if TYPE_CHECKING:
    from diffcodec.codec import Codec
    from diffcodec.eval.common.images import ImageSet, NamedImage
    from diffcodec.eval.peers.peers import Peer
    from diffcodec.eval.rd.rate_distortion import Settings
    from diffcodec.eval.rd.room import Cuts

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


def claim_outputs(
    sources: Sequence[str], output: Results, run: Run, reconstructions: Path | None
) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done."""
    files = {"--json": output.json_file, "--records": run.records}
    output.claim_files(sources, files, resumed=run.records)
    run.check()
    if reconstructions is not None:
        if reconstructions.exists() and not reconstructions.is_dir():
            raise click.ClickException(
                f"{name_of(reconstructions)} is not a directory; name another one"
            )
        if reconstructions.is_dir() and not os.access(reconstructions, os.W_OK):
            raise click.ClickException(f"{name_of(reconstructions)}: Permission denied")


def report_sizes(images: Sequence[NamedImage], output: Output) -> None:
    """Say that images differ in size, and why there will be no MS-SSIM, where there could be."""
    from diffcodec.eval.common.similarity import SMALLEST, available, large_enough

    shapes = {image.pixels.shape for image in images}
    if len(shapes) > 1:
        output.say(f"{len(images)} images of {len(shapes)} sizes")
    small = [image.name for image in images if not large_enough(image.pixels.shape)]
    if len(small) < len(images) and not available():
        output.say("no MS-SSIM without pytorch-msssim: pip install 'diffcodec[eval]'")
    elif 0 < len(small) < len(images):
        output.say(f"no MS-SSIM: a side is below {SMALLEST} pixels in {_some(small)}")


def choose_cuts(
    images: Sequence[NamedImage], asked: tuple[float, ...] | None, output: Output
) -> Cuts:
    """The rates that curves have points at; says which images are too small for any."""
    from diffcodec.eval.rd.room import cuts_for

    cuts = cuts_for(images, asked)
    if cuts.small:
        warn(f"too small for a cut, and in no curve: {_some(cuts.small)}")
    if not cuts.rates:
        output.say("the images are too small for a cut; only whole files count")
    return cuts


def _some(names: Sequence[str]) -> str:
    from diffcodec.data import first_few

    return listed(first_few(names))


def place_of(path: str, parallel: Parallel) -> str:
    """A file or folder as jobs name it: machines of an engine work in other folders."""
    return path if parallel.dask is None else os.path.abspath(path)


def model_place(model: str, parallel: Parallel) -> str:
    """The same of a network, which may be a shipped one."""
    return place_of(model, parallel) if os.path.exists(model) else model


def measure(
    codec: Codec,
    model: str,
    images: Sequence[NamedImage],
    cuts: Cuts,
    settings: Settings,
    others: Mapping[str, Peer],
    run: Run,
    parallel: Parallel,
    output: Output,
) -> dict[str, Any]:
    """Our files and those of other codecs, with progress: the result of `diffcodec eval`.

    model: what other processes load; settings: with the rates of `cuts`.
    """
    from diffcodec.eval.rd.rate_distortion import evaluate

    with run.resumable(), parallel.executor() as pool, output.progress("coding") as progress:
        result = evaluate(
            codec,
            images,
            settings,
            small=cuts.small,
            model=model_place(model, parallel),
            pool=None if parallel.alone else pool,
            path=run.records,
            progress=progress,
        )
    folder = None if settings.reconstructions is None else Path(settings.reconstructions)
    curves, lossless = measure_peers(
        others, images, cuts, folder, run, parallel, output, "other codecs"
    )
    result["peers"], result["lossless"]["peers"] = curves, lossless
    return result


def measure_peers(
    peers: Mapping[str, Peer],
    images: Sequence[NamedImage],
    cuts: Cuts,
    reconstructions: Path | None,
    run: Run,
    parallel: Parallel,
    output: Output,
    label: str = "coding",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The curves of other codecs and their lossless sizes, by name."""
    from diffcodec.eval.rd.bench import bench, pool

    with run.resumable(), parallel.executor() as workers, output.progress(label) as progress:
        found = bench(
            peers,
            images,
            cuts.rates,
            pool=workers,
            path=run.records,
            reconstructions=reconstructions,
            progress=progress,
        )
    return pool(peers, found, cuts.small)


def about_run(images: ImageSet, threads: int, parallel: Parallel) -> dict[str, Any]:
    """The data set, the machine and the command, as a result states them."""
    from diffcodec.eval.common.results import provenance
    from diffcodec.eval.rd.bench import versions

    return {
        "dataset": images.about,
        **provenance("diffcodec", threads, parallel.processes, **versions(), device="cpu"),
    }
