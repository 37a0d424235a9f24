"""Alpha: a grey image of its own that no network sees, in a section before the colours' payload.

It is exact from its first rows on. What a cut leaves out, and what is damaged, counts as opaque. It
comes first because it is small and all depends on it: photographs cut out by soft and hard masks,
laid on white, had 4 to 7 dB at any cut while alpha was missing, and 26 to 42 dB 1,700 bytes later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.narrowing import Narrowing, find_narrowing
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.sections import ALPHA, Block
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.progressive.preview import shrink
from diffcodec.progressive.stand_alone import (
    PlainCode,
    Size,
    decode_alone,
    decode_beginning,
    encode_alone,
)
from diffcodec.theory.units import from_unit, to_unit

ALL_BITS = 0  # in place of a narrowing: samples need all of them


@dataclass(frozen=True, eq=False)
class Alpha:
    """samples: (H, W, 1); exact: whether all of them are; damaged: whether there is any damage."""

    samples: Pixels
    exact: bool
    damaged: bool = False

    @property
    def opacity(self) -> Float32:
        """(1, H, W), 0 .. 1."""
        return np.asarray((to_unit(self.samples, self._format) + 1) / 2, np.float32)

    def shrunk(self, scale: int) -> Alpha:
        """Of a preview."""
        means = shrink(to_unit(self.samples, self._format), scale)
        return replace(self, samples=from_unit(means, self._format))

    @property
    def _format(self) -> SampleFormat:
        return SampleFormat(1, 8 * self.samples.itemsize)


def encode_alpha(samples: Pixels, level: int, workers: int) -> PlainCode:
    """A section's data of alpha (H, W, 1); level: of the adaptive coder. Of 16 bits the first byte
    says what they come from."""
    depth, start = 8 * samples.itemsize, b""
    if depth > 8:
        narrowing = find_narrowing(samples)
        start = bytes([ALL_BITS if narrowing is None else narrowing.byte])
        if narrowing is not None:
            samples, depth = narrowing.narrow(samples), narrowing.bits
    code = encode_alone(samples, SampleFormat(1, depth), level, workers)
    return replace(code, data=start + code.data)


def decode_alpha(block: Block, size: Size, depth: int, workers: int) -> Alpha:
    """The alpha of a block, as far as it is there; size: (H, W) of the image."""
    format = SampleFormat(1, depth)
    opaque = np.full((*size, 1), format.peak, format.dtype)
    section = block.part(ALPHA)
    if section is None:
        known = any(section.kind == ALPHA for section in block.sections)
        return Alpha(opaque, False, known or block.damaged)
    data, narrowing = section.data, None
    try:
        if depth > 8:
            narrowing = Narrowing.of(data[0]) if data[:1] not in (b"", bytes([ALL_BITS])) else None
            data = data[1:]
        total = section.size - (depth > 8)
        coded = format if narrowing is None else SampleFormat(1, narrowing.bits)
        if section.intact:
            samples = decode_alone(data, size, coded, workers)
        else:
            full = np.full(opaque.shape, coded.peak, coded.dtype)
            samples = decode_beginning(data, total, full, coded, workers)
    except BitstreamError:
        return Alpha(opaque, False, True)
    if narrowing is not None:
        samples = narrowing.widen(samples)
    return Alpha(samples, bool(section.intact))
