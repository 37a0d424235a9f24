"""Images of an archive that need no network: their pixels as progressive/narrowed.py codes them.

Alpha is coded apart from colours, as a grey image is, and an opaque one takes no bytes.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from diffcodec.bitstream.byte_order import little_endian
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
    colours = _coded(pixels[..., : format.colour.channels], workers)
    if not format.alpha:
        return colours
    alpha, start = pixels[..., -1:], pack_varint(len(colours.data))
    if (alpha == format.peak).all():
        return PlainCode(start + colours.data, colours.ideal_bits)
    opacity = _coded(alpha, workers)
    data = start + colours.data + opacity.data
    return PlainCode(data, colours.ideal_bits + opacity.ideal_bits)


def decode(
    data: bytes,
    shape: Shape,
    depth: int = 8,
    guarded: bool = True,
    workers: int = 1,
    deadline: Deadline = NEVER,
) -> Pixels:
    """The image (H, W, C) of these bytes; BitstreamError if they are damaged.

    guarded: of the archive's header.
    """
    format, decoded = SampleFormat(shape[2], depth), list[Pixels]()
    for part in _parts(data, format, guarded):
        samples = decode_alone(part.code, shape[:2], part.format, workers, deadline)
        decoded.append(part.widened(samples))
    if format.alpha and len(decoded) == 1:
        decoded.append(np.full((*shape[:2], 1), format.peak, format.dtype))
    return decoded[0] if len(decoded) == 1 else np.concatenate(decoded, axis=2)


def check(data: bytes, shape: Shape, depth: int = 8, guarded: bool = True) -> None:
    """Raises BitstreamError if the bytes of an image are damaged; nothing is decoded."""
    for part in _parts(data, SampleFormat(shape[2], depth), guarded):
        stated_crc(part.code, shape[:2], part.format)


def holds(data: bytes, pixels: Pixels, guarded: bool = True) -> bool:
    """Whether these bytes are those of an image, by checksums; BitstreamError if damaged."""
    format, size = SampleFormat.of(pixels), (pixels.shape[0], pixels.shape[1])
    assert format is not None
    rest = pixels
    for part in _parts(data, format, guarded):
        channels = part.format.channels
        here, rest = rest[..., :channels], rest[..., channels:]
        if part.narrowing is not None:
            if not part.narrowing.fits(here):
                return False
            here = part.narrowing.narrow(here)
        if stated_crc(part.code, size, part.format) != zlib.crc32(little_endian(here).data):
            return False
    return bool((rest == format.peak).all())


def _coded(pixels: Pixels, workers: int) -> PlainCode:
    """A part of an image, guarded."""
    code = encode_narrowed(pixels, workers=workers)
    if pixels.itemsize == 1:
        return code
    first, rest = code.data[:1], code.data[1:]
    return replace(code, data=first + _guard(first) + rest)


def _part(data: bytes, format: SampleFormat, guarded: bool) -> Narrowed:
    """What `_coded` made, or unguarded bytes of older archives; BitstreamError if damaged."""
    if format.depth > 8 and guarded:
        first, guard, rest = data[:1], data[1:2], data[2:]
        if guard != _guard(first):
            raise BitstreamError("its bytes are damaged")
        data = first + rest
    return Narrowed.of(data, format)


def _guard(byte: bytes) -> bytes:
    """Of the byte that says how 16 bits were narrowed, which no checksum knows."""
    return bytes(255 - value for value in byte)


def _parts(data: bytes, format: SampleFormat, guarded: bool) -> list[Narrowed]:
    """An image's colours, and its alpha unless it is opaque; BitstreamError if that makes no
    sense."""
    if not format.alpha:
        return [_part(data, format, guarded)]
    try:
        length, at = parse_varint(data, 0)
    except BitstreamError as error:
        raise BitstreamError("its bytes are damaged") from error
    parts = [_part(data[at : at + length], format.colour, guarded)]
    if len(data) > at + length:
        parts.append(_part(data[at + length :], SampleFormat(1, format.depth), guarded))
    return parts
