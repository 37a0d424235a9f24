"""What a user may choose for an image that cannot be kept as it is: other colours, no alpha."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from diffcodec.bitstream.types import Pixels

STRIP = 1 << 20  # pixels that are laid upon a colour at a time


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB (RGBA for colours that were multiplied by alpha) of a loaded image.

    CMYK goes through its profile, if it has one, LAB to sRGB; numbers that are not of 8 or 16 bits
    are scaled so that 0 is black and the greatest, but at least 1, is white.
    """
    if image.mode in ("La", "RGBa"):
        return image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode == "RGBA":  # of a TIFF: Pillow has divided them
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0)
        scaled = np.rint(values.clip(0) * (255 / max(1.0, values.max())))
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if profile := _profile(image):
        try:
            done = ImageCms.profileToProfile(
                image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if done is not None:
                return done
        except ImageCms.PyCMSError:
            if image.mode == "LAB":
                raise
    return image.convert("RGB")


def _profile(image: Image.Image) -> Any:
    """What the numbers of CMYK and LAB mean, as ImageCms takes it; None if nobody says."""
    if image.mode == "LAB":
        return ImageCms.createProfile("LAB")
    data = image.info.get("icc_profile")
    if image.mode == "CMYK" and data:
        try:
            return ImageCms.ImageCmsProfile(io.BytesIO(data))
        except OSError:
            return None
    return None


def flattened(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """Without alpha: laid upon an RGB colour of 8 bits; grey becomes RGB unless that is grey.

    pixels: (H, W, 2) or (H, W, 4), uint8 or uint16.
    """
    deep = pixels.dtype == np.uint16
    peak = np.uint64(65535 if deep else 255)
    ground = np.array(colour, np.uint64) * (257 if deep else 1)
    grey = pixels.shape[2] == 2 and len(set(colour)) == 1
    out = np.empty((*pixels.shape[:2], 1 if grey else 3), pixels.dtype)
    rows = max(1, STRIP // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        strip = pixels[top : top + rows].astype(np.uint64)
        alpha = strip[..., -1:]
        mixed = strip[..., :-1] * alpha + ground[: out.shape[2]] * (peak - alpha)
        out[top : top + rows] = (mixed + peak // 2) // peak
    return out
