"""Images of an archive that need no network: their pixels as progressive/stand_alone.py codes them.

Alpha is coded apart from colours, as a grey image is, and an opaque one takes no bytes. Samples of
16 bits are narrowed to those that they come from.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.narrowing import Narrowing, find_narrowing
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.tiles import Shape
from diffcodec.bitstream.types import Pixels
from diffcodec.progressive.stand_alone import PlainCode, decode_alone, encode_alone, stated_crc

__all__ = ["PlainCode", "check", "decode", "encode", "holds"]

ALL = 0  # in place of a narrowing: samples need all of their bits


def encode(pixels: Pixels, workers: int = 1) -> PlainCode:
    """An image (H, W, C), uint8 or uint16, in the way that takes the fewest bytes.

    workers: threads.
    """
    format = SampleFormat.of(pixels)
    assert format is not None
    colours = _encode_part(pixels[..., : format.colour.channels], format.depth, workers)
    if not format.alpha:
        return colours
    alpha, start = pixels[..., -1:], pack_varint(len(colours.data))
    if (alpha == format.peak).all():
        return PlainCode(start + colours.data, colours.ideal_bits)
    opacity = _encode_part(alpha, format.depth, workers)
    data = start + colours.data + opacity.data
    return PlainCode(data, colours.ideal_bits + opacity.ideal_bits)


def _encode_part(pixels: Pixels, depth: int, workers: int) -> PlainCode:
    """Colours, or alpha."""
    if depth == 8:
        return encode_alone(pixels, SampleFormat(pixels.shape[2], depth), workers=workers)
    narrowing = find_narrowing(pixels)
    if narrowing is not None:
        pixels, depth = narrowing.narrow(pixels), narrowing.bits
    code = encode_alone(pixels, SampleFormat(pixels.shape[2], depth), workers=workers)
    start = ALL if narrowing is None else narrowing.byte
    return PlainCode(bytes([start]) + code.data, code.ideal_bits)


@dataclass(frozen=True)
class _Part:
    """Colours of an image, or its alpha: format: of what the payload `data` codes, from which
    narrowing makes the image's samples."""

    data: bytes
    format: SampleFormat
    narrowing: Narrowing | None = None


def decode(data: bytes, shape: Shape, depth: int = 8, workers: int = 1) -> Pixels:
    """The image (H, W, C) of these bytes; BitstreamError if they are damaged."""
    format, decoded = SampleFormat(shape[2], depth), list[Pixels]()
    for part in _parts(data, format):
        pixels = decode_alone(part.data, shape[:2], part.format, workers)
        decoded.append(pixels if part.narrowing is None else part.narrowing.widen(pixels))
    if format.alpha and len(decoded) == 1:
        decoded.append(np.full((*shape[:2], 1), format.peak, format.dtype))
    return decoded[0] if len(decoded) == 1 else np.concatenate(decoded, axis=2)


def check(data: bytes, shape: Shape, depth: int = 8) -> None:
    """Raises BitstreamError if the bytes of an image are damaged; nothing is decoded."""
    for part in _parts(data, SampleFormat(shape[2], depth)):
        stated_crc(part.data, shape[:2], part.format)


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
        if stated_crc(part.data, size, part.format) != zlib.crc32(np.ascontiguousarray(here).data):
            return False
    return bool((rest == format.peak).all())


def _parts(data: bytes, format: SampleFormat) -> list[_Part]:
    """An image's colours, and its alpha unless it is opaque; BitstreamError if that makes no
    sense."""
    if not format.alpha:
        return [_part(data, format)]
    try:
        length, at = parse_varint(data, 0)
    except BitstreamError as error:
        raise BitstreamError("its bytes are damaged") from error
    parts = [_part(data[at : at + length], format.colour)]
    if len(data) > at + length:
        parts.append(_part(data[at + length :], SampleFormat(1, format.depth)))
    return parts


def _part(data: bytes, format: SampleFormat) -> _Part:
    if format.depth == 8:
        return _Part(data, format)
    if not data:
        raise BitstreamError("its bytes are damaged")
    if data[0] == ALL:
        return _Part(data[1:], format)
    narrowing = Narrowing.of(data[0])
    return _Part(data[1:], SampleFormat(format.channels, narrowing.bits), narrowing)
