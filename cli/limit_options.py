"""--max-pixels, --max-seconds, --max-memory: what a file may ask of who decodes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import Decorator, grouped

if TYPE_CHECKING:
    from diffcodec.limits import Limits

# Of diffcodec.limits, which imports numpy; a test sees to it that they agree.
PIXELS, SECONDS, MEMORY = "64M", "3600", "4G"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


if TYPE_CHECKING:
    Number = click.ParamType[float]
else:  # before 8.4 it does not say what it makes
    Number = click.ParamType


class Amount(Number):
    """A number above 0, perhaps with K, M or G behind it, which count in 1,024s; or "any"."""

    name = "amount"

    def __init__(self, whole: bool) -> None:
        self.whole = whole

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The number, or infinity for any."""
        if not isinstance(value, str) or value == "any":
            return float("inf") if value == "any" else value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", value, re.IGNORECASE)
        number = float(found[1]) * UNITS[found[2].upper()] if found else 0.0
        if not number or (self.whole and number < 1):
            self.fail(f"{value!r} is no number above 0 (say 500M, or any for no limit)", param, ctx)
        return int(number) if self.whole else number


def _limits(
    max_pixels: float | None = None,
    max_seconds: float | None = None,
    max_memory: float | None = None,
) -> Limits:
    """None: what was not given has no limit."""
    from diffcodec.limits import Limits

    given = (None if x == float("inf") else x for x in (max_pixels, max_seconds, max_memory))
    pixels, seconds, memory = given
    return Limits(
        None if pixels is None else int(pixels),
        seconds,
        None if memory is None else int(memory),
    )


def _option(name: str, whole: bool, default: str | None, about: str) -> Decorator[Any]:
    usual = f" (default: {default}; any for no limit)." if default else "."
    return click.option(
        name, type=Amount(whole), default=default, metavar="N", help=f"{about}{usual}"
    )


def _pixels(default: str | None) -> Decorator[Any]:
    return _option("--max-pixels", True, default, "Refuse images of more pixels")


def _memory(default: str | None) -> Decorator[Any]:
    about = "Refuse images that take more bytes of memory, by an estimate from the header"
    return _option("--max-memory", True, default, about)


limit_options = grouped(
    "limits",
    _limits,
    _pixels(PIXELS),
    _option("--max-seconds", False, SECONDS, "Give an image up after so many seconds"),
    _memory(MEMORY),
)
stated_limit_options = grouped("limits", _limits, _pixels(None), _memory(None))
