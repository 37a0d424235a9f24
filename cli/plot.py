"""plot: figures of results files, and how far their curves lie apart; parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring import figure_format, need_matplotlib
from diffcodec.cli.measuring_options import names
from diffcodec.cli.options import grouped, output_options
from diffcodec.cli.output import Output
from diffcodec.cli.streams import print_json

if TYPE_CHECKING:
    from diffcodec.eval.common.results import Result
    from diffcodec.eval.rd.curves import Curve

KINDS = ("rd", "terms", "overhead", "lossless", "steps")
METRICS = ("psnr", "ms-ssim", "rmse")  # all of SIMILARITIES: a test sees to it


@dataclass(frozen=True)
class Figure:
    """-o, --metric, --rate, --title: how the figure looks, and where it goes."""

    path: str | None
    metric: Any
    rate: Any
    title: str | None

    def draw(self, kind: str, curves: list[Curve], results: list[Result]) -> bytes:
        """The file's bytes."""
        from diffcodec.eval.figures import cost, steps, terms
        from diffcodec.eval.figures.rates import rate_distortion

        assert self.path is not None
        format, title = figure_format("-o", self.path), self.title
        if kind == "terms":
            return terms.draw(results[0], format, title)
        if kind == "steps":
            return steps.draw(results[0], format, title)
        if kind == "rd":
            return rate_distortion(
                curves, results, format, metric=self.metric, rate=self.rate, title=title
            )
        draw = cost.overhead if kind == "overhead" else cost.lossless
        return draw(results, format, title)


figure_options = grouped(
    "figure",
    Figure,
    click.option("-o", "--output", "path", metavar="OUT", help="The figure: .png, .svg or .pdf."),
    click.option(
        "--metric",
        type=click.Choice(METRICS),
        default="psnr",
        help="Measure of quality, for kind rd (default: psnr).",
    ),
    click.option(
        "--rate",
        type=click.Choice(["bpp", "bpd"]),
        default="bpp",
        help="Unit of the rate, for kind rd (default: bpp).",
    ),
    click.option("--title", metavar="TEXT", help="Title (default: the data set's name)."),
)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@figure_options
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="rd: quality by rate; terms: L_t, rate and RMSE by t, of an nll result; overhead: bits "
    "over theory by rate; lossless: bars; steps: of a schedule (default: as the files are).",
)
@click.option(
    "--curves",
    "keys",
    metavar="NAME,...",
    help="Plot these curves only, for kind rd, for example 'diffcodec photo,jpegxl'.",
)
@click.option(
    "--bd",
    "reference",
    metavar="NAME",
    help="Report BD-rate and BD-PSNR of every curve against the curve NAME.",
)
@output_options
def plot(
    files: tuple[Path, ...],
    figure: Figure,
    kind: str | None,
    keys: str | None,
    reference: str | None,
    output: Output,
) -> None:
    """Plot the results of eval, bench, nll and schedule.

    Results of eval, bench and CompressAI go into one plot.

    \b
    Examples:
      diffcodec plot rd.json bench.json -o rd.svg
      diffcodec plot nll.json -o terms.pdf
      diffcodec plot rd.json --bd jpeg2000
      diffcodec plot rd.json --kind lossless -o sizes.png
    """
    if figure.path is None and reference is None:
        raise click.UsageError("say where the figure goes with -o OUT, or what to report with --bd")
    if figure.path is not None:
        figure_format("-o", figure.path)
        need_matplotlib("a figure")
        for path in files:
            output.claim(path, figure.path)

    from diffcodec.eval.common.results import read_result
    from diffcodec.eval.figures.checking import check
    from diffcodec.eval.rd import curves as loading
    from diffcodec.eval.rd.comparison import compare, to_text

    read = {path: read_result(path) for path in files}
    results = list(read.values())
    kind = _kind(kind, results)
    if kind != "rd" and (reference is not None or keys is not None):
        raise click.UsageError(f"--curves and --bd are about rate-distortion, not {kind}")
    for path, result in read.items():
        check(path, result)
    known = loading.curves_of(read) if kind == "rd" else []
    chosen = loading.choose(known, None if keys is None else names(keys))
    anchor = None if reference is None else loading.choose(known, [reference])[0]
    if figure.path is not None:
        data = figure.draw(kind, chosen, results)
        output.write(figure.path, data)
        output.say(f"{figure.path}: {len(data):,} bytes")
    rows = [] if anchor is None else compare(chosen, anchor, figure.metric)
    if output.as_json:
        print_json({"output": figure.path, "reference": reference, "bd": rows})
    elif anchor is not None:
        click.echo(to_text(rows, anchor))
    if rows and all(row["bd_rate_percent"] is None for row in rows):
        raise click.ClickException(rows[0]["reason"])


def _kind(asked: str | None, results: Sequence[Result]) -> str:
    """What is plotted of these results; UsageError where they do not fit together, or the kind."""
    from diffcodec.eval.figures.steps import is_schedule
    from diffcodec.eval.rd.curves import is_bound

    bounds = [is_bound(result) for result in results]
    schedules = [is_schedule(result) for result in results]
    kind = asked or ("terms" if all(bounds) else "steps" if all(schedules) else "rd")
    if any(schedules) != (kind == "steps") or (kind == "steps" and len(schedules) > 1):
        raise click.UsageError("--kind steps is about one result of diffcodec schedule")
    if any(bounds) and (kind != "terms" or len(bounds) > 1):
        raise click.UsageError("results of nll are plotted one by one, as --kind terms")
    if kind == "terms" and not any(bounds):
        raise click.UsageError("--kind terms is about a result of diffcodec nll")
    return kind
