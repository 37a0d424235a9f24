"""Options on images that cannot be kept, or taken, as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from diffcodec.cli.options import grouped

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices

COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}


def _colour(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int, int] | None:
    """A colour as RGB of 8 bits: one of COLOURS, #rgb or #rrggbb."""
    if value is None or value in COLOURS:
        return COLOURS[value] if value else None
    if not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", value):
        message = f"{value!r} is no colour; give #rgb, #rrggbb, {' or '.join(COLOURS)}"
        raise click.BadParameter(message, param=option)
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _choices(
    flatten: tuple[int, int, int] | None,
    frame: int | None,
    convert: str | None,
    accept_truncated: bool,
    strip: bool = False,
) -> Choices:
    """What was chosen, as diffcodec.image takes it."""
    from diffcodec.image.picture import Choices

    return Choices(flatten, frame, convert == "rgb", strip, accept_truncated)


_reading = (
    click.option(
        "--flatten",
        callback=_colour,
        metavar="COLOUR",
        help="Lay transparent pixels on a colour: #rgb, #rrggbb, white or black.",
    ),
    click.option(
        "--frame",
        type=click.IntRange(0),
        metavar="N",
        help="Take image N, from 0, of a file that holds several.",
    ),
    click.option(
        "--convert",
        type=click.Choice(["rgb"]),
        help="Convert CMYK, LAB and floats to RGB of 8 bits; they are refused otherwise.",
    ),
    click.option(
        "--accept-truncated",
        is_flag=True,
        help="Take what is there of an image that is cut short; it is refused otherwise.",
    ),
)
strip_option = click.option(
    "--strip", is_flag=True, help="Leave out metadata: profiles, EXIF, XMP, text."
)
reading_options = grouped("choices", _choices, *_reading)  # of commands that look at pixels alone
choices_options = grouped("choices", _choices, *_reading, strip_option)
