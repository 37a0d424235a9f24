"""nll: the bound on the likelihood of images, with every term; parse, call, print."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.bound import Bound, bound_options
from diffcodec.cli.device import batch_option, device_option, own_device
from diffcodec.cli.measuring import figure_format, model_place, need_matplotlib
from diffcodec.cli.measuring_options import Run, Selection, run_options, selection_options
from diffcodec.cli.options import (
    Network,
    backend_option,
    class_option,
    grouped,
    model_option,
    output_options,
    threads_option,
)
from diffcodec.cli.output import Output
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import PIPE, print_json

if TYPE_CHECKING:
    from diffcodec.eval.common.images import ImageSet
    from diffcodec.eval.common.ranks import Ranks
    from diffcodec.image.picture import Choices

network_options = grouped(
    "network",
    Network,
    model_option,
    threads_option,
    backend_option("the fastest of --device", "--device alone"),
)


@click.command()
@click.argument("sources", nargs=-1, metavar="IMAGE...")
@click.option("--data", metavar="IMAGES", help="A file or folder, as IMAGE.")
@selection_options
@reading_options
@network_options
@class_option
@bound_options
@click.option("--csv", "csv_path", metavar="FILE", help="Write a row for each t.")
@click.option(
    "--plot", metavar="FILE", help="Plot the terms, rate and distortion: .png, .svg or .pdf."
)
@device_option
@batch_option
@run_options
@parallel_options("batches of images")
@output_options
def nll(
    sources: tuple[str, ...],
    data: str | None,
    selection: Selection,
    choices: Choices,
    network: Network,
    label: int | None,
    bound: Bound,
    csv_path: str | None,
    plot: str | None,
    device: str,
    batch_images: int | None,
    run: Run,
    parallel: Parallel,
    output: Output,
) -> None:
    """Bound the bits/dim of images under a network, term by term.

    Images are files, all below folders, or - for one from a pipe.

    The variational bound of DDPM: L_T, every L_{t-1}, L_0, and RMSE of x0_hat at every t, each term
    from one sample of x_t for an image; betas and variance are those of the network's recipe. Under
    torchrun every process takes its share of the images.

    \b
    Examples:
      diffcodec nll photo.png --chain ddpm:50
      diffcodec nll --data cifar10/ --split test --tile 32 --records cifar.jsonl --plot cifar.svg
      diffcodec nll --data cifar10/ --tile 32 --count 256 --chain chosen:1000 --stride 10
      torchrun --nproc-per-node 8 -m diffcodec nll --data cifar10/ --tile 32 --device cuda --json
    """
    if bool(sources) == (data is not None):
        raise click.UsageError("name images, or a folder of them with --data")
    sources = sources if data is None else (data,)
    _ = bound.levels, plot and figure_format("--plot", plot)  # refused before any work
    if plot is not None:
        need_matplotlib("--plot")

    from diffcodec.eval.common.ranks import Ranks

    ranks = Ranks.join()
    output = output if ranks.first else replace(output, quiet=True)
    if ranks.first:
        files = {"--csv": csv_path, "--plot": plot, "--records": run.records}
        output.claim_files(sources, files, resumed=run.records)
        run.check()
    if ranks.world > 1 and PIPE in sources:
        raise click.UsageError("under torchrun all processes read the images: name files")
    found = selection.read(sources, choices, tell=ranks.first)
    result = _measure(
        found, network, label, bound, device, batch_images, run, parallel, ranks, output
    )
    if result is None:  # the first process reports
        return
    from diffcodec.eval.likelihood.elbo import shape_of, to_csv, to_text

    shape = shape_of([image.pixels for image in found.images])
    result = {"dataset": {**found.about, "shape": shape}, **result}
    if csv_path is not None:
        output.write(csv_path, to_csv(result).encode())
    if plot is not None:
        from diffcodec.eval.figures.terms import draw

        output.write(plot, draw(result, figure_format("--plot", plot)))
    if output.as_json:
        print_json(result)
    else:
        click.echo(to_text(result))


def _measure(
    found: ImageSet,
    network: Network,
    label: int | None,
    bound: Bound,
    device: str,
    batch_images: int | None,
    run: Run,
    parallel: Parallel,
    ranks: Ranks,
    output: Output,
) -> dict[str, Any] | None:
    """The bound with every term, as a result has it; None on all ranks but the first."""
    from diffcodec.api import default_model_of
    from diffcodec.eval.common.results import provenance
    from diffcodec.eval.likelihood.elbo import summarise
    from diffcodec.eval.likelihood.nll import batch_size, evaluate, measurer
    from diffcodec.eval.likelihood.plan import images_of
    from diffcodec.zoo import load_network

    named = [(image.name, image.pixels) for image in found.images]
    name = network.model or default_model_of([pixels for _, pixels in named])
    threads = parallel.threads(network)
    device = own_device(device)
    denoiser = load_network(name, device, threads, network.backend, label)
    settings = bound.settings(denoiser, len(named))
    told = "" if label is None else f" {label}"
    images = images_of(named, settings, denoiser.fingerprint + told)
    batch = partial(batch_size, device, batch_images)
    model = model_place(name, parallel)
    worker = partial(measurer, model, device, threads or 1, settings, batch, network.backend, label)
    began = time.perf_counter()
    with (
        run.resumable() if ranks.first else nullcontext(),
        parallel.executor() as pool,
        output.progress("denoising") as progress,
    ):
        terms = evaluate(
            denoiser,
            images,
            settings,
            batch=batch,
            ranks=ranks,
            worker=worker,
            pool=None if parallel.alone else pool,
            jobs=getattr(pool, "workers", parallel.processes),
            path=run.records,
            progress=progress,
        )
    if terms is None:
        return None
    keys = ("name", "fingerprint", "parameters")
    return {
        "model": {key: getattr(denoiser, key) for key in keys},
        **summarise(terms, images, settings),
        "seconds": round(time.perf_counter() - began, 3),
        **provenance(
            "diffcodec", denoiser.threads, parallel.processes * ranks.world, device=device
        ),
    }
