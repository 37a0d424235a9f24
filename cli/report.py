"""report: a page to look at, with a slider over bytes; parse, call, write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring import about_run, measure, need_matplotlib, read_images
from diffcodec.cli.options import (
    cuts_option,
    model_option,
    peers_options,
    run_options,
    set_options,
    threads_option,
)
from diffcodec.cli.streams import PIPE, about, claim, narrate, progress_bar, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffcodec.codec import Codec
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.report.views import View


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, metavar="OUT", help="The page, .html.")
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw these results of eval, bench and nll instead of measuring. May be repeated.",
)
@click.option(
    "--show",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Put the first N images under the slider (1).",
)
@click.option(
    "--no-samples", is_flag=True, help="Show cuts by their mean only: much faster for photographs."
)
@set_options
@model_option
@cuts_option
@click.option("--chain", metavar="K|NAME:N", help="Noise levels, as in encode.")
@peers_options
@run_options
@threads_option
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it goes wrong.")
def report(
    data: Path,
    output: str,
    results: tuple[Path, ...],
    show: int,
    no_samples: bool,
    split: str | None,
    tile: int | None,
    count: int | None,
    model: str | None,
    cuts: tuple[float, ...] | None,
    chain: str | None,
    peers: tuple[str, ...] | None,
    records: str | None,
    processes: int,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """One page about the images below DATA, that opens anywhere and needs no network.

    A slider over bytes with other codecs beside it, curves, tables, what every bit was spent on.
    All images are measured as by `diffcodec eval`, unless --results has that already.

    \b
    Examples:
      diffcodec report photo.png -o report.html
      diffcodec report kodak/ -o kodak.html --show 3 --results rd-kodak.json
      diffcodec report cifar10/ -o cifar.html --split test --tile 32 --count 64 -j 2
    """
    if results and records:
        raise click.UsageError("--records is about measuring; --results says it is done")
    if output != PIPE and Path(output).suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"-o {output} has no suffix of .html, .htm")
    for path in [data, *results]:
        claim(str(path), output, force=force, as_json=False)
    if records is not None:
        if records in (PIPE, output):
            raise click.UsageError("--records and -o each need a file of their own")
        claim(str(data), records, force=True, as_json=False)
    need_matplotlib("a report")

    from diffcodec.eval.common.environment import portable
    from diffcodec.eval.peers.peers import choose
    from diffcodec.eval.report import tables as report_tables

    found = report_tables.read_results(results)
    chosen = choose(peers)
    wanted = show if results and count is None else count
    images = read_images(data, split, tile, wanted, quiet=quiet)

    from diffcodec import api
    from diffcodec.codec import Codec
    from diffcodec.eval.report.page import page

    name = model or api.default_model_of([image.pixels for image in images])
    codec = Codec.from_pretrained(name, threads or (1 if processes > 1 else None))
    with about(str(data)):
        views = _views(codec, images[:show], chain, cuts, not no_samples, quiet)
    ledgers = [api.ledger(view.data, name, view.trace) for view in views]
    if not results:
        measured = _measure(
            codec, name, images, cuts, chain, chosen, records, processes, quiet=quiet
        )
        measured |= about_run(
            data, images, split=split, tile=tile, threads=codec.workers, processes=processes
        )
        found = {Path("measured"): measured}
    text = page(
        f"diffcodec on {data.resolve().stem}",
        views,
        ledgers,
        found,
        about=f"Network {codec.name} ({codec.fingerprint.hex()}), chain "
        f"{chain or 'by the size of the picture'}. Every size is that of a whole file or a whole "
        "cut, headers and checksums included.",
        command=f"diffcodec {portable(sys.argv[1:])}",
    )
    write(output, text, force=force)
    narrate(f"{output}: {len(text):,} bytes", quiet=quiet)


def _views(
    codec: Codec,
    images: Sequence[NamedImage],
    chain: str | None,
    cuts: tuple[float, ...] | None,
    samples: bool,
    quiet: bool,
) -> list[View]:
    from diffcodec.eval.report.views import view

    views = []
    for image in images:
        with progress_bar(image.name, quiet=quiet) as progress:
            views.append(
                view(
                    codec,
                    image,
                    chain=chain,
                    rates_bpp=cuts,
                    samples=samples,
                    progress=progress,
                )
            )
    return views


def _measure(
    codec: Codec,
    name: str,
    images: Sequence[NamedImage],
    cuts: tuple[float, ...] | None,
    chain: str | None,
    chosen: dict[str, Any],
    records: str | None,
    processes: int,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """As `diffcodec eval` does."""
    from diffcodec.eval.peers.peers import at_hand
    from diffcodec.eval.rd.rate_distortion import Settings, grid_bpp

    return measure(
        codec,
        name,
        images,
        Settings(cuts or grid_bpp([image.pixels for image in images]), chain, codec.workers, None),
        at_hand(chosen, lambda message: narrate(message, quiet=quiet)),
        records=records,
        processes=processes,
        quiet=quiet,
    )
