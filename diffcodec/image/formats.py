"""The formats that images are written in, by name and by suffix."""

from __future__ import annotations

from pathlib import Path

from PIL import features

from diffcodec.errors import ImageError

EXACT = ("png", "ppm", "webp", "tiff")  # these keep pixels; WebP is written without loss
LOSSY = ("jpeg", "avif")
FORMATS = EXACT + LOSSY
WRITES = {  # suffixes of formats that keep pixels
    ".png": "png",
    ".ppm": "ppm",
    ".pgm": "ppm",
    ".pnm": "ppm",
    ".pam": "ppm",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
SUFFIXES = WRITES | {".jpg": "jpeg", ".jpeg": "jpeg", ".jfif": "jpeg", ".avif": "avif"}

_PARTS = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}  # of Pillow


def readable(format: str) -> bool:
    """Whether Pillow has what it takes to read and write a format; some are built without."""
    part = _PARTS.get(format.upper())
    return part is None or part in features.get_supported()


def format_of(path: str | Path) -> str:
    """The format, one of FORMATS, that a file's suffix asks for; raises ImageError if none."""
    suffix = Path(path).suffix
    if suffix.lower() not in SUFFIXES:
        raise ImageError(
            f'{path} has the suffix "{suffix}"; images are written as {", ".join(SUFFIXES)}'
        )
    return SUFFIXES[suffix.lower()]
