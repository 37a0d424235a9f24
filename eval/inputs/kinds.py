"""Image files of every kind that people have, made of one small photograph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.inputs.carried import carrying
from diffcodec.eval.inputs.files import (
    Input,
    deep,
    gradient,
    huge,
    lab,
    pages,
    plain_png,
    saved,
    with_alpha,
    without_rows,
)
from diffcodec.image import to_bytes


def inputs(photo: Pixels) -> Iterator[Input]:
    """All of them, from (S, S, 3) uint8 with S >= 16."""
    image = Image.fromarray(photo)
    for made in (_samples, _containers, carrying, _names, _sizes, _broken):
        yield from made(image)


# --- samples ------------------------------------------------------------------------------------


def _samples(image: Image.Image) -> Iterator[Input]:
    """Modes and depths, as PNG."""
    grey, alpha = image.convert("L"), gradient(image.size)
    palette = image.quantize(64)
    for name, data in (
        ("RGB, 8 bits", saved(image)),
        ("RGB, 8 bits, interlaced", plain_png(np.asarray(image), 2, 8, interlaced=True)),
        ("RGB, 16 bits", to_bytes(deep(image))),
        ("grey, 8 bits", saved(grey)),
        ("grey, 16 bits", to_bytes(deep(grey))),
        ("grey, 4 bits", plain_png(np.asarray(grey)[..., None] >> 4, 0, 4)),
        ("grey, 2 bits", plain_png(np.asarray(grey)[..., None] >> 6, 0, 2)),
        ("black and white, 1 bit", saved(grey.convert("1"))),
        ("grey and alpha, 8 bits", saved(Image.merge("LA", (grey, alpha)))),
        ("grey and alpha, 16 bits", to_bytes(deep(Image.merge("LA", (grey, alpha))))),
        ("RGBA, 8 bits", saved(Image.merge("RGBA", (*image.split(), alpha)))),
        ("RGBA, 16 bits", to_bytes(deep(Image.merge("RGBA", (*image.split(), alpha))))),
        ("RGBA, opaque", saved(image.convert("RGBA"))),
        ("RGBA, all transparent", saved(with_alpha(image, 0))),
        ("palette of 64 colours", saved(palette)),
        ("palette of 2 colours, 1 bit", saved(image.quantize(2), bits=1)),
        ("palette of 16 colours, 4 bits", saved(image.quantize(16), bits=4)),
        ("palette, one colour transparent", saved(palette, transparency=5)),
        ("palette, alpha", saved(palette, transparency=bytes(range(0, 256, 4)))),
        ("grey, one value transparent", saved(grey, transparency=grey.getpixel((3, 3)))),
        ("RGB, one colour transparent", saved(image, transparency=image.getpixel((3, 3)))),
    ):
        yield Input("samples", f"PNG: {name}", b"image.png", data)


# --- containers ---------------------------------------------------------------------------------


def _containers(image: Image.Image) -> Iterator[Input]:
    grey, rgba = image.convert("L"), Image.merge("RGBA", (*image.split(), gradient(image.size)))
    wide = Image.fromarray(deep(grey)[..., 0])
    for name, file, data in (
        ("JPEG", b"a.jpg", saved(image, "JPEG", quality=85)),
        ("JPEG, grey, progressive", b"a.jpg", saved(grey, "JPEG", progressive=True)),
        ("WebP, lossless", b"a.webp", saved(image, "WEBP", lossless=True)),
        ("WebP with alpha", b"a.webp", saved(rgba, "WEBP", quality=80)),
        ("GIF", b"a.gif", saved(image.quantize(32), "GIF")),
        ("GIF, transparent", b"a.gif", saved(image.quantize(32), "GIF", transparency=3)),
        ("BMP", b"a.bmp", saved(image, "BMP")),
        ("BMP, palette", b"a.bmp", saved(image.quantize(16), "BMP")),
        ("TIFF, LZW", b"a.tif", saved(image, "TIFF", compression="tiff_lzw")),
        ("TIFF, grey, 16 bits", b"a.tif", saved(wide, "TIFF")),
        ("TIFF, RGB, 16 bits", b"a.tif", to_bytes(deep(image), "tiff")),
        ("TIFF, RGBA", b"a.tif", saved(rgba, "TIFF")),
        ("TIFF, fax", b"a.tif", saved(grey.convert("1"), "TIFF", compression="group4")),
        ("PPM", b"a.ppm", saved(image, "PPM")),
        ("PGM, 16 bits", b"a.pgm", to_bytes(deep(grey), "ppm")),
        ("PBM", b"a.pbm", saved(grey.convert("1"), "PPM")),
        ("PAM, RGBA", b"a.pam", to_bytes(np.asarray(rgba), "ppm")),
        ("JPEG 2000", b"a.jp2", saved(image, "JPEG2000")),
        ("AVIF", b"a.avif", saved(image, "AVIF", quality=80)),
    ):
        yield Input("containers", name, file, data)
    for name, file, data in (
        ("JPEG, CMYK", b"a.jpg", saved(image.convert("CMYK"), "JPEG")),
        ("JPEG 2000, grey, 16 bits", b"a.jp2", saved(wide, "JPEG2000")),
        ("TIFF, LAB", b"a.tif", saved(lab(image), "TIFF")),
        ("TIFF, floats", b"a.tif", saved(grey.convert("F"), "TIFF")),
        ("TIFF, 32 bits", b"a.tif", saved(huge(image.size), "TIFF")),
        ("TIFF, two pages", b"a.tif", pages(image, "TIFF")),
        ("GIF, two frames", b"a.gif", pages(image.quantize(16), "GIF")),
    ):
        yield Input("containers", name, file, data, refused=True)


# --- metadata -----------------------------------------------------------------------------------


# --- names, sizes, damage -----------------------------------------------------------------------


def _names(image: Image.Image) -> Iterator[Input]:
    """What a file may be called on Linux."""
    data = saved(image)
    for name, file in (
        ("no suffix", b"DSC 0001"),
        ("a suffix of another format", b"image.jpg"),
        ("an unknown suffix, capitals", b"IMAGE.PNG.BAK"),
        ("a line break", b"two\nlines.png"),
        ("bytes that are no UTF-8", b"caf\xe9.png"),
        ("250 bytes", "ä".encode() * 123 + b".png"),
        ("right to left, an emoji", "\u202eתמונה🐕.png".encode()),
        ("a dash in front", b"-rf.png"),
        ("a dot in the middle, a space at the end", b"v1.2 .png"),
        ("a quote, a backslash, a star", b"\"a\\b*'.png"),
    ):
        yield Input("names", f"name: {name}", file, data)


def _sizes(image: Image.Image) -> Iterator[Input]:
    for width, height in ((1, 1), (3, 5), (1, 16), (16, 1)):
        data = saved(image.crop((0, 0, width, height)))
        yield Input("sizes", f"{width}x{height} pixels", b"a.png", data)
    one = Image.new("RGB", image.size, (12, 200, 90))
    yield Input("sizes", "one colour", b"a.png", saved(one))
    noise = np.random.default_rng(0).integers(0, 256, (*image.size, 3), np.uint8)
    yield Input("sizes", "noise", b"a.png", saved(Image.fromarray(noise)))


def _broken(image: Image.Image) -> Iterator[Input]:
    png, jpeg = saved(image), saved(image, "JPEG")
    for name, file, data in (
        ("PNG, rows missing", b"a.png", without_rows(png)),
        ("PNG, a wrong checksum", b"a.png", png[:60] + bytes([png[60] ^ 1]) + png[61:]),
        ("JPEG, cut short", b"a.jpg", jpeg[: len(jpeg) * 2 // 3]),
        ("PGM, samples above its maximum", b"a.pgm", b"P5 2 2 100\n" + bytes([1, 2, 3, 200])),
        ("an empty file", b"a.png", b""),
        ("HTML called PNG", b"a.png", b"<!DOCTYPE html><title>404</title>"),
    ):
        yield Input("damage", name, file, data, refused=True)
