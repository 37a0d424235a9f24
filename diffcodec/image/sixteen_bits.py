"""All 16 bits of samples that Pillow reduces to 8: it is asked twice, for each byte.

Its raw modes say which byte of a sample comes first, and it keeps the high one; told the opposite,
it keeps the low one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from diffcodec.bitstream.types import Pixels

_OPPOSITE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def raw_mode(file: Image.Image) -> str:
    """How samples lie in the file, in Pillow's words: "RGB;16B"; "" if it does not say."""
    tiles = getattr(file, "tile", [])
    args = tiles[0][3] if tiles else ""
    word = args[0] if isinstance(args, tuple) and args else args
    return word if isinstance(word, str) else ""


def reduced(file: Image.Image) -> bool:
    """Whether Pillow would drop half of each sample."""
    return file.mode in ("RGB", "RGBA") and ";16" in raw_mode(file)


def sixteen(reopen: Callable[[], ImageFile]) -> Pixels:
    """(H, W, C) uint16 of an image that is `reduced`; `reopen` opens it anew each time."""
    first = reopen()
    word = raw_mode(first)
    if word == "LA;16B":  # four bytes a pixel, whatever they are called
        _set_raw_mode(first, "RGBA")
        bytes_ = np.asarray(first)
        return _joined(bytes_[..., 0::2], bytes_[..., 1::2])
    second = reopen()
    _set_raw_mode(second, word[:-1] + _OPPOSITE[word[-1]])
    return _joined(np.asarray(first), np.asarray(second))


def _set_raw_mode(file: ImageFile, word: str) -> None:
    file.tile = [
        tile._replace(args=(word, *tile.args[1:]) if isinstance(tile.args, tuple) else word)
        for tile in file.tile
    ]


def _joined(high: Pixels, low: Pixels) -> Pixels:
    wide = high.astype(np.uint16)
    wide <<= 8
    wide |= low
    return wide
