"""Images out: pixels and what belongs to them, in formats that others read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.files import write_atomic
from diffcodec.image import netpbm
from diffcodec.image.exif import with_orientation
from diffcodec.image.formats import FORMATS, format_of, readable
from diffcodec.image.holding import held
from diffcodec.image.jpeg_writer import QUALITY, jpeg_bytes
from diffcodec.image.png_writer import png_bytes
from diffcodec.image.tiff_writer import tiff_bytes

SIDES = {"webp": 16383, "jpeg": 65500, "avif": 65535}  # the longest


def to_bytes(pixels: Pixels, format: str = "png", metadata: Metadata = ()) -> bytes:
    """A whole file from pixels (H, W, C), C = 1..4, uint8 or uint16, in one of FORMATS.

    "ppm" is PGM for grey and PAM with alpha; WebP and AVIF have no grey, nor an alpha that is
    opaque throughout; JPEG and AVIF lose a little. Of several items of a kind other than text the
    first one is written. Raises ImageError if the format cannot hold
    such pixels, and for what are none. Of the metadata, what `not_kept` names is left out.
    """
    if format not in FORMATS:
        raise ImageError(f'images are written as {", ".join(FORMATS)}, not as "{format}"')
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise ImageError(f"pixels are (H, W, C) with C = 1 to 4, not {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"pixels are uint8 or uint16, not {pixels.dtype}")
    if not readable(format):
        raise ImageError(f"this Pillow does not write {format.upper()}; write PNG")
    if reason := cannot_hold(pixels, format):
        raise ImageError(f"{format.upper()} {reason}; write PNG")
    if format == "ppm":
        return netpbm.pack(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata
        items = _oriented(tuple(item for item in _once(metadata) if held(item, format)), format)
        if format in ("webp", "avif"):
            return _by_pillow(pixels, format, items)
        return {"png": png_bytes, "tiff": tiff_bytes, "jpeg": jpeg_bytes}[format](pixels, items)


def cannot_hold(pixels: Pixels, format: str) -> str | None:
    """Why a format, one of FORMATS, cannot hold such pixels ("has no alpha"); None if it can."""
    deep, alpha = pixels.dtype != np.uint8, pixels.shape[2] in (2, 4)
    if deep and format in ("webp", "jpeg", "avif"):
        return "has 8 bits a channel, not 16"
    if alpha and format == "jpeg":
        return "has no alpha"
    if deep and pixels.shape[2] == 2 and format == "tiff":
        return "of grey and alpha with 16 bits is read by few"
    if max(pixels.shape[:2]) > (side := SIDES.get(format, 1 << 31)):
        return f"has at most {side:,} pixels on a side"
    return None


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


def _once(metadata: Metadata) -> Iterator[Item]:
    """All texts, and of every other kind the first item: no format knows several."""
    kinds = set[Kind]()
    for item in metadata:
        if item.kind == Kind.TEXT or item.kind not in kinds:
            kinds.add(item.kind)
            yield item


def _oriented(metadata: Metadata, format: str) -> Metadata:
    """With EXIF that says how to turn the image, where only an item of its own does."""
    turn = next((item.data[0] for item in metadata if item.kind == Kind.ORIENTATION), 1)
    tags = next((item.data for item in metadata if item.kind == Kind.EXIF), None)
    if turn == 1:  # as every reader takes it where nobody says so
        return tuple(item for item in metadata if item.kind != Kind.ORIENTATION)
    others = tuple(item for item in metadata if item.kind not in (Kind.ORIENTATION, Kind.EXIF))
    if format == "tiff":  # has a tag for it
        others += (Item(Kind.ORIENTATION, bytes([turn])),)
    return (*others, Item(Kind.EXIF, with_orientation(tags, turn)))


def _by_pillow(pixels: Pixels, format: str, items: Metadata) -> bytes:
    """WebP without loss, also of what is transparent, or AVIF."""
    if pixels.shape[2] < 3:
        pixels = pixels[..., [0, 0, 0, 1][: pixels.shape[2] + 2]]
    options: dict[str, Any] = {"lossless": True, "exact": True}
    if format == "avif":
        options = {"quality": QUALITY, "subsampling": "4:4:4"}
    names = {Kind.ICC: "icc_profile", Kind.EXIF: "exif", Kind.XMP: "xmp"}
    options |= {names[item.kind]: item.data for item in items}
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format, **options)
    return stream.getvalue()
