"""Every kind of image that people have comes in exactly, as the array that it was made of."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.metadata import Kind
from diffcodec.image.png_chunks import chunk
from diffcodec.image.png_writer import filtered
from tests.image_files import Samples, pack, pillow, png, small_png, tiff

RNG = np.random.default_rng(0)
ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
NAMES = {1: "grey", 2: "grey-alpha", 3: "rgb", 4: "rgba"}


def noise(channels: int, deep: bool = False) -> Samples:
    """(11, 13, C), of which rows, columns and passes differ; some pixels are transparent."""
    made = RNG.integers(0, 65536 if deep else 256, (11, 13, channels))
    pixels: Samples = made.astype(np.uint16 if deep else np.uint8)
    if channels in (2, 4):
        pixels[:4, :, -1] = 0
    return pixels


EIGHT = {c: noise(c) for c in NAMES}
SIXTEEN = {c: noise(c, deep=True) for c in NAMES}
OPAQUE = np.concatenate([EIGHT[3], np.full((11, 13, 1), 255, np.uint8)], axis=2)
BITS = EIGHT[1] > 127
INDEXED = pillow(EIGHT[3]).quantize(16)
COLOURS = np.asarray(INDEXED.convert("RGB"))
GREYS = np.arange(0, 256, 17, dtype=np.uint8)[RNG.integers(0, 16, (11, 13, 1))]


def plain(pixels: Samples, magic: bytes, peak: int) -> bytes:
    """Netpbm in decimal numbers, with comments."""
    size = b"%d %d # a comment\n" % (pixels.shape[1], pixels.shape[0])
    maximum = b"" if magic == b"P1" else b"%d\n" % peak
    return magic + b"\n" + size + maximum + b"\n".join(b"%d" % v for v in pixels.reshape(-1))


def through_pillow() -> Iterator[tuple[str, bytes, Samples]]:
    """What Pillow writes."""
    for format in ("PNG", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"):
        for c, pixels in EIGHT.items():
            if (format, c) in {("WEBP", 1), ("WEBP", 2), ("BMP", 2), ("PPM", 2), ("PPM", 4)}:
                continue
            options = {"WEBP": {"lossless": True, "exact": True}}.get(format, {})
            if (format, c) == ("BMP", 4):
                continue  # its fourth bytes mean nothing
            yield f"{format}-{NAMES[c]}", pack(pillow(pixels), format, **options), pixels
    for method in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for c in (1, 3, 4):
            yield (
                f"{method}-{NAMES[c]}",
                pack(pillow(EIGHT[c]), "TIFF", compression=method),
                EIGHT[c],
            )
    for format in ("PNG", "TIFF", "WEBP"):
        yield (
            f"{format}-opaque",
            image.to_bytes(OPAQUE, format.lower()),
            (
                EIGHT[3] if format == "WEBP" else OPAQUE  # which drops what says nothing
            ),
        )
    for format in ("PNG", "GIF", "TIFF", "BMP"):
        yield f"{format}-palette", pack(INDEXED, format), COLOURS
    for format in ("PNG", "TIFF", "PPM", "BMP"):
        bits = Image.fromarray(BITS[..., 0])
        yield f"{format}-bits", pack(bits, format), np.where(BITS, 255, 0).astype(np.uint8)
    bits = Image.fromarray(BITS[..., 0])
    fax = pack(bits, "TIFF", compression="group4")
    yield "TIFF-group4", fax, np.where(BITS, 255, 0).astype(np.uint8)
    deep = Image.fromarray(SIXTEEN[1][..., 0])
    for format in ("PNG", "TIFF", "PPM"):
        yield f"{format}-16-grey", pack(deep, format), SIXTEEN[1]
    yield "TIFF-16-grey-lzw", pack(deep, "TIFF", compression="tiff_lzw"), SIXTEEN[1]


def lossy() -> Iterator[tuple[str, bytes, Samples]]:
    """Their pixels are what Pillow decodes."""
    for format in ("JPEG", "MPO", "AVIF", "WEBP"):
        data = pack(pillow(EIGHT[3]), format)
        yield f"{format}-lossy", data, np.asarray(Image.open(io.BytesIO(data)))


def by_hand() -> Iterator[tuple[str, bytes, Samples]]:
    """What Pillow does not write."""
    for c in NAMES:
        for pixels, depth in ((EIGHT[c], 8), (SIXTEEN[c], 16)):
            name = f"png-{depth}-{NAMES[c]}"
            yield f"{name}-all-filters", png(pixels), pixels
            yield f"{name}-interlaced", png(pixels, interlaced=True), pixels
            yield f"{name}-pam", image.to_bytes(pixels, "ppm"), pixels
    for number in range(5):
        yield f"png-16-rgb-filter-{number}", png(SIXTEEN[3], filter=number), SIXTEEN[3]
    for c in (3, 4):
        for order in ORDERS:
            for how in ({}, {"deflated": True}, {"deflated": True, "predictor": True}):
                for strips in (1, 3):
                    name = f"tiff-16-{NAMES[c]}-{order}-{'-'.join(how)}-{strips}"
                    yield name, tiff(SIXTEEN[c], order, strips=strips, **how), SIXTEEN[c]
    for order in ORDERS:
        yield f"tiff-16-grey-{order}", tiff(SIXTEEN[1], order), SIXTEEN[1]
        name = f"tiff-16-grey-{order}-predictor"
        yield name, tiff(SIXTEEN[1], order, deflated=True, predictor=True), SIXTEEN[1]
        yield f"tiff-8-grey-alpha-{order}", tiff(EIGHT[2], order), EIGHT[2]
    for c in (3, 4):
        for deflated in (False, True):
            for strips in (1, 3):
                data = tiff(EIGHT[c], apart=True, deflated=deflated, strips=strips)
                yield f"tiff-8-{NAMES[c]}-apart-{deflated}-{strips}", data, EIGHT[c]
    yield "tiff-white-is-0", tiff(255 - EIGHT[1], t262=0), EIGHT[1]
    for depth, ones in ((1, 1), (2, 3), (4, 15)):
        row = bytes([ones << (8 - depth) >> depth])  # 0, then the brightest
        wanted = np.array([[[0], [255]]] * 2, np.uint8)
        yield f"png-{depth}-bit-grey", small_png(depth, 0, row), wanted
        palette = chunk(b"PLTE", bytes([9, 8, 7] + [0, 0, 0] * (ones - 1) + [1, 2, 3]))
        wanted = np.array([[[9, 8, 7], [1, 2, 3]]] * 2, np.uint8)
        yield f"png-{depth}-bit-palette", small_png(depth, 3, row, palette), wanted


def netpbm() -> Iterator[tuple[str, bytes, Samples]]:
    """Plain and binary, of odd maxima."""
    yield "P1", plain(np.where(BITS, 0, 1), b"P1", 1), np.where(BITS, 255, 0).astype(np.uint8)
    yield "P2", plain(EIGHT[1], b"P2", 255), EIGHT[1]
    yield "P3", plain(EIGHT[3], b"P3", 255), EIGHT[3]
    yield "P2-16", plain(SIXTEEN[1], b"P2", 65535), SIXTEEN[1]
    yield "P3-16", plain(SIXTEEN[3], b"P3", 65535), SIXTEEN[3]
    yield "P5-maximum-15", b"P5 13 11 15\n" + (GREYS // 17).tobytes(), GREYS
    pam = b"P7\n# so\nWIDTH 13\nHEIGHT 11\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n"
    yield "P7-bits", pam + BITS.tobytes(), np.where(BITS, 255, 0).astype(np.uint8)


def transparent() -> Iterator[tuple[str, bytes, Samples]]:
    """One colour, or some of a palette, are transparent."""
    for pixels, name in ((EIGHT, "8"), (SIXTEEN, "16")):
        for c in (1, 3):
            value = pixels[c][5, 5]
            mark = chunk(b"tRNS", value.astype(">u2").tobytes())
            gone = (pixels[c] == value).all(axis=2, keepdims=True)
            peak = np.iinfo(value.dtype).max
            alpha = np.where(gone, 0, peak).astype(value.dtype)
            wanted = np.concatenate([pixels[c], alpha], axis=2)
            yield f"png-{name}-{NAMES[c]}-tRNS", png(pixels[c], mark), wanted
    # 16-bit values that agree in their high bytes alone are others
    near = np.array([[[256, 0, 0], [257, 0, 0]]], np.uint16)
    mark = chunk(b"tRNS", bytes([1, 0, 0, 0, 0, 0]))
    wanted = np.array([[[256, 0, 0, 0], [257, 0, 0, 65535]]], np.uint16)
    yield "png-16-rgb-tRNS-near", png(near, mark), wanted
    for depth, ones in ((1, 1), (2, 3), (4, 15)):
        row = bytes([ones << (8 - depth) >> depth])
        mark = chunk(b"tRNS", struct.pack(">H", ones))
        wanted = np.array([[[0, 255], [255, 0]]] * 2, np.uint8)
        yield f"png-{depth}-grey-tRNS", small_png(depth, 0, row, mark), wanted
    for format in ("PNG", "GIF"):
        alpha = np.where(np.asarray(INDEXED) == 3, 0, 255)[..., None].astype(np.uint8)
        data = pack(INDEXED, format, transparency=3)
        yield f"{format}-palette-one", data, np.concatenate([COLOURS, alpha], axis=2)
    table = bytes(range(0, 160, 10))
    alpha = np.frombuffer(table, np.uint8)[np.asarray(INDEXED)][..., None]
    wanted = np.concatenate([COLOURS, alpha], axis=2)
    yield "PNG-palette-alpha", pack(INDEXED, "PNG", transparency=table), wanted
    yield "PNG-palette-alpha-interlaced", interlaced_palette(table), wanted


def interlaced_palette(table: bytes) -> bytes:
    """INDEXED as PNG of 8 bits in seven passes."""
    data = png(np.asarray(INDEXED)[..., None], interlaced=True)
    palette = bytes(INDEXED.getpalette() or [])[:48]
    marks = chunk(b"PLTE", palette).packed() + chunk(b"tRNS", table).packed()
    head = bytearray(data[16:29])
    head[9] = 3
    return data[:8] + chunk(b"IHDR", bytes(head)).packed() + marks + data[33:]


KINDS = [
    *through_pillow(),
    *lossy(),
    *by_hand(),
    *netpbm(),
    *transparent(),
]


def test_there_are_many_kinds() -> None:
    assert len({name for name, *_ in KINDS}) == len(KINDS) > 100


@pytest.mark.parametrize(("data", "wanted"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_exact(data: bytes, wanted: Samples) -> None:
    picture = image.read_picture(data)
    pixels, bmp = picture.pixels, data[:2] == b"BM"  # into which Pillow writes 96 dots per inch
    assert pixels.dtype == wanted.dtype and pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, wanted)
    assert {item.kind for item in picture.metadata} <= ({Kind.DENSITY} if bmp else set())
    assert picture.lost == ()


@pytest.mark.parametrize("turn", range(9))
@pytest.mark.parametrize("pixels", [EIGHT[3], SIXTEEN[1], SIXTEEN[3], EIGHT[2]])
@pytest.mark.parametrize("deflated", [False, True])
def test_tiffs_are_not_turned(pixels: Samples, deflated: bool, turn: int) -> None:
    data = tiff(pixels, deflated=deflated, t274=turn)
    np.testing.assert_array_equal(image.load(data), pixels)


def test_of_webp_what_is_transparent_stays() -> None:
    hidden = EIGHT[4].copy()
    hidden[..., 3] = 0
    np.testing.assert_array_equal(image.load(image.to_bytes(hidden, "webp")), hidden)


@pytest.mark.parametrize("channels", NAMES)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("format", image.EXACT)
def test_written_images_come_back(format: str, channels: int, deep: bool) -> None:
    pixels = (SIXTEEN if deep else EIGHT)[channels]
    if reason := image.cannot_hold(pixels, format):
        with pytest.raises(image.ImageError, match="write PNG"):
            image.to_bytes(pixels, format)
        assert (format, "16" in reason) in {("webp", True), ("tiff", True)}
        return
    back = image.load(image.to_bytes(pixels, format))
    if format == "webp" and channels < 3:
        back = back[..., [0, 3][:channels]]
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("format", image.LOSSY)
@pytest.mark.parametrize("channels", NAMES)
def test_lossy_formats_are_close(format: str, channels: int) -> None:
    smooth = np.add.outer(np.arange(16), np.arange(24))[..., None] * 5 + np.arange(channels) * 9
    pixels = smooth.astype(np.uint8)
    if format == "jpeg" and channels in (2, 4):
        with pytest.raises(image.ImageError, match="no alpha; write PNG"):
            image.to_bytes(pixels, format)
        return
    back = image.load(image.to_bytes(pixels, format)).astype(int)
    if format == "avif" and channels < 3:
        back = back[..., [0, 3][:channels]]
    assert np.abs(back - pixels).max() < 8


def test_sixteen_bits_are_filtered_well() -> None:
    """A ramp of 16 bits becomes few bytes: rows are differences."""
    ramp: Samples = np.add.outer(np.arange(64) * 257, np.arange(64) * 3)[..., None].astype(
        np.uint16
    )
    assert len(image.to_bytes(ramp)) < ramp.nbytes / 20
    assert len(image.to_bytes(ramp)) < len(png(ramp, filter=0)) / 2
    rows = ramp.astype(">u2").view(np.uint8).reshape(64, -1)
    assert set(filtered(rows, np.zeros(128, np.uint8), 2)[:, 0]) <= set(range(5))


def test_a_large_image_of_sixteen_bits_is_written_in_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diffcodec.image.png_writer.BLOCK", 3 * 13 * 6)
    np.testing.assert_array_equal(image.load(image.to_bytes(SIXTEEN[3])), SIXTEEN[3])


def test_rows_that_are_missing_are_refused() -> None:
    """A PNG that is whole in every other way."""
    data = png(EIGHT[3])
    head, body, end = data[:33], data[41:-16], data[-12:]
    short = chunk(b"IDAT", zlib.compress(zlib.decompress(body)[:-40])).packed()
    with pytest.raises(image.ImageError, match="rows of pixels are missing"):
        image.load(head + short + end)
    picture = image.read_picture(head + short + end, image.Choices(truncated=True))
    np.testing.assert_array_equal(picture.pixels[:9], EIGHT[3][:9])
    assert picture.lost == ("what is missing of its pixels",)
