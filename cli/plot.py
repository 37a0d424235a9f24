"""plot: figures of results files, and how far their curves lie apart; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring import drawing_format, need_matplotlib
from diffcodec.cli.options import output_options
from diffcodec.cli.streams import claim, narrate, print_json, write

if TYPE_CHECKING:
    from diffcodec.eval.rd.curves import Curve, Result

KINDS = ("rd", "terms", "overhead", "lossless", "steps")


def _keys(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(key.strip() for key in value.split(",") if key.strip())


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", help="The figure: .png, .svg or .pdf.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="rd: quality by rate; terms: L_t, rate and RMSE by t, of an nll result; overhead: bits "
    "over theory by rate; lossless: bars; steps: of a schedule (default: as the files are).",
)
@click.option(
    "--metric", type=click.Choice(["psnr", "ms-ssim", "rmse"]), default="psnr", help="Of rd (psnr)."
)
@click.option("--rate", type=click.Choice(["bpp", "bpd"]), default="bpp", help="Of rd (bpp).")
@click.option(
    "--curves",
    "keys",
    callback=_keys,
    metavar="NAME,...",
    help="Of rd: only these, for example 'diffcodec photo,jpegxl'.",
)
@click.option(
    "--bd",
    "reference",
    metavar="NAME",
    help="Tell BD-rate and BD-PSNR of every curve against the curve NAME.",
)
@click.option("--title", help="Instead of the data set's name.")
@output_options
def plot(
    files: tuple[Path, ...],
    output: str | None,
    kind: str | None,
    metric: Any,
    rate: Any,
    keys: tuple[str, ...] | None,
    reference: str | None,
    title: str | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw the results of eval, bench, nll and schedule, and CompressAI's, together where they fit.

    \b
    Examples:
      diffcodec plot rd.json bench.json -o rd.svg
      diffcodec plot nll.json -o terms.pdf
      diffcodec plot rd.json --bd jpeg2000
      diffcodec plot rd.json --kind lossless -o sizes.png
    """
    if output is None and reference is None:
        raise click.UsageError("say where the figure goes with -o OUT, or what to tell with --bd")
    if output is not None:
        format = drawing_format("-o", output)
        need_matplotlib("a figure")
        for path in files:
            claim(str(path), output, force=force, as_json=as_json)

    from diffcodec.eval.figures.steps import is_schedule
    from diffcodec.eval.rd import curves as loading
    from diffcodec.eval.rd.comparison import compare, to_text

    results = {path: loading.read(path) for path in files}
    bounds = [loading.is_bound(result) for result in results.values()]
    schedules = [is_schedule(result) for result in results.values()]
    kind = kind or ("terms" if all(bounds) else "steps" if all(schedules) else "rd")
    if any(schedules) != (kind == "steps") or (kind == "steps" and len(schedules) > 1):
        raise click.UsageError("--kind steps draws one result of diffcodec schedule")
    if any(bounds) and (kind != "terms" or len(bounds) > 1):
        raise click.UsageError("results of nll are drawn one by one, as --kind terms")
    if kind == "terms" and not any(bounds):
        raise click.UsageError("--kind terms is about a result of diffcodec nll")
    if kind != "rd" and (reference is not None or keys is not None):
        raise click.UsageError(f"--curves and --bd are about rate-distortion, not {kind}")
    known = loading.curves_of(results) if kind == "rd" else []
    chosen = loading.choose(known, keys)
    anchor = None if reference is None else loading.choose(known, [reference])[0]
    if output is not None:
        data = _draw(kind, chosen, list(results.values()), format, metric, rate, title)
        write(output, data, force=force)
        narrate(f"{output}: {len(data):,} bytes", quiet=quiet)
    rows = [] if anchor is None else compare(chosen, anchor, metric)
    if as_json:
        print_json({"output": output, "reference": reference, "bd": rows})
    elif anchor is not None:
        click.echo(to_text(rows, anchor))
    if rows and all(row["bd_rate_percent"] is None for row in rows):
        raise click.ClickException(rows[0]["reason"])


def _draw(
    kind: str,
    chosen: list[Curve],
    results: list[Result],
    format: str,
    metric: Any,
    rate: Any,
    title: str | None,
) -> bytes:
    from diffcodec.eval.figures import cost as plot_cost
    from diffcodec.eval.figures import steps as plot_steps
    from diffcodec.eval.figures import terms as plot_terms
    from diffcodec.eval.figures.rates import rate_distortion

    if kind == "terms":
        return plot_terms.draw(results[0], format, title)
    if kind == "steps":
        return plot_steps.draw(results[0], format, title)
    if kind == "rd":
        return rate_distortion(chosen, results, format, metric=metric, rate=rate, title=title)
    draw = plot_cost.overhead if kind == "overhead" else plot_cost.lossless
    return draw(results, format, title)
