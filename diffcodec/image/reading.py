"""Images in and out, exactly: what cannot be kept is refused in one sentence, never dropped.

Pixels are (H, W, 3) RGB or (H, W, 1) grey, uint8, as they lie in the file: nothing is rotated,
converted between colour spaces, or reduced in depth. The codec works on x0 = k / 127.5 - 1.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.image.picture import AS_IT_IS, Choices, Picture

MAX_PIXELS = 2**26
# Formats whose depth is known before Pillow reduces it to 8 bits (JPEG 2000 and AVIF cannot).
READS = ("PNG", "WEBP", "JPEG", "PPM", "BMP", "TIFF", "GIF")


def read_picture(source: str | Path | bytes | BinaryIO, choices: Choices = AS_IT_IS) -> Picture:
    """Everything that an image holds; `source` is a path, a file's bytes or a stream, read once."""
    return Picture(load(source, choices))


def load(source: str | Path | bytes | BinaryIO, choices: Choices = AS_IT_IS) -> Pixels:
    """Read an image, by path or from bytes: (H, W, 3) RGB or (H, W, 1) grey, uint8.

    A palette without transparency becomes RGB, black and white becomes grey (0 and 255), both
    exactly. Raises ImageError for anything that would not survive (transparency, more than 8 bits,
    other colour spaces, several images) or cannot be read, and OSError if there is no file.
    """
    data, name = _read(source)
    with _open(data, name) as file:
        _refuse(file, name)
        try:
            if file.format == "PNG":  # Pillow skips the checksums of the pixels unless asked
                Image.open(io.BytesIO(data), formats=["PNG"]).verify()
            file.load()
        except Exception as error:  # Pillow's readers raise almost anything on damaged data
            raise ImageError(f"{name} is cut short or damaged ({error})") from error
        grey = file.mode in ("1", "L")
        pixels = np.asarray(file.convert("L" if grey else "RGB"))
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], 1 if grey else 3))


def notes(source: str | Path | bytes | BinaryIO) -> list[str]:
    """What an image carries besides its pixels, and `load` leaves out: one phrase each."""
    data, name = _read(source)
    with _open(data, name) as file:
        found = ["its ICC colour profile"] if file.info.get("icc_profile") else []
        tags = file.getexif()
        turn = tags.get(ExifTags.Base.Orientation, 1)
        if turn != 1:
            found.append(f"its EXIF orientation ({turn}: viewers turn it, the pixels are not)")
        if file.format != "TIFF" and set(tags) - {ExifTags.Base.Orientation}:
            found.append("its EXIF data")
        if file.format == "MPO":
            found.append("its further images")
    return found


def _read(source: str | Path | bytes | BinaryIO) -> tuple[bytes, str]:
    if isinstance(source, str | Path):
        return Path(source).read_bytes(), str(source)
    return source if isinstance(source, bytes) else source.read(), "the input"


@contextmanager
def _open(data: bytes, name: str) -> Iterator[Image.Image]:
    """An image whose header is read and whose pixels are not."""
    if not data:
        raise ImageError(f"{name} is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, and sizes that are checked here
        try:
            file = Image.open(io.BytesIO(data), formats=READS)
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{name} is not an image that can be read; convert it to PNG"
            ) from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name} has more than {MAX_PIXELS:,} pixels; cut it up") from error
        except Exception as error:  # as in load
            raise ImageError(f"{name} is cut short or damaged ({error})") from error
        with file:
            yield file


def _refuse(file: Image.Image, name: str) -> None:
    """Raise ImageError for an image that (H, W, C) uint8 cannot hold exactly."""
    if file.width * file.height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {file.width * file.height:,} pixels, more than {MAX_PIXELS:,}; cut it up"
        )
    palette = file.palette.mode if file.palette else "RGB"
    if (
        file.mode in ("RGBA", "LA", "PA", "RGBa", "La")
        or palette == "RGBA"
        or ("transparency" in file.info)
    ):
        raise ImageError(f"{name} has transparency, which is not kept; flatten it first")
    if _deep(file):
        raise ImageError(f"{name} has more than 8 bits a channel; convert it to 8 bits first")
    if file.mode not in ("1", "L", "P", "RGB"):
        raise ImageError(f"{name} is {file.mode}, not RGB or grey; convert it to RGB first")
    if file.format != "MPO" and getattr(file, "n_frames", 1) > 1:
        raise ImageError(f"{name} holds several images; take one of them out first")
    if file.format == "TIFF" and file.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        # Pillow turns these, and only these, while loading
        raise ImageError(f"{name} is stored turned (TIFF orientation); save it upright first")


def _deep(file: Image.Image) -> bool:
    """More than 8 bits a channel? Pillow calls 16-bit RGB "RGB"; its decoder knows better."""
    if file.mode in ("I", "F") or file.mode.startswith("I;"):
        return True
    if file.format == "TIFF":
        bits = file.getexif().get(ExifTags.Base.BitsPerSample, 1)
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    tiles = getattr(file, "tile", [])
    if file.format == "PPM":
        return any(tile[0].startswith("ppm") and tile[3][1] > 255 for tile in tiles)
    return any(file.format == "PNG" and ";16" in tile[3] for tile in tiles)
