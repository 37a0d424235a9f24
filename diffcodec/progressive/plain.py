"""Exact pixels without any state: graphics, as image files of some rows each, bytes, or strips."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from diffcodec.bitstream.byte_order import from_little_endian, little_endian
from diffcodec.bitstream.graphics import GRAPHICS, decode_strip, encode_strip, strips
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.payload_writer import PayloadWriter, PixelCode
from diffcodec.bitstream.pixels import STORED
from diffcodec.bitstream.strips import ADAPTIVE
from diffcodec.bitstream.types import Pixels
from diffcodec.progressive.adaptive_residual import decode_adaptive, encode_adaptive
from diffcodec.progressive.gaussian_residual import blocks_of
from diffcodec.progressive.shared import Shared

# Bits of a byte as graphics below which nothing else is tried: it would take much longer.
FLAT = 0.5


def encode_plain(
    shared: Shared, planes: Pixels, level: int | None, graphics: list[bytes] | None = None
) -> PixelCode:
    """The pixels (C, H, W) in the way that takes the fewest bytes.

    level: of the adaptive coder, None to leave it out; graphics: what encode_graphics makes.
    """
    graphics = encode_graphics(planes) if graphics is None else graphics
    code = PixelCode(GRAPHICS, graphics)
    if code.size >= planes.nbytes:
        flat = planes.reshape(-1)
        code = PixelCode(
            STORED, [little_endian(flat[where]).tobytes() for where, _ in blocks_of(shared)]
        )
    if level is None or 8 * code.size < FLAT * planes.nbytes:
        return code
    return min(encode_adaptive(shared, None, planes, level), code, key=lambda code: code.size)


def plain_payload(writer: PayloadWriter, node: int, planes: Pixels, code: PixelCode) -> bytes:
    """The payload whose steps end at a node, the plain pixels of (C, H, W) following."""
    writer.switch(node)
    return writer.finish(code, pixel_crc(planes))


def pixel_crc(planes: Pixels) -> int:
    """CRC-32 of an image (C, H, W), row by row, channels interleaved."""
    return zlib.crc32(little_endian(planes.transpose(1, 2, 0)).data)


def decode_plain(shared: Shared, payload: Payload, planes: Pixels) -> None:
    """Write the pixels that are there over those of (C, H, W)."""
    if payload.sigma_index == GRAPHICS:
        _decode_strips(shared, payload, planes)
        return
    if payload.sigma_index == ADAPTIVE:
        decode_adaptive(shared, None, payload, planes)
        return
    for block, (where, _) in zip(payload.blocks, blocks_of(shared), strict=False):
        whole = len(block.data) // planes.itemsize * planes.itemsize
        values = from_little_endian(block.data[:whole], planes.dtype)
        planes.reshape(-1)[where[: len(values)]] = np.minimum(values, shared.format.peak)


def graphics_bytes(planes: Pixels) -> int:
    """What an image (C, H, W) takes as graphics."""
    return sum(map(len, encode_graphics(planes)))


def encode_graphics(planes: Pixels) -> list[bytes]:
    """The strips of an image (C, H, W)."""
    parts = [planes[:, rows].transpose(1, 2, 0) for rows in _rows(planes)]
    return [encode_strip(np.ascontiguousarray(part)) for part in parts]


def _decode_strips(shared: Shared, payload: Payload, planes: Pixels) -> None:
    """Write the strips that are complete."""
    for block, rows in zip(payload.blocks, _rows(planes), strict=False):
        shared.deadline.check()
        if block.complete:
            height, width = rows.stop - rows.start, planes.shape[2]
            part = decode_strip(block.data, height, width, shared.format)
            planes[:, rows] = part.transpose(2, 0, 1)


def _rows(planes: Pixels) -> Iterator[slice]:
    """Of every strip."""
    channels, height, width = planes.shape
    yield from strips((height, width, channels))
