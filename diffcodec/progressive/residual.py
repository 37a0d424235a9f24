"""The exact pixels at the end of a file: x_0 given x0_hat, or as they are where that takes less.

Sub-pixels are coded in the order of the rotation's permutation, so that what a cut leaves lies all
over the image; the rows of a drawing come from top to bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.graphics import DRAWN, decode_strip, encode_strip, strips
from diffcodec.bitstream.payload import Payload, block_sizes
from diffcodec.bitstream.pixels import (
    GRID,
    STORED,
    Means,
    best_sigma,
    decode_block,
    encode_block,
    ideal_bits,
)
from diffcodec.bitstream.rotation import permutation
from diffcodec.bitstream.types import Float32
from diffcodec.progressive.shared import Channel
from diffcodec.theory.units import GREY

Planes = NDArray[np.uint8]  # (C, H, W)
PLAIN = (STORED, DRAWN)  # kinds of pixels that need no x0_hat


def code_pixels(
    channel: Channel, planes: Planes, x0_hat: Float32, trace: Trace | None
) -> tuple[int, list[bytes]]:
    """The sigma index that suits an image, and the code of each block of sub-pixels."""
    means, values = np.empty(planes.size, np.int32), np.empty(planes.size, np.uint8)
    for where, (a, b) in _blocks(channel):
        means[a:b] = _means(x0_hat, where)
        values[a:b] = planes.reshape(-1)[where]
    sigma = best_sigma(values, means)
    parts = [(values[a:b], means[a:b]) for _, (a, b) in _blocks(channel)]
    blocks = [encode_block(*part, sigma) for part in parts]
    if trace is not None:
        trace.block_bits = [ideal_bits(*part, sigma) for part in parts]
        trace.block_bytes = [len(block) for block in blocks]
    return sigma, blocks


def plain_pixels(channel: Channel, planes: Planes) -> tuple[int, list[bytes]]:
    """Without x0_hat: DRAWN and strips, or STORED and blocks of a byte for each sub-pixel."""
    drawn = [encode_strip(part) for part in _strips(planes)]
    if sum(map(len, drawn)) < planes.size:
        return DRAWN, drawn
    return STORED, [planes.reshape(-1)[where].tobytes() for where, _ in _blocks(channel)]


def drawn_bytes(planes: Planes) -> int:
    """What the image takes as a drawing."""
    return sum(len(encode_strip(part)) for part in _strips(planes))


def _strips(planes: Planes) -> Iterator[NDArray[np.uint8]]:
    """Rows of an image, (n, W, C) each."""
    channels, height, width = planes.shape
    for rows in strips((height, width, channels)):
        yield np.ascontiguousarray(planes[:, rows].transpose(1, 2, 0))


def fill_in(channel: Channel, payload: Payload, x0_hat: Float32 | None, planes: Planes) -> None:
    """Write the exact sub-pixels at hand over an estimate of them; x0_hat: None if PLAIN."""
    if payload.sigma_index == DRAWN:
        _draw(payload, planes)
        return
    for block, (where, _) in zip(payload.blocks, _blocks(channel), strict=False):
        if payload.sigma_index == STORED:
            values = np.frombuffer(block.data, np.uint8)
        else:
            assert payload.sigma_index is not None and x0_hat is not None
            means = _means(x0_hat, where)
            values = decode_block(block.data, block.complete, means, payload.sigma_index)
        planes.reshape(-1)[where[: len(values)]] = values
        if len(values) < len(where):
            break


def _draw(payload: Payload, planes: Planes) -> None:
    """Write the strips that are complete."""
    channels, height, width = planes.shape
    for block, rows in zip(payload.blocks, strips((height, width, channels)), strict=False):
        if block.complete:
            part = decode_strip(block.data, (rows.stop - rows.start, width, channels))
            planes[:, rows] = part.transpose(2, 0, 1)


def _blocks(channel: Channel) -> Iterator[tuple[NDArray[np.int32], tuple[int, int]]]:
    """Where the sub-pixels of each block lie in the image, and in the file's order."""
    order = permutation(channel.seed, channel.dims)
    edges = np.cumsum([0, *block_sizes(channel.dims)]).tolist()
    for a, b in pairwise(edges):
        yield order[a:b], (a, b)


def _means(x0_hat: Float32, where: NDArray[np.int32]) -> Means:
    """x0_hat as means of the pixel coder."""
    grey = (x0_hat.reshape(-1)[where].astype(np.float64) + 1) * (GREY * GRID)
    return np.rint(grey).astype(np.int32)
