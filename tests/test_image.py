"""Images survive exactly, or are refused in one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffcodec import image
from diffcodec.errors import ImageError
from diffcodec.theory import units

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (13, 17, 1), dtype=np.uint8)


def pack(made: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    made.save(stream, format, **options)
    return stream.getvalue()


def pillow(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png_of_depth(depth: int, colour: int, row: bytes) -> bytes:
    """A PNG of two equal rows of two pixels, chunk by chunk: Pillow does not write these."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 2, 2, depth, colour, 0, 0, 0)
    body = zlib.compress((b"\0" + row) * 2)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_exact_formats_give_exact_pixels(format: str, pixels: NDArray[np.uint8]) -> None:
    loaded = image.load(pack(pillow(pixels), format))
    assert loaded.dtype == np.uint8 and loaded.flags.c_contiguous
    np.testing.assert_array_equal(loaded, pixels)


def test_lossless_webp_gives_exact_pixels() -> None:
    np.testing.assert_array_equal(image.load(pack(pillow(RGB), "WEBP", lossless=True)), RGB)


def test_jpeg_gives_the_decoded_pixels() -> None:
    data = pack(pillow(RGB), "JPEG")
    np.testing.assert_array_equal(image.load(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF"])
def test_palettes_become_rgb_exactly(format: str) -> None:
    indexed = pillow(RGB).quantize(16)
    wanted = np.asarray(indexed.convert("RGB"))
    np.testing.assert_array_equal(image.load(pack(indexed, format)), wanted)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_black_and_white_becomes_grey_exactly(format: str) -> None:
    bits = GREY > 127
    loaded = image.load(pack(Image.fromarray(bits[..., 0]), format))
    np.testing.assert_array_equal(loaded, np.where(bits, 255, 0))


def test_four_bit_grey_fills_the_range() -> None:
    np.testing.assert_array_equal(image.load(png_of_depth(4, 0, b"\x0f"))[0, :, 0], [0, 255])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pack(Image.new("F", (2, 2)), "TIFF"), "floating-point"),
        (pack(pillow(RGB).convert("CMYK"), "JPEG"), "CMYK"),
        (pack(pillow(RGB).convert("YCbCr"), "TIFF"), "YCbCr"),
        (pack(pillow(RGB).convert("LAB"), "TIFF"), "LAB"),
        (pack(pillow(RGB), "GIF", save_all=True, append_images=[pillow(255 - RGB)]), "several"),
        (pack(pillow(RGB), "PNG", save_all=True, append_images=[pillow(255 - RGB)]), "several"),
        (pack(pillow(RGB), "WEBP", save_all=True, append_images=[pillow(255 - RGB)]), "several"),
        (pack(pillow(RGB), "TIFF", save_all=True, append_images=[pillow(RGB)]), "several"),
        (b"", "empty"),
        (b"hello, world\n", "not an image"),
        (bytes(range(256)), "not an image"),
        (b"P5 10000 7000 255\n", "70,000,000 pixels"),
        (b"P5 40000 40000 255\n", "pixels"),
        (b"P5 0 7 255\n", "no pixels"),
    ],
)
def test_what_cannot_be_kept_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as refusal:
        image.load(data)
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "PPM", "WEBP"])
def test_no_beginning_of_a_image_is_a_image(format: str) -> None:
    data = pack(pillow(RGB), format)
    end = len(data) - {"PNG": 4, "BMP": 3}.get(format, 0)  # an empty chunk's checksum, padding
    for length in [*range(0, end, 7), *range(end - 15, end)]:
        with pytest.raises(ImageError):
            image.load(data[:length])


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    data = bytearray(pack(pillow(RGB), "PNG", compress_level=0))
    data[-40] ^= 1  # among the pixels: Pillow alone would load it
    with pytest.raises(ImageError, match="damaged"):
        image.load(bytes(data))


def test_pixels_are_not_turned() -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        plain, turned = pack(pillow(RGB), format), pack(pillow(RGB), format, exif=exif(6))
        np.testing.assert_array_equal(image.load(turned), image.load(plain))


def test_sources_are_paths_bytes_and_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image.save(RGB, path)
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(image.load(source), RGB)
    with pytest.raises(FileNotFoundError):
        image.load(tmp_path / "missing.png")
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.png is empty"):
        image.load(path)


@pytest.mark.parametrize("name", ["a.png", "a.ppm", "a.pgm", "a.PNG"])
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_saved_images_load_again(tmp_path: Path, name: str, pixels: NDArray[np.uint8]) -> None:
    image.save(pixels, tmp_path / name)
    np.testing.assert_array_equal(image.load(tmp_path / name), pixels)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    stream = io.BytesIO()
    image.save(pixels, stream, "ppm")
    assert stream.getvalue()[:2] == (b"P6" if pixels.shape[2] == 3 else b"P5")


def test_other_formats_are_not_written(tmp_path: Path) -> None:
    for name in ("a.gif", "a"):
        with pytest.raises(ImageError, match="suffix"):
            image.save(RGB, tmp_path / name)
    with pytest.raises(ImageError, match="gif"):
        image.to_bytes(RGB, "gif")
    assert not list(tmp_path.iterdir())


def test_units_round_trip_and_clip() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    unit = units.to_unit(every)
    assert unit.dtype == np.float32 and unit.shape == (1, 16, 16)
    np.testing.assert_allclose(unit.reshape(-1), np.arange(256) / 127.5 - 1, atol=1e-7)
    np.testing.assert_array_equal(units.from_unit(unit), every)
    np.testing.assert_array_equal(units.from_unit(units.to_unit(RGB)), RGB)
    np.testing.assert_array_equal(units.from_unit(np.array([[[-9.0, 9.0]]])), [[[0], [255]]])
