"""Images in, exactly: what cannot be kept is refused in one sentence, never dropped.

Pixels are as they lie in the file: nothing is turned, converted between colour spaces, or reduced
in depth, unless that was chosen.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.bitstream.metadata import Kind
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.image import netpbm
from diffcodec.image.conversion import flattened, to_rgb
from diffcodec.image.decoding import decode, fourth_bytes, samples
from diffcodec.image.formats import readable
from diffcodec.image.gathered import Gathered
from diffcodec.image.metadata import gather
from diffcodec.image.picture import AS_IT_IS, Choices, Picture
from diffcodec.image.png_chunks import without
from diffcodec.image.png_metadata import WORDS
from diffcodec.image.refusals import (
    KEPT,
    chosen_frame,
    premultiplied,
    refuse_colours,
    refuse_depths,
    refuse_size,
    refuse_tiff,
)
from diffcodec.image.source import Source, read_source
from diffcodec.image.truncation import check_whole, truncated_images


def load(source: Source, choices: Choices = AS_IT_IS) -> Pixels:
    """The pixels of read_picture."""
    return read_picture(source, choices).pixels


def read_picture(source: Source, choices: Choices = AS_IT_IS) -> Picture:
    """Everything that an image holds, from a path, a file's bytes or a stream, which is read once.

    A palette becomes RGB or RGBA; 1, 2 and 4 bits become 8; one transparent colour becomes alpha.
    Raises ImageError for what cannot be kept (several images, CMYK, more than 16 bits), what is
    damaged, and what is no image; OSError if it cannot be read.
    """
    data, format, name = read_source(source)
    try:
        picture = _read(data, format, name, choices, truncated=False)
    except _DamagedError as error:
        picture = _read(data, format, name, choices, truncated=True)
        if not choices.truncated:
            raise ImageError(f"{error}; --accept-truncated takes what is there") from error
        lost = (*picture.lost, "what is missing of its pixels")
        picture = Picture(picture.pixels, picture.metadata, lost)
    if choices.flatten and picture.pixels.shape[2] in (2, 4):
        pixels = flattened(picture.pixels, choices.flatten)
        return Picture(pixels, picture.metadata, picture.lost)
    return picture


class _DamagedError(ImageError):
    """Part of the image may be there."""


def _read(data: bytes, format: str, name: str, choices: Choices, truncated: bool) -> Picture:
    with truncated_images(truncated), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, and sizes that are checked here
        try:
            if format == "PPM":
                return _netpbm(data, name, choices, truncated)
            return _pillow(data, format, name, choices, truncated)
        except ImageError:
            raise
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name} has too many pixels; cut it up") from error
        except Exception as error:  # Pillow's readers raise almost anything on damaged data
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise _DamagedError(f"{name} is cut short or damaged ({reason})") from error


def _pillow(data: bytes, format: str, name: str, choices: Choices, truncated: bool) -> Picture:
    """Everything but Netpbm."""
    if not readable(format):
        raise ImageError(f"{name} is {format}, which this Pillow does not read; convert it to PNG")
    shown = without(data, WORDS) if format == "PNG" else data
    reopen = partial(_open, shown, format, name, choices)
    refuse_depths(data, format, name)
    with reopen() as file:
        if isinstance(file, TiffImageFile):
            refuse_tiff(file, name)
        if not truncated:
            check_whole(file, data)
        found = gather(data, file, truncated) if isinstance(file, TiffImageFile) else None
        pixels, converted = _pixels(file, reopen, data, name, choices)
        found = found or gather(data, file, truncated, pixels.shape[2])
        if converted and file.mode not in ("La", "RGBa", "YCbCr"):
            found.items = [item for item in found.items if item.kind != Kind.ICC]
        lost = ["its further images"] if file.format == "MPO" else []
    if format == "BMP" and fourth_bytes(reopen(), data):
        lost.append("the fourth bytes of its pixels, which nobody explains")
    return _picture(pixels, found, lost, choices)


def _pixels(
    file: ImageFile,
    reopen: Callable[[], ImageFile],
    data: bytes,
    name: str,
    choices: Choices,
) -> tuple[Pixels, bool]:
    """The samples, and whether their colours were converted."""
    foreign = file.mode not in KEPT or premultiplied(file)
    if foreign and choices.rgb:
        file.load()
        return samples(to_rgb(file)), True
    refuse_colours(file, name)
    return decode(reopen, data), False


def _open(data: bytes, format: str, name: str, choices: Choices) -> ImageFile:
    """At the image that was chosen; its header is read and its pixels are not."""
    file = Image.open(io.BytesIO(data), formats=[format])
    assert isinstance(file, ImageFile)
    refuse_size(*file.size, name)
    chosen_frame(file, name, choices)
    return file


def _netpbm(data: bytes, name: str, choices: Choices, truncated: bool) -> Picture:
    """One image, the first of several if that was chosen, or a later one."""
    rest, number = data, 0
    while True:
        header = netpbm.parse_header(rest)
        refuse_size(header.width, header.height, name)
        if not 0 < header.peak < 65536 or 255 < header.peak < 65535:
            raise ImageError(
                f"{name} has samples of 0 to {header.peak}; convert it to 255 or 65535 "
                "(pamdepth does)"
            )
        pixels, end = netpbm.parse_pixels(rest, header, truncated)
        rest = rest[end:].lstrip() if not header.plain else b""
        more = rest[:1] == b"P"
        if choices.frame is None and more:
            raise ImageError(f"{name} holds several images; choose one of them (--frame 0, ...)")
        if number == (choices.frame or 0):
            break
        if not more:
            raise ImageError(f"{name} has no image {choices.frame}: its last one is {number}")
        number += 1
    lost = []
    if 255 % header.peak and header.peak != 65535:
        lost.append(f"that its samples are of 0 to {header.peak}: they are scaled to 255")
    if rest.strip(b"\0") and not more:
        lost.append(f"{len(rest):,} bytes after its end")
    return _picture(pixels, Gathered(), lost, choices)


def _picture(pixels: Pixels, found: Gathered, lost: list[str], choices: Choices) -> Picture:
    if choices.strip:
        return Picture(pixels, (), tuple(lost))
    return Picture(pixels, found.sorted(), tuple(dict.fromkeys([*lost, *found.lost])))
