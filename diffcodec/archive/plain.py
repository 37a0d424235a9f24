"""Images of an archive that need no network: their pixels as progressive/narrowed.py codes them.

Alpha is coded apart from colours, as a grey image is, and an opaque one takes no bytes.
"""

from __future__ import annotations

import zlib

import numpy as np

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.tiles import Shape
from diffcodec.bitstream.types import Pixels
from diffcodec.limits import NEVER, Deadline
from diffcodec.progressive.narrowed import Narrowed, encode_narrowed
from diffcodec.progressive.stand_alone import PlainCode, decode_alone, stated_crc

__all__ = ["PlainCode", "check", "decode", "encode", "holds"]


def encode(pixels: Pixels, workers: int = 1) -> PlainCode:
    """An image (H, W, C), uint8 or uint16, in the way that takes the fewest bytes.

    workers: threads.
    """
    format = SampleFormat.of(pixels)
    assert format is not None
    colours = encode_narrowed(pixels[..., : format.colour.channels], workers=workers)
    if not format.alpha:
        return colours
    alpha, start = pixels[..., -1:], pack_varint(len(colours.data))
    if (alpha == format.peak).all():
        return PlainCode(start + colours.data, colours.ideal_bits)
    opacity = encode_narrowed(alpha, workers=workers)
    data = start + colours.data + opacity.data
    return PlainCode(data, colours.ideal_bits + opacity.ideal_bits)


def decode(
    data: bytes, shape: Shape, depth: int = 8, workers: int = 1, deadline: Deadline = NEVER
) -> Pixels:
    """The image (H, W, C) of these bytes; BitstreamError if they are damaged."""
    format, decoded = SampleFormat(shape[2], depth), list[Pixels]()
    for part in _parts(data, format):
        samples = decode_alone(part.code, shape[:2], part.format, workers, deadline)
        decoded.append(part.widened(samples))
    if format.alpha and len(decoded) == 1:
        decoded.append(np.full((*shape[:2], 1), format.peak, format.dtype))
    return decoded[0] if len(decoded) == 1 else np.concatenate(decoded, axis=2)


def check(data: bytes, shape: Shape, depth: int = 8) -> None:
    """Raises BitstreamError if the bytes of an image are damaged; nothing is decoded."""
    for part in _parts(data, SampleFormat(shape[2], depth)):
        stated_crc(part.code, shape[:2], part.format)


def holds(data: bytes, pixels: Pixels) -> bool:
    """Whether these bytes are those of an image, by checksums; BitstreamError if damaged."""
    format, size = SampleFormat.of(pixels), (pixels.shape[0], pixels.shape[1])
    assert format is not None
    rest = pixels
    for part in _parts(data, format):
        channels = part.format.channels
        here, rest = rest[..., :channels], rest[..., channels:]
        if part.narrowing is not None:
            if not part.narrowing.fits(here):
                return False
            here = part.narrowing.narrow(here)
        if stated_crc(part.code, size, part.format) != zlib.crc32(np.ascontiguousarray(here).data):
            return False
    return bool((rest == format.peak).all())


def _parts(data: bytes, format: SampleFormat) -> list[Narrowed]:
    """An image's colours, and its alpha unless it is opaque; BitstreamError if that makes no
    sense."""
    if not format.alpha:
        return [Narrowed.of(data, format)]
    try:
        length, at = parse_varint(data, 0)
    except BitstreamError as error:
        raise BitstreamError("its bytes are damaged") from error
    parts = [Narrowed.of(data[at : at + length], format.colour)]
    if len(data) > at + length:
        parts.append(Narrowed.of(data[at + length :], SampleFormat(1, format.depth)))
    return parts
