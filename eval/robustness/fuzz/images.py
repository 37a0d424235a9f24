"""Targets that read image files: what people encode, and what Pillow is given of ours."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from PIL import Image

import diffcodec.pillow
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.files import LIMITS
from diffcodec.eval.robustness.fuzz.files import TARGETS as OF_FILES
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.png_parts import varied_png
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.golden import NETWORK
from diffcodec.image import Choices, read_picture, to_bytes

CHOICES = (Choices(), Choices(truncated=True), Choices(rgb=True), Choices(frame=1))
SLOW = ("AVIF", "JPEG2000")  # decoders of others, which take their time


def read_image(data: bytes) -> None:
    """An image as `encode` reads it."""
    picture = read_picture(data, Random(data).choice(CHOICES))
    assert picture.pixels.ndim == 3 and picture.pixels.size
    assert picture.pixels.dtype in (np.uint8, np.uint16)


def open_by_pillow(data: bytes) -> None:
    """A .dfc file that Pillow opens, whose errors are all OSError."""
    diffcodec.pillow.NETWORKS[:] = [NETWORK]
    diffcodec.pillow.LIMITS = LIMITS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of damage
        try:
            with Image.open(io.BytesIO(data), formats=["DFC"]) as file:
                assert file.info["depth"] in (8, 16)
                if Random(data).random() < 0.2:
                    file.draft(None, (4, 4))
                file.load()
        except OSError as error:
            raise BitstreamError(str(error)) from error


def _pngs() -> list[bytes]:
    pixels = corpus.image(6, 7, 4)
    palette = Image.fromarray(pixels[..., :3]).quantize(4)
    return [
        to_bytes(pixels, "png", corpus.ITEMS),
        to_bytes(corpus.image(5, 4, 3, 16), "png", corpus.ITEMS[:4]),
        to_bytes(pixels[..., :1], "png"),
        _saved(palette, "PNG", transparency=1),
        _saved(Image.fromarray(pixels[..., 0]).convert("1"), "PNG"),
    ]


def _netpbms() -> list[bytes]:
    pixels = corpus.image(5, 6, 4)
    return [
        *(to_bytes(pixels[..., :channels], "ppm") for channels in (1, 2, 3, 4)),
        to_bytes(corpus.image(3, 4, 4, 16), "ppm"),
        b"P1 # so\n5 2\n0 1 0 1 0\n10101",
        b"P4\n9 2\n\x12\x80\xff\x00",
        b"P2 2 2 15 1 2 3 # no more\n 4",
        b"P3\n2 1\n65535\n1 2 3 400 500 60000\n",
    ]


def _others() -> list[bytes]:
    pixels = Image.fromarray(corpus.image(6, 7, 3))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    frames = [pixels.quantize(8), pixels.rotate(180).quantize(8)]
    found = [
        to_bytes(corpus.image(6, 7, 3), "jpeg", corpus.ITEMS),
        to_bytes(corpus.image(6, 7, 3), "tiff", corpus.ITEMS),
        to_bytes(corpus.image(6, 7, 3, 16), "tiff"),
        to_bytes(corpus.image(6, 7, 4), "webp", corpus.ITEMS),
        _saved(pixels, "JPEG", exif=exif, progressive=True, comment=b"so"),
        _saved(pixels.convert("CMYK"), "JPEG"),
        _saved(pixels.convert("L"), "TIFF", compression="packbits"),
        _saved(pixels, "BMP"),
        _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"so"),
    ]
    return found


def _slow() -> list[bytes]:
    pixels = Image.fromarray(corpus.image(16, 17, 3))
    return [_saved(pixels, "JPEG2000"), to_bytes(corpus.image(16, 17, 3), "avif", corpus.ITEMS)]


def _saved(image: Image.Image, format: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **how)
    return stream.getvalue()


def _varied_file(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    return {target.name: target for target in OF_FILES}["decode"].mutate(data, dice, others)


_ROOM = 1 << 30  # bytes: an image of as many pixels as may be is held once or twice

TARGETS = (
    Target("png", "PNG files to encode", read_image, _pngs, varied_png, 60, _ROOM),
    Target("netpbm", "Netpbm files to encode", read_image, _netpbms, mutated, 60, _ROOM),
    Target("images", "JPEG, TIFF, WebP, BMP and GIF", read_image, _others, mutated, 60, _ROOM),
    Target("slow-images", "JPEG 2000 and AVIF", read_image, _slow, mutated, 5, _ROOM),
    Target(
        "pillow",
        ".dfc files that Pillow opens",
        open_by_pillow,
        corpus.files,
        _varied_file,
        20,
    ),
)
