"""What tests of the step codes share: targets, messages, and what a codeword tells."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.rotated import Rotated
from diffcodec.bitstream.types import Float32


def normal(n: int, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def some_bits(n: int, seed: int = 0) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, n, dtype=np.uint8)


def digest(*arrays: NDArray[np.generic]) -> str:
    data = b"".join(x.astype(x.dtype.newbyteorder("<")).tobytes() for x in arrays)
    return hashlib.sha256(data).hexdigest()[:16]


def delivered(z: Float32, mu: Float32) -> float:
    """Bits that the direction of z tells about mu: -(D/2) log2(1 - cos^2)."""
    a, b = z.astype(np.float64), mu.astype(np.float64)
    cosine2 = (a @ b) ** 2 / ((a @ a) * (b @ b))
    return -0.5 * z.size * math.log2(1 - cosine2)


def overhead(code: Rotated, dims: int, n: int, blocks: int) -> float:
    """Share of the bits beyond what they deliver."""
    told = 0.0
    for i in range(blocks):
        v = normal(dims, i)
        told += delivered(code.codeword(code.search(v, n, 11, i), n, dims, 11, i)[0], v)
    return n * blocks / told - 1
