"""PNG: pixels of 8 and 16 bits, and everything that its chunks can say."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.image.png_chunks import Chunk, assemble, chunk, chunks
from diffcodec.image.png_metadata import PLAIN, RESOURCES, XMP, fitted, raw_profile

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # colour types by channels
LEVEL = 6
BLOCK = 1 << 20  # bytes of rows that are filtered at a time
_CHUNKS = {kind: name for name, kind in PLAIN.items()}


def png_bytes(pixels: Pixels, metadata: Metadata) -> bytes:
    """A PNG of (H, W, C) uint8 or uint16, with the items that it can hold."""
    parts = _eight_bits(pixels) if pixels.dtype == np.uint8 else _sixteen_bits(pixels)
    head, *image, end = parts
    described = [_described(item, pixels.shape[2]) for item in metadata]
    return assemble([head, *described, *image, end])


def _eight_bits(pixels: Pixels) -> list[Chunk]:
    """By Pillow, which is fast."""
    stream = io.BytesIO()
    plane = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(plane)).save(stream, "PNG")
    return [part for part in chunks(stream.getvalue()) if part.kind in (b"IHDR", b"IDAT", b"IEND")]


def _sixteen_bits(pixels: Pixels) -> list[Chunk]:
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, COLOURS[channels], 0, 0, 0)
    deflate = zlib.compressobj(LEVEL, strategy=zlib.Z_FILTERED)
    row = width * channels * 2
    step = max(1, BLOCK // row)
    above = np.zeros(row, np.uint8)
    body = b""
    for top in range(0, height, step):
        part = np.ascontiguousarray(pixels[top : top + step].astype(">u2"))
        rows = part.view(np.uint8).reshape(-1, row)
        body += deflate.compress(filtered(rows, above, 2 * channels).tobytes())
        above = rows[-1]
    body += deflate.flush()
    return [chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")]


def filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Rows of bytes (N, B) as PNG's differences: (N, 1 + B), each by the filter that makes them
    smallest; above: the row before the first one; step: bytes of a pixel.
    """
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], corner[:, step:] = rows[:, :-step], up[:, :-step]
    best = np.zeros((len(rows), 1 + rows.shape[1]), np.uint8)
    least = np.full(len(rows), np.iinfo(np.int64).max)
    for number in range(5):
        differences = rows - _predicted(number, left, up, corner)
        size = np.abs(differences.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        better = size < least
        best[better, 0], best[better, 1:] = number, differences[better]
        least = np.minimum(least, size)
    return best


def _predicted(
    number: int, left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """What each of PNG's five filters takes for a byte."""
    if number < 3:
        return (np.zeros_like(left), left, up)[number]
    a, b, c = (part.astype(np.int16) for part in (left, up, corner))
    if number == 3:
        return ((a + b) >> 1).astype(np.uint8)
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_b <= to_c, up, corner)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, nearest)


def _described(item: Item, channels: int) -> Chunk:
    """One item as a chunk; they stand before the pixels, where all of them may."""
    kind, data = item
    if kind in _CHUNKS:
        return chunk(_CHUNKS[kind], fitted(data, channels) if kind == Kind.SBIT else data)
    if kind == Kind.ICC:
        return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(data, 9))
    if kind == Kind.EXIF:
        return chunk(b"eXIf", data)
    if kind == Kind.XMP:
        return chunk(b"iTXt", XMP.encode() + b"\0\0\0\0\0" + data)
    if kind == Kind.IPTC:
        packed = zlib.compress(raw_profile(data), 9)
        return chunk(b"zTXt", RESOURCES[0].encode() + b"\0\0" + packed)
    return _text(data.decode())


def _text(item: str) -> Chunk:
    keyword, language, translated, text = item.split("\0", 3)
    name = keyword.encode("latin-1", "replace")[:79]
    if not language and not translated:
        try:
            return chunk(b"tEXt", name + b"\0" + text.encode("latin-1"))
        except UnicodeEncodeError:
            pass
    tags = language.encode("latin-1", "replace") + b"\0" + translated.encode() + b"\0"
    return chunk(b"iTXt", name + b"\0\0\0" + tags + text.encode())
