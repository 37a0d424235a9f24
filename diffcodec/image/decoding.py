"""From a file that Pillow has opened to samples, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from diffcodec.bitstream.types import Pixels
from diffcodec.image.png_metadata import transparent_sample
from diffcodec.image.sixteen_bits import raw_mode, reduced, sixteen

_TURN_BACK: dict[int, Callable[[Pixels], Pixels]] = {  # by EXIF's orientation
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: np.rot90,
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 3),
}


def decode(reopen: Callable[[], ImageFile], data: bytes) -> Pixels:
    """(H, W, C), uint8 or uint16, of an image that passed the refusals.

    reopen: opens it anew, at the chosen frame; data: the whole file. Whatever Pillow raises.
    """
    file = reopen()
    turn = file.getexif().get(ExifTags.Base.Orientation, 1) if file.format == "TIFF" else 1
    still = file.format != "PNG" or file.tell() == 0  # in an animation Pillow makes it RGBA
    pixels = sixteen(reopen) if reduced(file) else samples(file)
    if file.format == "PNG" and still and (value := transparent_sample(data)):
        pixels = _with_alpha(pixels, value)
    # Pillow turns TIFFs, and only these, while loading
    return np.ascontiguousarray(_TURN_BACK[turn](pixels)) if turn in _TURN_BACK else pixels


def samples(file: Image.Image) -> Pixels:
    """Of an image in one of refusals.KEPT."""
    if file.mode.startswith("I;16"):
        pixels = np.asarray(file).astype(np.uint16)
    elif file.mode in ("RGBA", "LA"):
        pixels = np.asarray(file)
    else:
        file.load()
        grey = file.mode in ("1", "L")
        pixels = np.asarray(file.convert(_with_transparency(file, grey)))
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1))


def _with_transparency(file: Image.Image, grey: bool) -> str:
    """The mode that holds a palette, or a grey or RGB image, and which of its colours is none."""
    palette = file.palette.mode if file.palette and file.mode in ("P", "PA") else ""
    alpha = file.mode == "PA" or palette.endswith("A")
    if file.format != "PNG" or file.mode == "P":  # of a PNG's single colour see transparent_sample
        alpha = alpha or "transparency" in file.info
    return ("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB")


def _with_alpha(pixels: Pixels, value: tuple[int, ...]) -> Pixels:
    """One colour is transparent."""
    if len(value) != pixels.shape[2]:
        return pixels
    gone = (pixels == np.array(value, pixels.dtype)).all(axis=2, keepdims=True)
    peak = np.iinfo(pixels.dtype).max
    return np.concatenate([pixels, np.where(gone, 0, peak).astype(pixels.dtype)], axis=2)


def fourth_bytes(file: ImageFile, data: bytes) -> bool:
    """Whether a BMP of 32 bits has something in the bytes that Pillow leaves out."""
    if raw_mode(file) != "BGRX":
        return False
    return bool(np.frombuffer(data, np.uint8)[file.tile[0].offset + 3 :: 4].any())
