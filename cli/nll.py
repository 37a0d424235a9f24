"""nll: the bound on the likelihood of images, with every term; parse, call, print."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring import drawing_format, need_matplotlib, resumable
from diffcodec.cli.options import (
    model_option,
    output_options,
    run_options,
    set_options,
    threads_option,
)
from diffcodec.cli.streams import (
    PIPE,
    claim,
    name_of,
    print_json,
    progress_bar,
    read,
    write,
)

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Pixels


@click.command()
@click.argument("images", nargs=-1)
@click.option("--data", type=click.Path(path_type=Path), help="A folder of images instead.")
@set_options
@model_option
@click.option(
    "--steps",
    metavar="K|NAME:K",
    help="K of the T = 1000 steps, or of another schedule's: ddpm:50, cosine:100 (1000). own:50: "
    "the network's chain of 50 levels; chosen:1000: the best levels for its error.",
)
@click.option(
    "--sigma2",
    type=click.Choice(["beta", "beta_tilde", "learned", "widened"]),
    help="Variance of p_theta (the one in the network's recipe, beta for most; widened, that is "
    "beta_tilde and what the network's error adds, with own and chosen levels).",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    default=1,
    metavar="M",
    help="Each image meets every M-th t only (and t = 1 to 10): the same means, less sharp.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of the noise in x_t.")
@click.option("--csv", "csv_path", metavar="FILE", help="Write a row for each t.")
@click.option("--plot", metavar="FILE", help="Draw the terms, rate and distortion (png, svg).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where (cpu).")
@click.option(
    "--batch-size",
    "batch_images",
    type=click.IntRange(1),
    metavar="N",
    help="Images in a batch (as many as hold 2^16 pixels, 2^19 on CUDA).",
)
@run_options
@threads_option
@output_options
def nll(
    images: tuple[str, ...],
    data: Path | None,
    split: str | None,
    tile: int | None,
    count: int | None,
    model: str | None,
    steps: str | None,
    sigma2: Any,
    stride: int,
    seed: int,
    csv_path: str | None,
    plot: str | None,
    records: str | None,
    device: str,
    batch_images: int | None,
    processes: int,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Bits/dim of images under the network: L_T, every L_{t-1}, L_0, RMSE of x0_hat at every t.

    The variational bound of DDPM, each term from one draw of x_t for an image; betas and variance
    are those of the network's recipe. Under torchrun every process takes its share of the images.

    \b
    Examples:
      diffcodec nll photo.png --steps 50
      diffcodec nll --data cifar10/ --split test --tile 32 --records cifar.jsonl --plot cifar.svg
      diffcodec nll --data cifar10/ --tile 32 --count 256 --steps chosen:1000 --stride 10
      torchrun --nproc-per-node 8 -m diffcodec nll --data cifar10/ --tile 32 --device cuda --json
    """
    if bool(images) == (data is not None):
        raise click.UsageError("name images, or a folder of them with --data")
    if data is None and (split or tile):
        raise click.UsageError("--split and --tile are about a folder given with --data")
    format = None if plot is None else drawing_format("--plot", plot)
    family, K = _chain(steps or "1000")
    threads = threads or (1 if processes > 1 else None)
    if plot is not None:
        need_matplotlib("--plot")

    from diffcodec.eval.common.ranks import Ranks

    ranks = Ranks.join()
    quiet = quiet or not ranks.first
    if ranks.first:
        _claim(images, [csv_path, plot, records], records, force=force)

    from diffcodec.errors import CheckpointError
    from diffcodec.eval.likelihood.elbo import about_set, summarise, to_csv, to_text
    from diffcodec.eval.likelihood.nll import batch_size, evaluate, images_of, measurer
    from diffcodec.eval.likelihood.optimised_levels import settings_of

    named = _load(images, data, split, tile)[:count]

    from diffcodec.api import default_model_of
    from diffcodec.zoo import load_network

    name = model or default_model_of([pixels for _, pixels in named])

    device = _own_gpu() if device == "cuda" else device
    network = load_network(name, device, threads)
    if sigma2 == "learned" != network.sigma2:
        raise click.UsageError(f"{network.name} has no learned variance; leave out --sigma2")
    try:
        settings = settings_of(network, family, K, sigma2, stride, seed)
        _ = settings.schedule, settings.offsets(len(named))
    except CheckpointError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    chosen = images_of(named, settings, network.fingerprint)
    batch = partial(batch_size, device, batch_images)
    began = time.perf_counter()
    with resumable(None if quiet else records), progress_bar("denoising", quiet=quiet) as progress:
        terms = evaluate(
            network,
            chosen,
            settings,
            batch=batch,
            ranks=ranks,
            worker=partial(measurer, name, device, threads or 1, settings, batch),
            processes=processes,
            path=None if records is None else Path(records),
            progress=progress,
        )
    if terms is None:  # the first process tells
        return
    result = {
        "dataset": about_set(named, data, split, tile),
        "model": {
            "name": network.name,
            "fingerprint": network.fingerprint,
            "parameters": network.parameters,
        },
        **summarise(terms, chosen, settings),
        **_circumstances(
            device, network.threads, processes * ranks.world, time.perf_counter() - began
        ),
    }
    if csv_path is not None:
        write(csv_path, to_csv(result).encode(), force=force)
    if plot is not None and format is not None:
        from diffcodec.eval.figures.terms import draw

        write(plot, draw(result, format), force=force)
    if as_json:
        print_json(result)
    else:
        click.echo(to_text(result))


def _chain(steps: str) -> tuple[str | None, int]:
    """What --steps says: "ddpm:50" is ("linear", 50); without a name the network has one."""
    found = re.fullmatch("(?:([a-z]+):)?([1-9][0-9]*)", steps)
    if not found:
        raise click.UsageError(f"--steps {steps} is neither a number nor a chain such as ddpm:50")
    return "linear" if found[1] == "ddpm" else found[1], int(found[2])


def _claim(
    images: Sequence[str], outputs: Sequence[str | None], records: str | None, *, force: bool
) -> None:
    named = [output for output in outputs if output is not None]
    if PIPE in named or len(set(named)) < len(named):
        raise click.UsageError("--csv, --plot and --records each need a file of their own")
    for output in named:
        for image in images or (PIPE,):
            claim(image, output, force=force or output == records, as_json=False)


def _load(
    images: Sequence[str], data: Path | None, split: str | None, tile: int | None
) -> list[tuple[str, Pixels]]:
    """Names and pixels; images of a folder are numbered."""
    if data is None:
        from diffcodec.image import load

        return [(name_of(n), load(read(n) if n == PIPE else Path(n))) for n in images]
    from diffcodec.data import load_images

    loaded = load_images(data, split or "all", tile or 0)
    return [(f"{data.name}#{i}", pixels) for i, pixels in enumerate(loaded)]


def _own_gpu() -> str:
    """The device of this process: under torchrun each has a GPU of its own, if there are enough."""
    import torch

    if not torch.cuda.is_available():
        raise click.ClickException("this machine has no CUDA device; use --device cpu")
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def _circumstances(device: str, threads: int, processes: int, seconds: float) -> dict[str, Any]:
    from diffcodec.eval.common.environment import environment, portable

    return {
        "seconds": round(seconds, 3),
        "environment": {**environment(threads, processes), "device": device},
        "command": f"diffcodec {portable(sys.argv[1:])}",
    }
