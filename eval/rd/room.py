"""Which rates a set of images is cut at, and which images are too small for cuts to mean anything.

A cut holds a header of some bytes. An image so small that there is no room for more is in no curve,
and the curves are those of the others; its whole file counts as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.images import NamedImage

HEADER = 40  # bytes: a cut below this holds little more than the header
# fmt: off
GRID = (0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10,
        12, 16, 20)  # bpp
# fmt: on
HIGHEST = 8  # bpp: an image that has no room at this rate does not decide about the grid


@dataclass(frozen=True)
class Cuts:
    """rates: in bpp, rising; small: names of the images that are in no curve at these rates."""

    rates: tuple[float, ...]
    small: tuple[str, ...] = ()


def cuts_for(images: Sequence[NamedImage], asked: tuple[float, ...] | None = None) -> Cuts:
    """The rates that are `asked` for, rising, or those of GRID that the images have room for.

    Too small are images without room at the lowest rate that any of them has room for, or at
    HIGHEST where no rates are asked for; none, if all are: then the grid has no rates.
    """
    areas = {image.name: image.pixels.shape[0] * image.pixels.shape[1] for image in images}
    lowest: float = HIGHEST
    if asked is not None:
        lowest = next((rate for rate in asked if room(rate, max(areas.values()))), HIGHEST)
    small = [name for name, area in areas.items() if not room(lowest, area)]
    if len(small) == len(areas):
        return Cuts(asked or ())
    kept = [image.pixels for image in images if image.name not in set(small)]
    return Cuts(asked or grid_bpp(kept), tuple(small))


def room(bpp: float, area: int) -> bool:
    """Does a cut of so many pixels hold more than a header?"""
    return bpp * area >= 8 * HEADER


def grid_bpp(images: Sequence[Pixels]) -> tuple[float, ...]:
    """The rates of GRID (bpp) that leave room for more than a header in every image."""
    least = min(image.shape[0] * image.shape[1] for image in images)
    return tuple(bpp for bpp in GRID if room(bpp, least))
