"""Options on how an image is coded: by how much work, by which chain, and what ends it."""

from __future__ import annotations

import math
from typing import Any

import click

from diffcodec.cli.options import Decorator, grouped

# Of effort and residual in diffcodec.progressive, which import numpy; a test sees to it that they
# are all here.
EFFORTS = ("fast", "default", "best")
RESIDUALS = ("adaptive", "gaussian")
CHAIN = (
    "Noise levels: K of the network's optimised schedule (6, 12, 25, 50 or 100), or N of DDPM's "
    "T = 1000 timesteps (ddpm:1000, cosine:100)"
)

effort_option = click.option(
    "--effort",
    type=click.Choice(EFFORTS),
    default="default",
    help="Time against bytes: fast (up to 25 steps) halves encoding time, for files 2 % larger; "
    "best (up to 100) doubles encoding and decoding time, for files 1 % smaller; the default takes "
    "up to 50 steps. Small images take fewer.",
)


def chain_option(default: str) -> Decorator[Any]:
    """--chain K|NAME:N, with what stands for it where it is not given."""
    return click.option("--chain", metavar="K|NAME:N", help=f"{CHAIN} (default: {default}).")


def _switch_at(_: click.Context, option: click.Parameter, value: str | None) -> float | str | None:
    """Grey levels, or "none"."""
    if value in (None, "none"):
        return value
    try:
        sigma = float(value or "")
    except ValueError:
        sigma = 0.0
    if not (math.isfinite(sigma) and sigma > 0):
        raise click.BadParameter(f"{value!r} is no number above 0, nor none", param=option)
    return sigma


def _ending(switch: float | str | None, residual: str | None) -> dict[str, Any]:
    """What was chosen of both, as the codec's keyword arguments."""
    chosen = {"switch": switch, "residual": residual}
    return {key: value for key, value in chosen.items() if value is not None}


switch_option = click.option(
    "--switch",
    callback=_switch_at,
    metavar="SIGMA|none",
    help="Noise in grey levels at which steps end and the exact pixels follow (default: as "
    "--effort suggests; with a cut, or --residual gaussian, the end of the chain). A cut inside "
    "the exact pixels shows a part of the image exact and the rest as the last step left it; 0.6 "
    "keeps cuts fine up to 54 dB, for files some 10 % larger and half as much time again. none: no "
    "steps and no network at all, so the first bytes are no preview.",
)
residual_option = click.option(
    "--residual",
    type=click.Choice(RESIDUALS),
    help="What codes the exact pixels: adaptive, a model that learns as it goes; or gaussian, one "
    f"Gaussian for the image as in DDPM, for files 10 to 40 % larger (default: {RESIDUALS[0]}).",
)
ending_options = grouped("ending", _ending, switch_option, residual_option)


def seed_option(what: str) -> Decorator[Any]:
    """--seed N of what is random."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        metavar="N",
        help=f"Seed of {what} (default: 0).",
    )
