"""Images that need no network: .dfc files without header and without steps.

An image is coded whole: the adaptive coder learns as it goes. Its bytes are those of a payload
(FORMAT.md) for a chain of no levels, so they begin with how the pixels are coded and end with the
checksum of the pixels; other checksums on the way say without decoding whether the bytes are
intact. Alpha is coded so, and the images of an archive that a network would not make smaller.
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
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.tiles import FIRST_CODE, FIRST_SEED
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.limits import NEVER, Deadline
from diffcodec.progressive.plain import decode_plain, encode_plain, pixel_crc, plain_payload
from diffcodec.progressive.shared import Shared
from diffcodec.theory.chain import Chain, Tables

BEST = 2  # of bitstream.adaptive.LEVELS: takes some 4 us a sub-pixel
NOTHING = Tables((0.0, 0.0, 0.0), 1.0, np.empty(0), np.empty(0), {})

Size = tuple[int, int]


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


def encode_alone(
    pixels: Pixels, format: SampleFormat, level: int = BEST, workers: int = 1
) -> PlainCode:
    """An image (H, W, C) in the way that takes the fewest bytes; workers: threads.

    level: of the adaptive coder. What is alpha in the format, and what colour, is all the same.
    """
    height, width, _ = pixels.shape
    shared = _shared((height, width), format, workers)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), format.dtype)
    code = encode_plain(shared, planes, level)
    data = plain_payload(PayloadWriter(shared.plan), -1, planes, code)
    return PlainCode(data, math.fsum(code.ideal_bits) if code.coding else 8.0 * code.size)


def decode_alone(
    data: bytes, size: Size, format: SampleFormat, workers: int = 1, deadline: Deadline = NEVER
) -> Pixels:
    """The image (H, W, C) of these bytes; size: (H, W). BitstreamError if they are damaged."""
    shared = _shared(size, format, workers, deadline)
    payload = _parse(data, shared)
    planes = np.zeros(shared.shape, format.dtype)
    decode_plain(shared, payload, planes)
    if pixel_crc(planes) != payload.pixel_crc:
        raise BitstreamError(
            "the decoded pixels do not match their checksum, though their bytes are intact: "
            "this installation computes something wrong; diffcodec selftest reports what"
        )
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def decode_beginning(
    data: bytes,
    total: int,
    pixels: Pixels,
    format: SampleFormat,
    workers: int = 1,
    deadline: Deadline = NEVER,
) -> Pixels:
    """What the first of `total` bytes surely say, over the pixels (H, W, C); BitstreamError."""
    height, width, _ = pixels.shape
    shared = _shared((height, width), format, workers, deadline)
    payload = parse_payload(data, shared.plan, total, None)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), format.dtype)
    if payload.sigma_index is not None:
        if not payload.plain:
            raise BitstreamError("its bytes are damaged")
        decode_plain(shared, payload, planes)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def stated_crc(data: bytes, size: Size, format: SampleFormat) -> int:
    """CRC-32 of the pixels that these bytes state; BitstreamError if they are damaged.

    Nothing is decoded.
    """
    crc = _parse(data, _shared(size, format)).pixel_crc
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


def _shared(
    size: Size, format: SampleFormat, workers: int = 1, deadline: Deadline = NEVER
) -> Shared:
    """What both sides know of an image: its size and its samples, and no more."""
    return Shared(
        denoiser=_never,
        chain=Chain("own", (), NOTHING),
        size=size,
        format=format,
        code=FIRST_CODE,
        seed=FIRST_SEED,
        clock=Clock(),
        workers=workers,
        deadline=deadline,
    )


def _never(y: Float32, v: float) -> Float32:
    raise AssertionError("a plain image is coded without a network")
