"""Pixels per metre, as PNG says it, in the units of other formats."""

from __future__ import annotations

from diffcodec.image.gathered import METRE
from diffcodec.image.jpeg_metadata import INCH


def per_inch_or_centimetre(data: bytes) -> tuple[float, float, int]:
    """Of a DENSITY item: across, down, and 1 for inches, 2 for centimetres, 0 for neither.

    Inches where they give whole numbers, within what rounding to a metre leaves open.
    """
    across, down = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4))
    if data[8:9] != bytes([METRE]):
        return across, down, 0
    x, y = round(across * INCH), round(down * INCH)
    if (round(x / INCH), round(y / INCH)) == (across, down):
        return x, y, 1
    return across / 100, down / 100, 2
