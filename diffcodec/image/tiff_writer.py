"""TIFF: one strip, deflated, and what its tags can say."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from diffcodec.bitstream.metadata import Kind, Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.image import tiff_tags
from diffcodec.image.exif import DIRECTORIES, ORIENTATION, parsed
from diffcodec.image.gathered import per_inch_or_centimetre
from diffcodec.image.tiff_tags import STORING

DEFLATE, DIFFERENCES, UNDEFINED, BYTE = 8, 2, 7, 1
_HEADER = b"II*\0" + struct.pack("<I", 8)


def tiff_bytes(pixels: Pixels, metadata: Metadata) -> bytes:
    """A TIFF of (H, W, C) uint8 or uint16, with the items that it can hold."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    differences = pixels.astype(pixels.dtype.newbyteorder("<"))
    differences[:, 1:] = pixels[:, 1:] - pixels[:, :-1]
    strip = zlib.compress(differences.tobytes())
    tags = ImageFileDirectory_v2(_HEADER)
    tags[256], tags[257], tags[258] = width, height, (depth,) * channels
    tags[259], tags[262], tags[317] = DEFLATE, 1 if channels < 3 else 2, DIFFERENCES
    tags[273], tags[277], tags[278], tags[279] = 0, channels, height, len(strip)
    if channels in (2, 4):
        tags[tiff_tags.EXTRA_SAMPLES] = (2,)  # alpha that colours were not multiplied by
    _describe(tags, metadata)
    return _HEADER + tags.tobytes(8) + strip  # which moves the strip's place, 0, behind itself


def _describe(tags: ImageFileDirectory_v2, metadata: Metadata) -> None:
    for kind, data in metadata:
        if kind == Kind.ORIENTATION:
            tags[ORIENTATION] = data[0]
        elif kind == Kind.DENSITY:
            across, down, unit = per_inch_or_centimetre(data)
            tags[tiff_tags.RESOLUTION_X], tags[tiff_tags.RESOLUTION_Y] = (
                IFDRational(Fraction(value).limit_denominator(1 << 15)) for value in (across, down)
            )
            tags[tiff_tags.RESOLUTION_UNIT] = unit + 1
        elif kind == Kind.EXIF:
            _describe_by_exif(tags, data)
        for held, tag, type_ in (
            (Kind.ICC, tiff_tags.ICC, UNDEFINED),
            (Kind.XMP, tiff_tags.XMP, BYTE),
            (Kind.IPTC, tiff_tags.RESOURCES, BYTE),
        ):
            if kind == held:
                tags.tagtype[tag] = type_
                tags[tag] = data


def _describe_by_exif(tags: ImageFileDirectory_v2, exif: bytes) -> None:
    """All but how EXIF's own pixels, of a thumbnail, are stored."""
    described = parsed(exif)
    if described is None:
        return
    for tag in described:
        if tag not in STORING and tag not in tags:
            tags[tag] = described[tag]
    for directory in DIRECTORIES:
        if inner := described.get_ifd(directory):
            tags[directory] = dict(inner)
