"""Which format can hold what, and how to say what it cannot."""

from __future__ import annotations

import warnings

from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.image import exif
from diffcodec.image.jpeg_metadata import ICC, LARGEST, RESOURCES, XMP

HOLDS = {
    "png": frozenset(Kind),
    "ppm": frozenset[Kind](),
    "webp": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP},
    "tiff": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP, Kind.DENSITY, Kind.IPTC},
    "jpeg": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP, Kind.DENSITY, Kind.IPTC, Kind.TEXT},
    "avif": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP},
}
PHRASES = {
    Kind.ICC: "its colour profile",
    Kind.SRGB: "that its colours are sRGB (which is assumed anyway)",
    Kind.GAMA: "its gamma",
    Kind.CHRM: "its primaries and white point",
    Kind.CICP: "the code of its colours (cICP)",
    Kind.SBIT: "how many bits are significant",
    Kind.MDCV: "the range of the display that it was made on",
    Kind.CLLI: "its range of brightness",
    Kind.EXIF: "its EXIF data",
    Kind.XMP: "its XMP data",
    Kind.DENSITY: "its density (pixels per metre)",
    Kind.IPTC: "its IPTC data",
}


def phrase(item: Item) -> str:
    """What an item is, in words that fit "... is not kept"."""
    if item.kind == Kind.ORIENTATION:
        return f"its orientation ({item.data[0]}: viewers turn it, the pixels are not)"
    if item.kind == Kind.TEXT:
        return f'its text "{_keyword(item)}"'
    return PHRASES[item.kind]


def held(item: Item, format: str) -> bool:
    """Whether a file of this format can say it, in full or (TIFF's EXIF) without a thumbnail."""
    if item.kind not in HOLDS[format]:
        return False
    if item.kind == Kind.ICC and format == "webp":
        return item.data[16:20] != b"GRAY"  # its pixels are RGB
    if item.kind == Kind.EXIF and format in ("tiff", "avif"):  # which write it anew
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return exif.parsed(item.data) is not None
    return format != "jpeg" or _fits_jpeg(item)


def _fits_jpeg(item: Item) -> bool:
    size = len(item.data)
    if item.kind == Kind.ICC:
        return size <= 255 * (LARGEST - len(ICC) - 2)
    if item.kind == Kind.EXIF:
        return size <= LARGEST - len(exif.PREFIX) - 32  # an orientation may be put into it
    if item.kind == Kind.XMP:
        return size <= LARGEST - len(XMP)
    if item.kind == Kind.IPTC:
        return size <= 255 * (LARGEST - len(RESOURCES))
    if item.kind == Kind.DENSITY:
        return max(int.from_bytes(item.data[i : i + 4], "big") for i in (0, 4)) < 1 << 16
    return item.kind != Kind.TEXT or (_keyword(item) == "Comment" and size <= LARGEST)


def _keyword(item: Item) -> str:
    return item.data.split(b"\0", 1)[0].decode("utf-8", "replace")


def not_kept(metadata: Metadata, format: str) -> list[str]:
    """A phrase on each item, or part of one, that a format of FORMATS cannot hold."""
    lost = [phrase(item) for item in metadata if not held(item, format)]
    for item in metadata:
        if item.kind == Kind.EXIF and format == "tiff" and exif.has_thumbnail(item.data):
            lost.append("the thumbnail in its EXIF data")
    return list(dict.fromkeys(lost))
