"""The tiles of an archive's group: how images are cut, in which order, and how the first are coded.

All of this is the format's, frozen (FORMAT-archive.md, sections 2 and 4): tiles have no headers, so
nothing that an encoder may tune can have a say in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffcodec.bitstream.step_codes import StepCode
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Pixels

Shape = tuple[int, int, int]

FIRST_CODE: StepCode = Trellis(14)  # of the steps of a progressive tile
FIRST_SEED = 0
FIRST_CHAINS = (6, 12, 25, 50)  # numbers of noise levels, of the network's optimised schedules
FIRST_STEP_BITS = 100  # that a step of a progressive tile carries at least, at 2.5 bits/dim


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image of the group."""

    image: int
    top: int
    left: int
    height: int
    width: int
    channels: int

    @property
    def shape(self) -> Shape:
        """(H, W, C)."""
        return self.height, self.width, self.channels

    def of(self, pixels: Pixels) -> Pixels:
        """Its part of the image: a view."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def tiles_of(shapes: Sequence[Shape], side: int) -> list[Tile]:
    """All tiles of images (H, W, C) in the order of the stack: by size, large ones first."""
    tiles = [
        Tile(i, top, left, min(side, height - top), min(side, width - left), channels)
        for i, (height, width, channels) in enumerate(shapes)
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return sorted(tiles, key=lambda t: (-math.prod(t.shape), t.shape))


def first_chain(dims: int) -> str:
    """The chain of a progressive tile of so many sub-pixels, by name: the longest that fits."""
    fitting = [k for k in FIRST_CHAINS if 5 * dims >= 2 * k * FIRST_STEP_BITS]
    return str(max(fitting, default=FIRST_CHAINS[0]))
