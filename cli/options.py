"""Options that commands share: the same words with the same meaning everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def _finite(_: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of bits or dB", param=option)
    return value


model_option = click.option(
    "-m", "--model", metavar="NAME|PATH", help="A shipped network, or its file."
)
threads_option = click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="Use N processor threads (default: all)."
)
bytes_option = click.option(
    "--bytes", "max_bytes", type=click.IntRange(1), metavar="N", help="Cut after N bytes."
)
bpp_option = click.option(
    "--bpp",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    metavar="X",
    help="Cut after X bits per pixel.",
)
psnr_option = click.option(
    "--psnr",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    metavar="P",
    help="Stop after the first step that reaches P dB.",
)
steps_option = click.option(
    "--steps", type=click.IntRange(1), metavar="N", help="Cut after N steps."
)
effort_option = click.option(
    "--effort",
    type=click.Choice(["fast", "default", "best"]),
    default="default",
    help="Time against bytes: fast has up to 25 steps and takes half the time, for files 2 % "
    "larger; best, up to 100 steps, takes twice as long, to decode too, and saves 1 %. The default "
    "is up to 50; small images have fewer.",
)


def output_options(command: Function) -> Function:
    """-f, -q and --json, as every command that writes a file has them."""
    json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it goes wrong.")
    force = click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
    return force(quiet(json_option(command)))


def cut(**limits: float | None) -> dict[str, Any]:
    """The one cut that was asked for, as the codec's keyword argument."""
    chosen = {key: value for key, value in limits.items() if value is not None}
    if len(chosen) > 1:
        names = [f"--{key.removeprefix('max_')}" for key in limits]
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        raise click.UsageError(f"{listed} each choose the cut; give one of them")
    return chosen


# --- measuring ----------------------------------------------------------------------------------


def set_options(command: Function) -> Function:
    """--split, --tile and --count: which images of a folder are measured."""
    count = click.option(
        "--count",
        "--images",
        "count",
        type=click.IntRange(1),
        metavar="N",
        help="Only the first N images.",
    )
    tile = click.option(
        "--tile", type=click.IntRange(1), metavar="S", help="DATA holds mosaics of S x S."
    )
    split = click.option("--split", help="Of DATA only files or folders whose name begins so.")
    return split(tile(count(command)))


def run_options(command: Function) -> Function:
    """--records and -j: long measurements that resume, on several processes."""
    processes = click.option(
        "-j", "--processes", type=click.IntRange(1), default=1, metavar="N", help="Processes (1)."
    )
    records = click.option(
        "--records", metavar="FILE", help="Keep a line for each image; resumes from it."
    )
    return records(processes(command))


def _rates(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """ "0.1,0.5,2" to rising positive rates."""
    if value is None:
        return None
    try:
        rates = tuple(sorted({float(part) for part in value.split(",")}))
    except ValueError as error:
        message = "give rates in bpp, separated by commas, such as 0.25,0.5,1"
        raise click.BadParameter(message, param=option) from error
    if not all(0 < rate < math.inf for rate in rates):
        raise click.BadParameter("rates are above 0 and finite", param=option)
    return rates


cuts_option = click.option(
    "--cuts", callback=_rates, metavar="X,Y,...", help="Rates in bpp, e.g. 0.1,0.25,0.5,1,2."
)
reconstructions_option = click.option(
    "--save-reconstructions",
    "reconstructions",
    metavar="DIR",
    help="Write every decoded image, as PNG, into a folder of its codec below DIR.",
)


def _names(
    context: click.Context, __: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if context.params.pop("no_peers", False):
        if value is not None:
            raise click.UsageError("--peers and --no-peers exclude each other", context)
        return ()
    if value is None or value == "all":
        return None
    return tuple(name.strip() for name in value.split(",") if name.strip())


def peers_options(command: Function) -> Function:
    """--peers and --no-peers: the parameter `peers`, names of other codecs, None for all."""
    none = click.option("--no-peers", is_flag=True, is_eager=True, help="No other codecs.")
    some = click.option(
        "--peers",
        callback=_names,
        metavar="NAME,...",
        help="Of the other codecs only these: jpeg, jpeg2000, jpeg2000-cut, webp, avif, jpegxl, "
        "... (default: all that are here).",
    )
    return some(none(command))


def result_options(command: Function) -> Function:
    """-f, -q and --json of a command whose result is a JSON object of some size."""
    json_option = click.option(
        "--json",
        "json_path",
        is_flag=False,
        flag_value="-",
        metavar="[FILE]",
        help="Print one JSON object, or write it to FILE.",
    )
    quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it goes wrong.")
    force = click.option("-f", "--force", is_flag=True, help="Overwrite what exists.")
    return force(quiet(json_option(command)))
