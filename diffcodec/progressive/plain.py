"""Exact pixels without x0_hat: graphics, as image files of some rows each, or stored bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from diffcodec.bitstream.graphics import GRAPHICS, decode_strip, encode_strip, strips
from diffcodec.bitstream.payload import Payload, PayloadWriter
from diffcodec.bitstream.pixels import STORED
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Pixels
from diffcodec.progressive.residual import blocks_of
from diffcodec.progressive.shared import Shared

PLAIN = (STORED, GRAPHICS)  # kinds of pixels that need no x0_hat


def encode_plain(shared: Shared, planes: Pixels) -> tuple[int, list[bytes]]:
    """GRAPHICS and strips, or STORED and blocks of a byte for each sub-pixel, of (C, H, W)."""
    graphics = _encode_strips(planes)
    if sum(map(len, graphics)) < planes.size:
        return GRAPHICS, graphics
    return STORED, [planes.reshape(-1)[where].tobytes() for where, _ in blocks_of(shared)]


def plain_payload(
    shared: Shared, writer: PayloadWriter, node: int, planes: Pixels
) -> tuple[bytes, list[bytes]]:
    """The payload whose steps end at a node, plain pixels following; and the pixels' blocks."""
    writer.switch(node)
    kind, blocks = encode_plain(shared, planes)
    return writer.finish(kind, blocks, pixel_crc(planes)), blocks


def pixel_crc(planes: Pixels) -> int:
    """CRC-32 of an image (C, H, W), row by row, channels interleaved."""
    return zlib.crc32(np.ascontiguousarray(planes.transpose(1, 2, 0)).data)


def decode_plain(shared: Shared, payload: Payload, planes: Pixels) -> None:
    """Write the pixels that are there over those of (C, H, W)."""
    if payload.sigma_index == GRAPHICS:
        _decode_strips(payload, planes, shared.format)
        return
    for block, (where, _) in zip(payload.blocks, blocks_of(shared), strict=False):
        values = np.frombuffer(block.data, planes.dtype)
        planes.reshape(-1)[where[: len(values)]] = values


def graphics_bytes(planes: Pixels) -> int:
    """What an image (C, H, W) takes as graphics."""
    return sum(map(len, _encode_strips(planes)))


def _encode_strips(planes: Pixels) -> list[bytes]:
    parts = [planes[:, rows].transpose(1, 2, 0) for rows in _rows(planes)]
    return [encode_strip(np.ascontiguousarray(part)) for part in parts]


def _decode_strips(payload: Payload, planes: Pixels, format: SampleFormat) -> None:
    """Write the strips that are complete."""
    for block, rows in zip(payload.blocks, _rows(planes), strict=False):
        if block.complete:
            part = decode_strip(block.data, rows.stop - rows.start, planes.shape[2], format)
            planes[:, rows] = part.transpose(2, 0, 1)


def _rows(planes: Pixels) -> Iterator[slice]:
    """Of every strip."""
    channels, height, width = planes.shape
    yield from strips((height, width, channels))
