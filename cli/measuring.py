"""What the measuring commands share: their images, their outputs, what they say about both."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.streams import PIPE, claim, narrate, print_json, progress_bar, write

if TYPE_CHECKING:
    from diffcodec.codec import Codec
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.peers.peers import Peer
    from diffcodec.eval.rd.rate_distortion import Settings


DRAWINGS = (".png", ".svg", ".pdf")


def drawing_format(option: str, path: str) -> str:
    """What a figure's suffix asks for: png, svg or pdf."""
    suffix = Path(path).suffix.lower()
    if suffix not in DRAWINGS:
        raise click.UsageError(f"{option} {path} has no suffix of {', '.join(DRAWINGS)}")
    return suffix[1:]


def need_matplotlib(what: str) -> None:
    """Refuse a figure before the work that leads to it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException(f"{what} needs matplotlib: pip install 'diffcodec[plot]'")


def claim_outputs(
    data: Path,
    *,
    json_path: str | None,
    records: str | None,
    reconstructions: str | None,
    force: bool,
) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done."""
    named = [path for path in (json_path, records) if path is not None and path != PIPE]
    if records == PIPE or len(set(named)) < len(named):
        raise click.UsageError("--json and --records each need a file of their own")
    for path in named:
        claim(str(data), path, force=force or path == records, as_json=False)
    if reconstructions is not None:
        folder = Path(reconstructions)
        if folder.exists() and not folder.is_dir():
            raise click.ClickException(f"{folder} is not a directory; name another one")
        if folder.is_dir() and os.access(folder, os.W_OK) is False:
            raise click.ClickException(f"{folder}: Permission denied")


def read_images(
    data: Path, split: str | None, tile: int | None, count: int | None, *, quiet: bool
) -> list[NamedImage]:
    """The images of DATA; what is left out is named on stderr."""
    from diffcodec.eval.common.images import load_named

    def warn(message: str) -> None:
        narrate(message, quiet=False)

    images = load_named(data, split or "all", tile or 0, count, warn)
    shapes = {image.pixels.shape for image in images}
    if len(shapes) > 1:
        narrate(f"{len(images)} images of {len(shapes)} sizes", quiet=quiet)
    return images


def tell_about_similarity(images: Sequence[NamedImage], *, quiet: bool) -> None:
    """Say why there will be no MS-SSIM, where there could be."""
    from diffcodec.eval.common.similarity import SMALLEST, available, large_enough

    large = [large_enough(image.pixels.shape) for image in images]
    if any(large) and not available():
        narrate("no MS-SSIM without pytorch-msssim: pip install 'diffcodec[eval]'", quiet=quiet)
    elif any(large) and not all(large):
        narrate(f"no MS-SSIM: some images have a side below {SMALLEST} pixels", quiet=quiet)


def measure(
    codec: Codec,
    name: str,
    images: Sequence[NamedImage],
    settings: Settings,
    others: Mapping[str, Peer],
    *,
    records: str | None,
    processes: int,
    quiet: bool,
) -> dict[str, Any]:
    """Our files and those of other codecs, with progress: the result of `diffcodec eval`."""
    from diffcodec.eval.rd.bench import bench, pool
    from diffcodec.eval.rd.rate_distortion import evaluate

    path = None if records is None else Path(records)
    folder = None if settings.reconstructions is None else Path(settings.reconstructions)
    with resumable(records):
        with progress_bar("coding", quiet=quiet) as progress:
            result = evaluate(
                codec,
                images,
                settings,
                model=name,
                processes=processes,
                path=path,
                progress=progress,
            )
        with progress_bar("other codecs", quiet=quiet) as progress:
            found = bench(
                others,
                images,
                settings.cuts_bpp,
                processes=processes,
                path=path,
                reconstructions=folder,
                progress=progress,
            )
    result["peers"], result["lossless"]["peers"] = pool(others, found)
    return result


def about_run(
    data: Path,
    images: Sequence[NamedImage],
    *,
    split: str | None,
    tile: int | None,
    threads: int,
    processes: int,
) -> dict[str, Any]:
    """The data set, the machine and the command, as a result states them."""
    from diffcodec.eval.common.environment import environment, portable
    from diffcodec.eval.common.images import about
    from diffcodec.eval.rd.bench import versions

    return {
        "dataset": about(data, split or "all", tile or 0, images),
        "environment": {**environment(threads, processes), **versions(), "device": "cpu"},
        "command": f"diffcodec {portable(sys.argv[1:])}",
    }


def give(result: dict[str, Any], text: str, json_path: str | None, *, force: bool) -> None:
    """The result where it was asked for: JSON to a file or stdout, tables for people."""
    if json_path == PIPE:
        print_json(result)
        return
    if json_path is not None:
        write(
            json_path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode(), force=force
        )
    click.echo(text)


@contextmanager
def resumable(records: str | None) -> Iterator[None]:
    """An interrupted run says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if records is not None:
            narrate(f"\nthe same command goes on from {records}", quiet=False)
        raise
