"""What an image carries besides its pixels, whatever its format."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.bitstream.metadata import Kind
from diffcodec.image.boxes import avif_extras, jp2_metadata
from diffcodec.image.gathered import INCH, METRE, Gathered
from diffcodec.image.jpeg_metadata import jpeg_metadata
from diffcodec.image.png_metadata import png_metadata
from diffcodec.image.tiff_tags import tiff_metadata

_RIFF = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "}


def gather(data: bytes, file: Image.Image, truncated: bool = False, channels: int = 3) -> Gathered:
    """data: the whole file; file: the same, open (a TIFF: not loaded yet); channels: of pixels."""
    try:
        return _gather(data, file, truncated, channels)
    except Exception:  # the pixels are there, whatever is odd here
        return Gathered(lost=["its metadata, which are damaged"])


def _gather(data: bytes, file: Image.Image, truncated: bool, channels: int) -> Gathered:
    if file.format == "PNG":
        return png_metadata(data, channels, truncated)
    if file.format in ("JPEG", "MPO"):
        return jpeg_metadata(data)
    if isinstance(file, TiffImageFile):
        return tiff_metadata(file)
    if file.format == "JPEG2000":
        return jp2_metadata(data)
    return _by_pillow(data, file)


def _by_pillow(data: bytes, file: Image.Image) -> Gathered:
    """WebP, AVIF, GIF, BMP."""
    found = Gathered()
    found.add(Kind.ICC, file.info.get("icc_profile") or b"")
    if tags := file.info.get("exif"):
        found.add_exif(tags)
    found.add(Kind.XMP, file.info.get("xmp") or b"")
    if comment := file.info.get("comment"):
        found.add_comment(comment)
    if file.format == "AVIF":
        avif_extras(data, found)
    elif file.format == "WEBP":
        _further_chunks(data, found)
    elif file.format == "BMP":
        across, down = file.info.get("dpi", (0, 0))
        found.add_density(across / INCH, down / INCH, METRE)
        found.add(Kind.ICC, _bmp_profile(data))
    return found


def _further_chunks(data: bytes, found: Gathered) -> None:
    """Of a WebP."""
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= min(len(data), end):
        kind = data[at : at + 4]
        if kind not in _RIFF:
            found.lose(f"its {kind.decode('latin-1').strip()} chunk")
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    if len(data) > end + end % 2:
        found.lose(f"{len(data) - end:,} bytes after its end")


def _bmp_profile(data: bytes) -> bytes:
    """Of a BMP with the fifth kind of header that embeds one."""
    header = data[14:138]
    if header[:4] != b"\x7c\0\0\0" or header[56:60] != b"DEBM":
        return b""
    start, size = (int.from_bytes(header[at : at + 4], "little") for at in (112, 116))
    return data[14 + start : 14 + start + size]
