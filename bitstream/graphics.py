"""Exact pixels of graphics: strips of whole rows, each a lossless WebP or PNG file.

Flat areas and hard edges are what those were made for, and nothing that a diffusion model is good
at. Samples of more than 8 bits are two such files, of the upper and of the lower bytes.
"""

from __future__ import annotations

import io
import warnings
from itertools import pairwise

import numpy as np
from PIL import Image, features

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Pixels

GRAPHICS = 254  # in place of a sigma index: the pixels follow as strips
STRIP = 1 << 20  # sub-pixels in a strip, more or less
FORMATS = ("WEBP", "PNG")
WIDEST = 16383  # that WebP takes
MODES = {1: "L", 3: "RGB"}  # of Pillow, by channels

Shape = tuple[int, int, int]


def strip_count(dims: int) -> int:
    """Strips of an image of so many sub-pixels; some have no rows if these are very long."""
    return -(-dims // STRIP)


def strips(shape: Shape) -> list[slice]:
    """The rows of each strip of an image (H, W, C)."""
    count = strip_count(shape[0] * shape[1] * shape[2])
    edges = [shape[0] * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def encode_strip(pixels: Pixels) -> bytes:
    """An image file of pixels (H, W, C) uint8; nothing if there are none.

    Of uint16 two: the length of that of the upper bytes as a varint, it, and that of the lower.
    """
    if not pixels.size:
        return b""
    if pixels.itemsize == 1:
        return _file(pixels)
    upper = _file((pixels >> 8).astype(np.uint8))
    return pack_varint(len(upper)) + upper + _file((pixels & 255).astype(np.uint8))


def _file(pixels: Pixels) -> bytes:
    webp = features.check("webp") and max(pixels.shape[:2]) <= WIDEST
    out = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(out, FORMATS[0] if webp else FORMATS[1], lossless=True)  # PNG is so anyway
    return out.getvalue()


def decode_strip(data: bytes, rows: int, width: int, format: SampleFormat) -> Pixels:
    """The pixels (rows, W, C) of a strip; BitstreamError if it holds no such image."""
    shape = rows, width, format.channels
    if not rows and not data:
        return np.empty(shape, format.dtype)
    if format.sample_bytes == 1:
        return _pixels(data, shape)
    length, start = parse_varint(data, 0)
    upper, lower = (
        _pixels(data[start : start + length], shape),
        _pixels(data[start + length :], shape),
    )
    samples = upper.astype(np.uint16) << 8 | lower
    if samples.max() > format.peak:
        raise BitstreamError("the file is damaged: a sample of a strip is above the largest")
    return samples.astype(format.dtype)


def _pixels(data: bytes, shape: Shape) -> Pixels:
    """The pixels of an image file; BitstreamError if they have another shape."""
    rows, width, channels = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.size != (width, rows) or image.mode not in MODES.values():
                    raise BitstreamError("the file is damaged: a strip of pixels has another shape")
                return np.asarray(image.convert(MODES[channels]), np.uint8).reshape(shape)
    except (BitstreamError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise almost anything on damaged data
        raise BitstreamError(
            "a strip of pixels cannot be read: the file is damaged, or this Pillow has no WebP"
        ) from error
