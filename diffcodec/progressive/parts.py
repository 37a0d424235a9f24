"""An image taken apart into what a file codes in different ways, and put together again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcodec.bitstream.container import Header
from diffcodec.bitstream.narrowing import Narrowing, find_narrowing
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import OptionError


@dataclass(frozen=True, eq=False)
class Parts:
    """format: of the image; colours: (H, W, 1 or 3), by narrowing those that the payload codes;
    alpha: (H, W, 1) unless there is none or it is opaque."""

    format: SampleFormat
    colours: Pixels
    narrowing: Narrowing | None
    alpha: Pixels | None

    @property
    def opaque(self) -> bool:
        """Whether there is an alpha that hides nothing."""
        return self.format.alpha and self.alpha is None


def take_apart(pixels: Any) -> Parts:
    """The parts of an image (H, W, C); OptionError for what is none."""
    pixels = np.asarray(pixels)
    format = SampleFormat.of(pixels)
    if format is None:
        raise OptionError(
            "pixels must be uint8 or uint16 of shape (H, W, C), with C = 1 for grey, 3 for RGB, "
            "and one more for alpha"
        )
    if not pixels.size:
        raise OptionError("the image has no pixels")
    pixels = pixels.astype(format.dtype, copy=False)
    colours, alpha = pixels[..., : format.colour.channels], None
    if format.alpha and (pixels[..., -1] != format.peak).any():
        alpha = np.ascontiguousarray(pixels[..., -1:])
    narrowing = find_narrowing(colours) if format.depth > 8 else None
    if narrowing is not None:
        colours = narrowing.narrow(colours)
    return Parts(format, np.ascontiguousarray(colours), narrowing, alpha)


def put_together(header: Header, colours: Pixels, alpha: Pixels | None) -> Pixels:
    """The image (H, W, C) of a header: colours as its payload codes them, and alpha.

    alpha: (H, W, 1), None where it is opaque. Sizes may be those of a preview.
    """
    format = header.format
    if header.narrowing is not None:
        colours = header.narrowing.widen(colours)
    if not format.alpha:
        return colours
    if alpha is None:
        alpha = np.full((*colours.shape[:2], 1), format.peak, format.dtype)
    return np.concatenate([colours, alpha], axis=2)
