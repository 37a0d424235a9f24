"""Images of an archive that need no network: .dfc files without header and without steps.

An image is coded whole, not in tiles: the adaptive coder learns as it goes. Its bytes are those of
a payload (FORMAT.md) for a chain of no levels, so they begin with how the pixels are coded and end
with the checksum of the pixels; other checksums on the way say without decoding whether the bytes
are intact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffcodec.accounting.trace import Clock
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.payload_writer import PayloadWriter
from diffcodec.bitstream.sample_format import archived
from diffcodec.bitstream.tiles import FIRST_CODE, FIRST_SEED, Shape
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.progressive.plain import decode_plain, encode_plain, pixel_crc, plain_payload
from diffcodec.progressive.shared import Shared
from diffcodec.theory.chain import Chain, Tables

LEVEL = 2  # of bitstream.adaptive.LEVELS: "best", which takes some 4 us a sub-pixel
NOTHING = Tables((0.0, 0.0, 0.0), 1.0, np.empty(0), np.empty(0), {})


@dataclass(frozen=True)
class PlainCode:
    """An image's bytes, and -log2 of the probability that the model gave to its pixels.

    ideal_bits: where no model codes them, what they take.
    """

    data: bytes
    ideal_bits: float

    @property
    def bits(self) -> int:
        """In the file."""
        return 8 * len(self.data)


def encode(pixels: Pixels, workers: int = 1) -> PlainCode:
    """An image (H, W, C) uint8 in the way that takes the fewest bytes; workers: threads."""
    height, width, channels = pixels.shape
    shared = _shared((height, width, channels), workers)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    code = encode_plain(shared, planes, LEVEL)
    data = plain_payload(PayloadWriter(shared.plan), -1, planes, code)
    return PlainCode(data, math.fsum(code.ideal_bits) if code.coding else 8.0 * code.size)


def decode(data: bytes, shape: Shape, workers: int = 1) -> Pixels:
    """The image (H, W, C) of these bytes; BitstreamError if they are damaged."""
    shared = _shared(shape, workers)
    payload = _parse(data, shared)
    planes = np.zeros(shared.shape, shared.format.dtype)
    decode_plain(shared, payload, planes)
    if pixel_crc(planes) != payload.pixel_crc:
        raise BitstreamError(
            "the decoded pixels do not match their checksum, though the archive is intact: "
            "this installation computes something wrong; diffcodec selftest reports what"
        )
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def stated_crc(data: bytes, shape: Shape) -> int:
    """CRC-32 of the pixels that these bytes state; BitstreamError if they are damaged.

    Nothing is decoded.
    """
    crc = _parse(data, _shared(shape)).pixel_crc
    assert crc is not None
    return crc


def _parse(data: bytes, shared: Shared) -> Payload:
    """The bytes taken apart, all of them intact and there."""
    try:
        payload = parse_payload(data, shared.plan, len(data), None)
    except BitstreamError as error:
        raise BitstreamError("its bytes are damaged") from error
    if payload.pixel_crc is None or not payload.plain:
        raise BitstreamError("its bytes are damaged")
    return payload


def _shared(shape: Shape, workers: int = 1) -> Shared:
    """What both sides know of an image (H, W, C): its size, and no more."""
    height, width, channels = shape
    return Shared(
        denoiser=_never,
        chain=Chain("own", (), NOTHING),
        size=(height, width),
        format=archived(channels),
        code=FIRST_CODE,
        seed=FIRST_SEED,
        clock=Clock(),
        workers=workers,
    )


def _never(y: Float32, v: float) -> Float32:
    raise AssertionError("a plain image is coded without a network")
