"""A picture: pixels, and what an image file says about them."""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """pixels: (H, W, C), C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; uint8, or uint16 for more
    than 8 bits, which then use all 16. metadata: what survives; lost: a phrase on each thing that
    the image has and a Picture has not.
    """

    pixels: Pixels
    metadata: Metadata = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """What a user has chosen to do about an image that cannot be kept as it is; nothing by default.

    flatten: the colour, RGB of 8 bits, that transparent pixels are laid upon; frame: which one of
    several images, from 0; rgb: convert other colour spaces, and floats, to RGB of 8 bits; strip:
    leave metadata out; truncated: take what there is of an image that is cut short.
    """

    flatten: tuple[int, int, int] | None = None
    frame: int | None = None
    rgb: bool = False
    strip: bool = False
    truncated: bool = False


AS_IT_IS = Choices()
