"""Images in and out, exactly: what cannot be kept is refused in one sentence, never dropped."""

from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.image.formats import EXACT, FORMATS, LOSSY, SUFFIXES, WRITES, format_of
from diffcodec.image.holding import not_kept
from diffcodec.image.picture import Choices, Picture
from diffcodec.image.reading import load, read_picture
from diffcodec.image.refusals import MAX_PIXELS
from diffcodec.image.writing import cannot_hold, save, to_bytes

__all__ = [
    "EXACT",
    "FORMATS",
    "LOSSY",
    "MAX_PIXELS",
    "SUFFIXES",
    "WRITES",
    "Choices",
    "ImageError",
    "Picture",
    "Pixels",
    "cannot_hold",
    "format_of",
    "load",
    "not_kept",
    "read_picture",
    "save",
    "to_bytes",
]
