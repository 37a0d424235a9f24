"""The codecs that Pillow writes: JPEG, WebP and AVIF by quality, and lossless files.

Each gets what a careful user would choose: JPEG with optimised Huffman tables, the smaller of
baseline and progressive, and the better of 4:2:0 and 4:4:4; WebP with its slowest search; AVIF
the better of 4:2:0 and 4:4:4, at libavif's own speed 6.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import File, best, measure
from diffcodec.eval.peers.budgets import within_budgets

# WebP's quality 100 starts a brute-force search: 20 times the time of 99 for 0.3 % fewer bytes.
LOSSLESS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "optimize": True},
    "webp": {"format": "WEBP", "lossless": True, "quality": 99, "method": 6, "exact": True},
    "qoi": {"format": "QOI"},
}


def writes(format: str) -> bool:
    """Can this Pillow write files of the format?"""
    Image.init()
    return format in Image.SAVE


def write(pixels: Pixels, **settings: Any) -> bytes:
    """The file that Pillow's `save(**settings)` makes of (H, W, 3) or (H, W, 1) uint8."""
    buffer = io.BytesIO()
    plane = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(plane)).save(buffer, **settings)
    return buffer.getvalue()


def read(data: bytes, channels: int) -> Pixels:
    """(H, W, channels) uint8."""
    with Image.open(io.BytesIO(data)) as file:
        pixels = np.asarray(file.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def coded(pixels: Pixels, **settings: Any) -> File:
    """Written with Pillow's `save(**settings)`, and read again."""
    decode = partial(read, channels=pixels.shape[2])
    return measure(pixels, partial(write, **settings), decode)


def lossless(pixels: Pixels, name: str) -> File:
    """name: of LOSSLESS. QOI has no grey: such images become RGB."""
    if name == "qoi" and pixels.shape[2] == 1:
        decode = partial(read, channels=1)
        return measure(pixels, lambda p: write(np.repeat(p, 3, axis=2), format="QOI"), decode)
    return coded(pixels, **LOSSLESS[name])


def jpeg(pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """The best JPEG file within each budget (bytes); None where even quality 1 is larger."""
    full = within_budgets(lambda q: _jpeg(pixels, q, 0), budgets)
    halved = within_budgets(lambda q: _jpeg(pixels, q, 2), budgets)
    return [best(a, b) for a, b in zip(full, halved, strict=True)]


def _jpeg(pixels: Pixels, quality: int, subsampling: int) -> File:
    settings = {
        "format": "JPEG",
        "quality": max(quality, 1),
        "subsampling": subsampling,
        "optimize": True,
    }
    baseline = coded(pixels, progressive=False, **settings)
    progressive = coded(pixels, progressive=True, **settings)
    return min(baseline, progressive, key=lambda file: len(file.data))


def webp(pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """The best lossy WebP file within each budget (bytes); None where even quality 0 is larger."""
    return within_budgets(
        lambda q: coded(pixels, format="WEBP", quality=q, method=6, exact=True), budgets
    )


def avif(pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """The best AVIF file within each budget (bytes); None where even quality 0 is larger."""
    full = within_budgets(lambda q: _avif(pixels, q, "4:4:4"), budgets)
    halved = within_budgets(lambda q: _avif(pixels, q, "4:2:0"), budgets)
    return [best(a, b) for a, b in zip(full, halved, strict=True)]


def _avif(pixels: Pixels, quality: int, subsampling: str) -> File:
    return coded(
        pixels,
        format="AVIF",
        quality=quality,
        subsampling=subsampling,
        speed=6,
        max_threads=1,
    )
