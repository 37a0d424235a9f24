"""What image files carry besides pixels, each in the formats that people have it in."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.eval.inputs.files import Input, saved
from diffcodec.image import to_bytes
from diffcodec.image.jpeg_metadata import RESOURCES, with_segments


def carrying(image: Image.Image) -> Iterator[Input]:
    """Files of an image with metadata of every kind."""
    exif = _exif()
    texts = PngInfo()
    texts.add_text("Title", "A dog")
    texts.add_itxt("Description", "Ein Hund, すわる", lang="de", tkey="Beschreibung")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    custom = srgb + bytes(range(256)) * 2  # one that nobody knows
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- ' + b"word " * 200 + b"--></x:xmpmeta>"
    iptc = b"8BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption"
    jpeg = saved(image, "JPEG", quality=85)
    for name, file, data in (
        ("PNG: sRGB profile", b"a.png", saved(image, icc_profile=srgb)),
        ("PNG: another profile", b"a.png", saved(image, icc_profile=custom)),
        ("PNG: sRGB, gAMA, cHRM", b"a.png", _with(image, Kind.SRGB, Kind.GAMA, Kind.CHRM)),
        ("PNG: cICP (HDR), mDCV, cLLI", b"a.png", _with(image, Kind.CICP, Kind.MDCV, Kind.CLLI)),
        ("PNG: sBIT, density", b"a.png", _with(image, Kind.SBIT, Kind.DENSITY)),
        ("PNG: texts, one in two scripts", b"a.png", saved(image, pnginfo=texts)),
        ("PNG: EXIF", b"a.png", saved(image, exif=exif)),
        ("JPEG: EXIF, turned, with a place", b"a.jpg", saved(image, "JPEG", exif=exif)),
        ("JPEG: EXIF, profile, XMP", b"a.jpg", _everything(image, exif, srgb, packet)),
        ("JPEG: IPTC, comment", b"a.jpg", with_segments(jpeg, _captions(iptc))),
        ("JPEG: density", b"a.jpg", saved(image, "JPEG", dpi=(300, 300))),
        ("WebP: EXIF, profile, XMP", b"a.webp", _webp(image, exif, srgb, packet)),
        ("TIFF: turned", b"a.tif", saved(image, "TIFF", tiffinfo={ExifTags.Base.Orientation: 6})),
        ("AVIF: EXIF", b"a.avif", saved(image, "AVIF", exif=exif)),
    ):
        yield Input("metadata", name, file, data)


def _exif() -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Orientation] = "Maker", 6
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return tags.tobytes()


def _captions(iptc: bytes) -> list[tuple[int, bytes]]:
    return [(0xED, RESOURCES + iptc), (0xFE, "Straße".encode())]


def _everything(image: Image.Image, exif: bytes, profile: bytes, packet: bytes) -> bytes:
    return saved(image, "JPEG", exif=exif, icc_profile=profile, xmp=packet)


def _webp(image: Image.Image, exif: bytes, profile: bytes, packet: bytes) -> bytes:
    return saved(image, "WEBP", lossless=True, exif=exif, icc_profile=profile, xmp=packet)


CHUNKS = {
    Kind.SRGB: b"\0",
    Kind.GAMA: struct.pack(">I", 45455),
    Kind.CHRM: struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    Kind.CICP: bytes([9, 16, 0, 1]),
    Kind.MDCV: struct.pack(
        ">8HII", *(35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450), 10**7, 1
    ),
    Kind.CLLI: struct.pack(">II", 10**7, 4 * 10**6),
    Kind.SBIT: bytes([5, 6, 5]),
    Kind.DENSITY: struct.pack(">IIB", 11811, 5906, 1),
}


def _with(image: Image.Image, *kinds: Kind) -> bytes:
    return to_bytes(np.asarray(image), "png", tuple(Item(kind, CHUNKS[kind]) for kind in kinds))
