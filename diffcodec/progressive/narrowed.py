"""Images that need no network, coded in no more bits than their samples have.

In front of the code of 16 bits stands a byte that says which narrower samples they come from.
Alpha is coded so, and all images of an archive that are plain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.narrowing import Narrowing, find_narrowing
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Pixels
from diffcodec.progressive.stand_alone import BEST, PlainCode, encode_alone

ALL_BITS = 0  # in place of a narrowing: samples need all of them


def encode_narrowed(pixels: Pixels, level: int = BEST, workers: int = 1) -> PlainCode:
    """The code of an image (H, W, C), uint8 or uint16, of one or three channels.

    level: of the adaptive coder; workers: threads.
    """
    channels, depth, start = pixels.shape[2], 8 * pixels.itemsize, b""
    if depth > 8:
        narrowing = find_narrowing(pixels)
        start = bytes([ALL_BITS if narrowing is None else narrowing.byte])
        if narrowing is not None:
            pixels, depth = narrowing.narrow(pixels), narrowing.bits
    code = encode_alone(pixels, SampleFormat(channels, depth), level, workers)
    return replace(code, data=start + code.data)


@dataclass(frozen=True)
class Narrowed:
    """code: of samples of a format, from which the image's samples follow by a narrowing."""

    code: bytes
    format: SampleFormat
    narrowing: Narrowing | None = None

    @staticmethod
    def of(data: bytes, format: SampleFormat) -> Narrowed:
        """What such bytes say of an image of a format; BitstreamError if that is nothing."""
        if format.depth == 8:
            return Narrowed(data, format)
        if not data:
            raise BitstreamError("its bytes are damaged")
        if data[0] == ALL_BITS:
            return Narrowed(data[1:], format)
        narrowing = Narrowing.of(data[0])
        return Narrowed(data[1:], SampleFormat(format.channels, narrowing.bits), narrowing)

    def widened(self, pixels: Pixels) -> Pixels:
        """The image's samples, of any shape, from those that the code says."""
        return pixels if self.narrowing is None else self.narrowing.widen(pixels)
