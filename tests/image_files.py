"""Files of images, made by hand where Pillow does not write such: PNG and TIFF of 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from diffcodec.image.png_chunks import ADAM7, Chunk, assemble, chunk

Samples = NDArray[Any]  # uint8 or uint16


def pack(made: Image.Image, format: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    stream = io.BytesIO()
    made.save(stream, format, **options)
    return stream.getvalue()


def pillow(pixels: Samples) -> Image.Image:
    """(H, W, C) as an image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def png(
    pixels: Samples,
    *extra: Chunk,
    interlaced: bool = False,
    filter: int | None = None,
    after: bytes = b"",
) -> bytes:
    """A PNG of (H, W, C); filter: of all rows, None for all five in turn; extra: before IDAT."""
    deep = pixels.dtype == np.uint16
    step = pixels.shape[2] * (2 if deep else 1)
    raw = b""
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = np.ascontiguousarray(pixels[top::down, left::across].astype(">u2" if deep else "u1"))
        if part.size:
            rows = part.view(np.uint8).reshape(len(part), -1).astype(np.int64)
            raw += _filtered(rows, step, filter)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    size = (pixels.shape[1], pixels.shape[0])
    head = struct.pack(">IIBBBBB", *size, 16 if deep else 8, colour, 0, 0, int(interlaced))
    body = chunk(b"IDAT", zlib.compress(raw))
    return assemble([chunk(b"IHDR", head), *extra, body, chunk(b"IEND", b"")]) + after


def _filtered(rows: NDArray[np.int64], step: int, filter: int | None) -> bytes:
    out, above = b"", np.zeros(rows.shape[1], np.int64)
    for i, row in enumerate(rows):
        number = i % 5 if filter is None else filter
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], above[:-step]
        a, b, c = (abs(x) for x in (above - corner, left - corner, left + above - 2 * corner))
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        guess = (0 * row, left, above, (left + above) // 2, paeth)[number]
        out += bytes([number]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def small_png(depth: int, colour: int, row: bytes, *extra: Chunk) -> bytes:
    """Two equal rows of two pixels, whatever they are made of."""
    head = struct.pack(">IIBBBBB", 2, 2, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress((b"\0" + row) * 2))
    return assemble([chunk(b"IHDR", head), *extra, body, chunk(b"IEND", b"")])


def tiff(
    pixels: Samples,
    order: Literal["<", ">"] = "<",
    deflated: bool = False,
    predictor: bool = False,
    strips: int = 1,
    apart: bool = False,
    **tags: Any,
) -> bytes:
    """A TIFF of (H, W, C), in either byte order; apart: channel by channel; tags: further ones,
    "t338" for instance.
    """
    height, width, channels = pixels.shape
    values = pixels.copy()
    if predictor:
        values[:, 1:] = pixels[:, 1:] - pixels[:, :-1]
    rows = -(-height // strips)
    parts = [
        part.astype(pixels.dtype.newbyteorder(order)).tobytes()
        for plane in (np.moveaxis(values, 2, 0) if apart else [values])
        for part in (plane[top : top + rows] for top in range(0, height, rows))
    ]
    parts = [zlib.compress(part) for part in parts] if deflated else parts
    prefix = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    directory = ImageFileDirectory_v2(prefix)
    directory[256], directory[257] = width, height
    directory[258] = (8 * pixels.dtype.itemsize,) * channels
    directory[259], directory[262] = 8 if deflated else 1, 1 if channels < 3 else 2
    starts = np.cumsum([0, *(len(part) for part in parts)])
    directory[273] = tuple(int(start) for start in starts[:-1])
    directory[277], directory[278] = channels, rows
    directory[279] = tuple(len(part) for part in parts)
    if predictor:
        directory[317] = 2
    if channels in (2, 4):
        directory[338] = (2,)
    if apart:
        directory[284] = 2
    for name, value in tags.items():
        directory[int(name[1:])] = value
    return prefix + directory.tobytes(8) + b"".join(parts)
