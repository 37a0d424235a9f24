"""Damaged and hostile files end in an image or an ImageError of one sentence, nothing else."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.image import Choices, ImageError
from tests.image_files import Samples, pack, pillow, png, tiff

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
DEEP: Samples = RNG.integers(0, 65536, (4, 5, 3)).astype(np.uint16)
TAGS = Image.Exif()
TAGS[0x010F], TAGS[0x0112] = "Camera", 6
ITEMS = (
    Item(Kind.ORIENTATION, b"\6"),
    Item(Kind.EXIF, TAGS.tobytes().removeprefix(b"Exif\0\0")),
    Item(Kind.XMP, b"<x/>"),
    Item(Kind.TEXT, b"Comment\0\0\0so"),
)
FILES = {
    "png": image.to_bytes(RGB, "png", ITEMS),
    "png-16": png(DEEP),
    "png-interlaced": png(RGB, interlaced=True),
    "palette": pack(pillow(RGB).quantize(4), "PNG", transparency=1),
    "jpeg": pack(pillow(RGB), "JPEG", exif=TAGS, quality=40),
    "tiff": tiff(RGB),
    "tiff-16": tiff(DEEP, ">"),
    "bmp": pack(pillow(RGB), "BMP"),
    "gif": pack(pillow(RGB).quantize(4), "GIF", comment=b"so"),
    "webp": image.to_bytes(RGB, "webp", ITEMS),
    "pgm": image.to_bytes(RGB[..., :1], "ppm"),
    "plain": b"P3 # so\n2 2 255\n1 2 3 4 5 6 7 8 9 10 11 120",
    "pam": image.to_bytes(DEEP[..., :2], "ppm"),
    "jp2": pack(pillow(RGB), "JPEG2000"),
}
ENDS = {"bmp": 3, "plain": 2, "gif": 2}  # bytes that are not missed: padding, a last digit, a mark


def read(data: bytes, choices: Choices) -> image.Picture | None:
    """The image, which is one and can be written, or None for an ImageError of one line."""
    try:
        picture = image.read_picture(data, choices)
    except ImageError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
        return None
    assert picture.pixels.dtype in (np.uint8, np.uint16) and picture.pixels.ndim == 3
    assert picture.pixels.shape[2] in (1, 2, 3, 4) and picture.pixels.size
    kinds = [item.kind for item in picture.metadata]
    assert kinds == sorted(kinds)
    for format in ("png", "tiff"):
        if picture.pixels.size < 10**6 and not image.cannot_hold(picture.pixels, format):
            written = image.to_bytes(picture.pixels, format, picture.metadata)
            np.testing.assert_array_equal(image.load(written), picture.pixels)
    return picture


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", FILES)
def test_cut_at_every_byte(kind: str) -> None:
    data = FILES[kind]
    assert read(data, Choices()) is not None
    for length in range(len(data)):
        found = read(data[:length], Choices())
        assert found is None or length >= len(data) - ENDS.get(kind, 0), length
        taken = read(data[:length], Choices(truncated=True))
        assert taken is None or found or "what is missing of its pixels" in taken.lost


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", FILES)
def test_altered_bytes(kind: str) -> None:
    dice = random.Random(kind)
    for _ in range(60):
        data = bytearray(FILES[kind])
        for _ in range(dice.choice((1, 1, 2, 5))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        read(bytes(data), dice.choice((Choices(), Choices(truncated=True), Choices(rgb=True))))


@pytest.mark.parametrize(
    "data",
    [
        FILES["png"][:16] + b"\xff\xff\xff\xff" * 2 + FILES["png"][24:],
        b"P6 99999999 99999999 255\n",
        b"P6 999999999999999999999 1 255\n",
        b"P7\n" + b"WIDTH 1\n" * 1000,
        b"GIF89a\xff\xff\xff\xff" + bytes(50),
        tiff(RGB, t256=70_000, t257=70_000),
        b"II*\0" + b"\xff" * 100,
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 40,
        b"\xff\xd8\xff\xe0\0\0" + bytes(100),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        b"\0\0\0\x20ftypavif" + bytes(100),
    ],
)
def test_lies_about_sizes(data: bytes) -> None:
    for choices in (Choices(), Choices(truncated=True), Choices(frame=1)):
        with pytest.raises(ImageError):
            image.read_picture(data, choices)


@pytest.mark.parametrize("height", [5, 4000])
def test_a_tiff_whose_strips_do_not_cover_it_is_refused(height: int) -> None:
    data = tiff(RGB, t257=height)
    with pytest.raises(ImageError, match="strips of pixels are missing"):
        image.load(data)
    picture = image.read_picture(data, Choices(truncated=True))
    np.testing.assert_array_equal(picture.pixels[:4], RGB)
    assert picture.lost == ("what is missing of its pixels",)


def test_every_format_says_that_it_is_not_there() -> None:
    for data in FILES.values():
        with pytest.raises(ImageError, match=r"has no image 7|several"):
            image.read_picture(data, Choices(frame=7))
        stream = io.BytesIO(data)
        assert image.load(stream).size and not stream.read()
