"""The formats that images are written in, by name and by suffix."""

from __future__ import annotations

from pathlib import Path

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


def format_of(path: str | Path) -> str:
    """The format, one of FORMATS, that a file's suffix asks for; raises ImageError if none."""
    suffix = Path(path).suffix
    if suffix.lower() not in SUFFIXES:
        raise ImageError(
            f'{path} has the suffix "{suffix}"; images are written as {", ".join(SUFFIXES)}'
        )
    return SUFFIXES[suffix.lower()]
