"""The lossless residual: x_0 given x0_hat of the last state, by DDPM's discretized decoder.

Sub-pixels are coded in the order of the rotation's permutation, so that what a cut leaves lies all
over the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.payload import Payload, block_sizes
from diffcodec.bitstream.pixels import GRID, best_sigma, decode_block, encode_block, ideal_bits
from diffcodec.bitstream.rotation import permutation
from diffcodec.bitstream.types import Int32, Pixels
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk


def encode_residual(walk: Walk, planes: Pixels, trace: Trace | None) -> tuple[int, list[bytes]]:
    """The sigma index that suits an image (C, H, W), and the code of each block of sub-pixels."""
    means, values = np.empty(planes.size, np.int32), np.empty(planes.size, planes.dtype)
    for where, (a, b) in blocks_of(walk.shared):
        means[a:b] = _means(walk, where)
        values[a:b] = planes.reshape(-1)[where]
    format = walk.shared.format
    sigma = best_sigma(values, means, format)
    parts = [(values[a:b], means[a:b]) for _, (a, b) in blocks_of(walk.shared)]
    blocks = [encode_block(*part, sigma, format) for part in parts]
    if trace is not None:
        trace.block_bits = [ideal_bits(*part, sigma, format) for part in parts]
        trace.block_bytes = [len(block) for block in blocks]
    return sigma, blocks


def decode_residual(walk: Walk, payload: Payload, planes: Pixels) -> None:
    """Write the sub-pixels that are there over the estimate of them, (C, H, W)."""
    assert payload.sigma_index is not None
    for block, (where, _) in zip(payload.blocks, blocks_of(walk.shared), strict=False):
        means = _means(walk, where)
        values = decode_block(
            block.data, block.complete, means, payload.sigma_index, walk.shared.format
        )
        planes.reshape(-1)[where[: len(values)]] = values
        if len(values) < len(where):
            break


def blocks_of(shared: Shared) -> Iterator[tuple[Int32, tuple[int, int]]]:
    """Where the sub-pixels of each block lie in the image, and in the file's order."""
    order = permutation(shared.seed, shared.dims)
    edges = np.cumsum([0, *block_sizes(shared.dims)]).tolist()
    for a, b in pairwise(edges):
        yield order[a:b], (a, b)


def _means(walk: Walk, where: Int32) -> Int32:
    """x0_hat as means of the pixel coder."""
    unit = walk.x0_hat.reshape(-1)[where].astype(np.float64) + 1
    return np.rint(unit * (walk.shared.format.half * GRID)).astype(np.int32)
