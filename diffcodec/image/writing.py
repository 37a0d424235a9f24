"""Images out: pixels and what belongs to them, in formats that others read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.files import write_atomic
from diffcodec.image.formats import FORMATS, format_of


def to_bytes(pixels: Pixels, format: str = "png", metadata: Metadata = ()) -> bytes:
    """A whole file from pixels (H, W, C), C = 1..4, uint8 or uint16, in one of FORMATS.

    "ppm" is PGM for grey and PAM with alpha; "jpeg" and "avif" lose a little. Raises ImageError
    if the format cannot hold such pixels. Of the metadata `not_kept` names what is left out.
    """
    if format not in FORMATS:
        raise ImageError(f'images are written as {", ".join(FORMATS)}, not as "{format}"')
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3)
    stream = io.BytesIO()
    plane = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    lossless = {"lossless": True} if format == "webp" else {}
    Image.fromarray(np.ascontiguousarray(plane)).save(stream, format, **lossless)
    return stream.getvalue()


def save(
    pixels: Pixels,
    target: str | Path | BinaryIO,
    format: str | None = None,
    metadata: Metadata = (),
) -> None:
    """Write an image to a stream (PNG by default), or to a file, whole or not at all, in the format
    that its suffix says. Raises ImageError as to_bytes and format_of do, OSError from writing.
    """
    if isinstance(target, str | Path):
        path = Path(target)
        write_atomic(path, to_bytes(pixels, format or format_of(path), metadata))
    else:
        target.write(to_bytes(pixels, format or "png", metadata))


def not_kept(metadata: Metadata, format: str) -> list[str]:
    """A phrase on each item that a format of FORMATS cannot hold."""
    return []
