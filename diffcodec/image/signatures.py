"""What a file is by its first bytes."""

from __future__ import annotations

import re

BEGINNING = 64  # bytes that suffice
READS = ("PNG", "WEBP", "JPEG", "PPM", "BMP", "TIFF", "GIF", "JPEG2000", "AVIF")
_BEGINNINGS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
    "BMP": rb"BM.{8}....[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",  # with the sizes of its headers
    "PPM": rb"P[1-6](\s+\d|\s*#)|P7\s",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "AVIF": rb"....ftyp(avif|avis|(mif1|msf1)....(....)*?avi[fs])",
    # Not read:
    "HEIC": rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "Photoshop": rb"8BPS",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "camera raw": rb"FUJIFILM|IIU\0|IIRO|....ftypcrx ",
    "PFM": rb"P[fF]\s",
    "ICO": rb"\0\0\x01\0.\0",
    "DDS": rb"DDS ",
    "SVG": rb"\s*(<\?xml.*)?<svg",
}
_PATTERNS = {name: re.compile(pattern, re.DOTALL) for name, pattern in _BEGINNINGS.items()}


def format_by(beginning: bytes) -> str | None:
    """The format of a file that begins so, one of READS or another image's; None if it is no image.

    BEGINNING bytes suffice.
    """
    for name, pattern in _PATTERNS.items():
        if pattern.match(beginning):
            return name
    return None


def why_no_image(beginning: bytes) -> str | None:
    """A phrase on why a file that begins so is no image that can be read; None if it is one."""
    format = format_by(beginning)
    if format in READS:
        return None
    return f"is {format}, which is not read; convert it to PNG" if format else "is not an image"
