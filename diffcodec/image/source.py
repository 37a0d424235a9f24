"""A source's bytes, read once: a path, bytes, or a stream, which may be a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from diffcodec.errors import ImageError
from diffcodec.image.signatures import BEGINNING, format_by, why_no_image

Source = str | Path | bytes | BinaryIO  # a str is a path


def read_source(source: Source) -> tuple[bytes, str, str]:
    """A whole file, its format (one of signatures.READS), and what to call it in messages.

    What does not begin like an image that can be read is refused before the rest is read. Raises
    ImageError for that, and OSError from reading.
    """
    if isinstance(source, bytes):
        return source, _format(source[:BEGINNING], "the input"), "the input"
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            return _whole(file, str(source))
    return _whole(source, "the input")


def _whole(file: BinaryIO, name: str) -> tuple[bytes, str, str]:
    beginning = b""
    while len(beginning) < BEGINNING and (more := file.read(BEGINNING - len(beginning))):
        beginning += more  # a pipe may give less than it is asked for
    format = _format(beginning, name)
    return beginning + file.read(), format, name


def _format(beginning: bytes, name: str) -> str:
    """The format by its first bytes, or ImageError."""
    if not beginning:
        raise ImageError(f"{name} is empty")
    if reason := why_no_image(beginning):
        hint = "" if "convert" in reason else " that can be read; convert it to PNG"
        raise ImageError(f"{name} {reason}{hint}")
    format = format_by(beginning)
    assert format is not None
    return format
