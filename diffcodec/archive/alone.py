"""Tiles that are coded alone, as .dfc files without their headers: the first ones, and graphics.

Their bytes are what the stack starts from. In archives with the Gaussian the first tiles are
progressive; in those with the adaptive coder they end with it, or are plain if that is smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload_writer import PayloadWriter
from diffcodec.bitstream.sample_format import archived
from diffcodec.bitstream.tiles import FIRST_CODE, FIRST_SEED, Shape, first_chain
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.file import with_length
from diffcodec.limits import USUAL, Limits
from diffcodec.progressive.plain import encode_plain, plain_payload
from diffcodec.theory.chain import Chain, choose_chain


@dataclass(frozen=True)
class Alone:
    """A tile's bytes, and what theory asks for."""

    payload: bytes
    ideal_bits: float


@dataclass(frozen=True)
class AloneCoder:
    """Codes and decodes such tiles, (H, W, C) uint8, of one archive."""

    codec: Codec
    header: ArchiveHeader
    clock: Clock
    limits: Limits = USUAL

    def encode(self, pixels: Pixels) -> Alone:
        """A tile that is no graphics."""
        code = self._with_steps(pixels)
        if self.header.end is None:
            return code
        return min(code, self.without_steps(pixels), key=lambda code: len(code.payload))

    def without_steps(self, pixels: Pixels) -> Alone:
        """A tile's pixels as graphics, stored, or by the adaptive coder if the archive has it."""
        height, width, channels = pixels.shape
        shared = self.codec.shared(*self._draft((height, width, channels)), self.clock)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        end = self.header.end
        code = encode_plain(shared, planes, None if end is None else end.level)
        ideal = math.fsum(code.ideal_bits) if code.coding else 8.0 * code.size
        return Alone(plain_payload(PayloadWriter(shared.plan), -1, planes, code), ideal)

    def decode(self, payload: bytes, shape: Shape) -> Pixels:
        """The tile of this shape; BitstreamError if it is damaged, OverLimit beyond the limits."""
        header, _ = self._draft(shape)
        decoded = self.codec.decode(with_length(header, payload), limits=self.limits)
        if not decoded.lossless:
            raise BitstreamError("a progressive tile is damaged")
        return decoded.pixels

    def _with_steps(self, pixels: Pixels) -> Alone:
        trace = Trace()
        data = self.codec.encode(
            pixels,
            chain=first_chain(pixels.size),
            code=FIRST_CODE.name,
            seed=FIRST_SEED,
            effort="best",
            residual="gaussian" if self.header.end is None else "adaptive",
            trace=trace,
        )
        ideal = trace.lossless_bits + sum(step.mi_bits for step in trace.steps)
        return Alone(data[parse_header(data)[1] :], ideal)

    def _draft(self, shape: Shape) -> tuple[Header, Chain]:
        """The header that a tile does without, and its noise levels."""
        height, width, channels = shape
        levels = choose_chain(first_chain(math.prod(shape)), self.codec.tables)
        header = Header(
            width=width,
            height=height,
            format=archived(channels),
            fingerprint=self.codec.fingerprint,
            code=FIRST_CODE,
            chain=levels.kind,
            nodes=len(levels.v),
            seed=FIRST_SEED,
            version=1 if self.header.end is None else 2,
        )
        return header, levels
