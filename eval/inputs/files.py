"""Image files, of which some are put together by hand, since Pillow does not write them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from diffcodec.image.png_chunks import ADAM7, assemble, chunk, chunks


@dataclass(frozen=True)
class Input:
    """A file. group: what is odd about it; name: how a table calls it; file: what it is called, as
    the system keeps it; refused: whether it should be, unless a choice is made about it.
    """

    group: str
    name: str
    file: bytes
    data: bytes
    refused: bool = False


def gradient(size: tuple[int, int]) -> Image.Image:
    """From transparent to opaque."""
    return Image.linear_gradient("L").resize(size)


def with_alpha(image: Image.Image, value: int) -> Image.Image:
    """RGBA, of one opacity."""
    made = image.copy()
    made.putalpha(value)
    return made


def deep(image: Image.Image) -> Any:
    """(H, W, C) uint16 that use all their bits."""
    wide = np.asarray(image).reshape(image.height, image.width, -1).astype(np.uint16) * 257
    return wide ^ np.random.default_rng(0).integers(0, 64, wide.shape, np.uint16)


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The file that Pillow writes, PNG as small as it can."""
    stream = io.BytesIO()
    if format == "PNG":
        options["optimize"] = True
    image.save(stream, format, **options)
    return stream.getvalue()


def plain_png(samples: Any, colour: int, depth: int, interlaced: bool = False) -> bytes:
    """(H, W, C) as a PNG of a colour type without a palette, up to 8 bits a sample."""
    height, width, _ = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for left, top, across, down in passes:
        for row in samples[top::down, left::across]:
            bits = np.unpackbits(row.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
            rows += b"\0" + np.packbits(bits.ravel()).tobytes()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    body = zlib.compress(rows, 9)
    return assemble([chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")])


def pages(image: Image.Image, format: str) -> bytes:
    """Two, of which the second is mirrored; of copies, which remember no other file's options."""
    second = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return saved(image.copy(), format, save_all=True, append_images=[second])


def lab(image: Image.Image) -> Image.Image:
    """In mode LAB."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    assert made is not None
    made.info.pop("icc_profile", None)
    return made


def huge(size: tuple[int, int]) -> Image.Image:
    """Integers of 32 bits, which 16 do not hold."""
    values = np.arange(size[0] * size[1], dtype=np.int32).reshape(size[::-1]) * 70001
    return Image.fromarray(values)


def without_rows(png: bytes) -> bytes:
    """Half of the pixels, in chunks that are whole."""
    parts = list(chunks(png))
    rows = zlib.decompress(b"".join(part.body for part in parts if part.kind == b"IDAT"))
    half = chunk(b"IDAT", zlib.compress(rows[: len(rows) // 2]))
    first = next(i for i, part in enumerate(parts) if part.kind == b"IDAT")
    kept = [part for part in parts[first:] if part.kind != b"IDAT"]
    return assemble([*parts[:first], half, *kept])
