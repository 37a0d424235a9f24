"""Images side by side: grids as the papers show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diffcodec.bitstream.types import Pixels

GAP = 2  # white pixels between images


def grid(images: Sequence[Pixels], columns: int | None = None) -> Pixels:
    """(H, W, C) uint8 images of one size in rows, in a square if it is not said how many columns.

    The last row may be shorter.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    height, width, channels = images[0].shape
    rows = -(-len(images) // columns)
    down, right = height + GAP, width + GAP
    sheet = np.full((rows * down - GAP, columns * right - GAP, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * down, i % columns * right
        sheet[top : top + height, left : left + width] = image
    return sheet
