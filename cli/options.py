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
