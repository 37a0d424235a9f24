"""x_0 given x0_hat of the last state by DDPM's discretized decoder: one Gaussian for the image.

Sub-pixels are coded in the order of the rotation's permutation, so that what a cut leaves lies all
over the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from diffcodec.bitstream.payload import Payload, block_sizes
from diffcodec.bitstream.payload_writer import PixelCode
from diffcodec.bitstream.pixels import GRID, best_sigma, decode_block, encode_block, ideal_bits
from diffcodec.bitstream.rotation import permutation
from diffcodec.bitstream.types import Float32, Float64, Int32, Pixels
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk


def encode_gaussian(walk: Walk, planes: Pixels, *, count: bool) -> PixelCode:
    """The exact pixels of an image (C, H, W): one sigma, blocks of sub-pixels.

    count: their ideal bits, too.
    """
    means, values = np.empty(planes.size, np.int32), np.empty(planes.size, planes.dtype)
    half = walk.shared.format.half
    for where, (a, b) in blocks_of(walk.shared):
        means[a:b] = to_grid(walk.x0_hat.reshape(-1)[where], half)
        values[a:b] = planes.reshape(-1)[where]
    format = walk.shared.format
    sigma = best_sigma(values, means, format)
    parts = [(values[a:b], means[a:b]) for _, (a, b) in blocks_of(walk.shared)]
    blocks = [encode_block(*part, sigma, format) for part in parts]
    bits = [ideal_bits(*part, sigma, format) for part in parts] if count else []
    return PixelCode(sigma, blocks, ideal_bits=bits, gaussian_bits=bits)


def decode_gaussian(walk: Walk, payload: Payload, planes: Pixels) -> None:
    """Write the sub-pixels that are there over the estimate of them, (C, H, W)."""
    assert payload.sigma_index is not None
    format = walk.shared.format
    for block, (where, _) in zip(payload.blocks, blocks_of(walk.shared), strict=False):
        walk.shared.deadline.check()
        means = to_grid(walk.x0_hat.reshape(-1)[where], format.half)
        values = decode_block(block.data, block.complete, means, payload.sigma_index, format)
        planes.reshape(-1)[where[: len(values)]] = values
        if len(values) < len(where):
            break


def blocks_of(shared: Shared) -> Iterator[tuple[Int32, tuple[int, int]]]:
    """Where the sub-pixels of each block lie in the image, and in the file's order."""
    order = permutation(shared.seed, shared.dims)
    edges = np.cumsum([0, *block_sizes(shared.dims)]).tolist()
    for a, b in pairwise(edges):
        yield order[a:b], (a, b)


def to_grid(x: Float32 | Float64, half: float) -> Int32:
    """Values in x0 units as the pixel coders count them: in 1/GRID grey level."""
    return np.rint((x.astype(np.float64) + 1) * (half * GRID)).astype(np.int32)
