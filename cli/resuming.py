"""What an earlier call has done: results that --resume leaves as they are."""

from __future__ import annotations

import os
import warnings

from diffcodec.cli.targets import begins

HEADER = 256  # bytes; a .dfc file's header is shorter


def is_coded(source: str, target: str) -> bool:
    """Whether a file is the .dfc of an image of this size, as a whole, and newer than the image."""
    from diffcodec.bitstream.container import parse_header
    from diffcodec.bitstream.errors import BitstreamError

    try:
        header, _ = parse_header(begins(target, HEADER))
    except BitstreamError:
        return False
    if header.total_bytes not in (None, os.path.getsize(target)):  # None: it was to end at a cut
        return False
    return _newer(source, target) and _size(source) in (None, (header.width, header.height))


def begins_coded(target: str) -> bool:
    """Whether a file begins like a .dfc."""
    from diffcodec.bitstream.container import MAGIC

    return begins(target, len(MAGIC)) == MAGIC


def is_decoded(source: str, target: str) -> bool:
    """Whether a file is an image, and newer than the .dfc."""
    return begins_image(target) and _newer(source, target)


def begins_image(target: str) -> bool:
    """Whether a file begins like an image."""
    from diffcodec.image.signatures import BEGINNING, format_by

    return format_by(begins(target, BEGINNING)) is not None


def _newer(source: str, target: str) -> bool:
    """Whether a result was written after its input, which exists."""
    return os.stat(target).st_mtime_ns >= os.stat(source).st_mtime_ns


def _size(path: str) -> tuple[int, int] | None:
    """Width and height of an image, from its header; None where that does not say."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as file:
                return file.size
        except Exception:  # Pillow's readers raise almost anything; reading says what is wrong
            return None
