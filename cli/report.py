"""report: a page to look at, with a slider over bytes; parse, call, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.coding_options import chain_option
from diffcodec.cli.measuring import about_run, choose_cuts, measure, need_matplotlib, report_sizes
from diffcodec.cli.measuring_options import (
    Run,
    Selection,
    cuts_option,
    images_argument,
    peers_options,
    run_options,
    selection_options,
)
from diffcodec.cli.options import Network, class_option, file_options, network_options
from diffcodec.cli.output import Output
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import PIPE, about

if TYPE_CHECKING:
    from diffcodec.codec import Codec
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.report.views import View
    from diffcodec.image.picture import Choices


@click.command()
@images_argument
@click.option("-o", "--output", "target", required=True, metavar="OUT", help="The page, .html.")
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show these results of eval, bench and nll instead of measuring. May be repeated.",
)
@click.option(
    "--show",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Put the first N images under the slider (default: 1).",
)
@click.option(
    "--no-samples", is_flag=True, help="Show cuts by their mean only: much faster for photographs."
)
@selection_options
@reading_options
@network_options
@cuts_option
@chain_option("as the size suggests")
@class_option
@peers_options
@run_options
@parallel_options("images")
@file_options
def report(
    sources: tuple[str, ...],
    target: str,
    results: tuple[Path, ...],
    show: int,
    no_samples: bool,
    selection: Selection,
    choices: Choices,
    network: Network,
    cuts: tuple[float, ...] | None,
    chain: str | None,
    label: int | None,
    peers: tuple[str, ...] | None,
    run: Run,
    parallel: Parallel,
    output: Output,
) -> None:
    """Make a page about images, with a slider over bytes.

    It shows images (files, folders, or - for one from a pipe), other codecs beside each cut,
    curves, tables and what every bit was spent on, and opens anywhere, without a connection. The
    images are measured as by `diffcodec eval`, unless --results has that already.

    \b
    Examples:
      diffcodec report photo.png -o report.html
      diffcodec report kodak/ -o kodak.html --show 3 --results rd-kodak.json
      diffcodec report cifar10/ -o cifar.html --split test --tile 32 --count 64 -j 2
    """
    _claim(sources, results, target, run, output)

    from diffcodec.eval.common.environment import command
    from diffcodec.eval.peers.peers import at_hand, choose
    from diffcodec.eval.report import tables as report_tables

    shown = report_tables.read_results(results)
    chosen = choose(peers)
    if results and selection.count is None:
        selection = Selection(selection.split, selection.tile, show)
    found = selection.read(sources, choices)
    images = found.images

    from diffcodec import api
    from diffcodec.eval.rd.rate_distortion import Settings
    from diffcodec.eval.report.page import page

    name = network.model or api.default_model_of([image.pixels for image in images])
    codec = network.codec(name, parallel)
    with about(found.name if len(sources) > 1 else sources[0]):
        views = _views(codec, images[:show], chain, label, cuts, not no_samples, output)
    ledgers = [api.ledger(view.data, name, view.trace) for view in views]
    if not results:
        report_sizes(images, output)
        at = choose_cuts(images, cuts, output)
        settings = Settings(at.rates, chain, codec.workers, backend=network.backend, label=label)
        others = at_hand(chosen, output.say)
        measured = measure(codec, name, images, at, settings, others, run, parallel, output)
        measured |= about_run(found, codec.workers, parallel)
        shown = {Path("measured"): measured}
    text = page(
        f"diffcodec on {found.name}",
        views,
        ledgers,
        shown,
        about=f"Network {codec.name} ({codec.fingerprint.hex()}), chain "
        f"{chain or 'by the size of the image'}. Every size is that of a whole file or a whole "
        "cut, headers and checksums included.",
        command=command("diffcodec"),
    )
    output.write(target, text)
    output.say(f"{target}: {len(text):,} bytes")


def _claim(
    sources: Sequence[str], results: Sequence[Path], target: str, run: Run, output: Output
) -> None:
    """Refuse what cannot be written, before any work is done."""
    if results and run.records:
        raise click.UsageError("--records is about measuring; --results says it is done")
    if target != PIPE and Path(target).suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"-o {target} has no suffix of .html, .htm")
    output.claim(sources[0], target)
    files = {"-o": None if target == PIPE else target, "--records": run.records}
    output.claim_files([*sources, *results], files, resumed=run.records)
    run.check()
    need_matplotlib("a report", "jinja2")


def _views(
    codec: Codec,
    images: Sequence[NamedImage],
    chain: str | None,
    label: int | None,
    cuts: tuple[float, ...] | None,
    samples: bool,
    output: Output,
) -> list[View]:
    """What the slider shows of each image."""
    from diffcodec.eval.report.views import view

    views = []
    for image in images:
        with output.progress(image.name) as progress:
            shown = view(
                codec,
                image,
                chain=chain,
                label=label,
                rates_bpp=cuts,
                samples=samples,
                progress=progress,
            )
        views.append(shown)
    return views
