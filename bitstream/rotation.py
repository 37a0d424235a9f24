"""Shared random rotation of a vector: permutation, signs, block Hadamard transform.

It spreads the energy of an image's error evenly over the coordinates, which a fixed-rate code
needs (44 % -> 11 % overhead on blocky targets), and makes codeword noise Gaussian in pixels.

Two invariants. The map is orthonormal, whatever the length. And it is a fixed sequence of float32
additions, so both ends get the same bits: a codeword's coordinates are integers / 256 below
2^10 / 256, so in a block of at most 2^14 every partial sum is an exact float32 as well. Compiled
kernel and numpy do the same.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.randomness import Stream, signs, words

KERNEL = load_kernel("diffcodec.bitstream._rotation")

LOG2_BLOCK = 14  # largest block; 2^14 * 743 < 2^24 keeps codeword sums exact
_GROUP = 1 << 17  # coordinates transformed at a time, so that they stay in the cache


def rotate(x: NDArray[np.float32], seed: int, step: int) -> NDArray[np.float32]:
    """Rotate float32 x, shape (D,), D >= 1, into coordinates shared by both ends; shape (D,)."""
    x = np.ascontiguousarray(x, np.float32)
    order, out = permutation(seed, x.size), np.empty_like(x)
    for a, b, k in _parts(x.size):
        sign = signs(seed, Stream.ROTATION_SIGNS, step, b - a, a)
        if KERNEL is not None:
            KERNEL.rotate(x, order[a:b], sign, 1 << k, _scale(k), out[a:b])
        else:
            out[a:b] = _hadamard(x[order[a:b]] * sign, k)
    return out


def unrotate(z: NDArray[np.float32], seed: int, step: int) -> NDArray[np.float32]:
    """Undo `rotate`: float32 z, shape (D,), back to the original coordinates; shape (D,)."""
    z = np.ascontiguousarray(z, np.float32)
    order, x = permutation(seed, z.size), np.empty_like(z)
    for a, b, k in _parts(z.size):
        sign = signs(seed, Stream.ROTATION_SIGNS, step, b - a, a)
        if KERNEL is not None:
            KERNEL.unrotate(z[a:b], order[a:b], sign, 1 << k, _scale(k), x)
        else:
            x[order[a:b]] = _hadamard(z[a:b], k) * sign
    return x


@lru_cache(maxsize=1)
def permutation(seed: int, dims: int) -> NDArray[np.int32]:
    """The order in which `rotate` reads coordinates: 0 .. dims - 1 permuted, read-only.

    A bijective hash of 0 .. 2^k - 1 (multiply by an odd number, xor the upper half into the lower,
    twice over), k = max(2, bits of dims - 1), with the values >= dims left out. One per seed, not
    per step: fresh signs already make every step's rotation new. ValueError if dims > 2^31.
    """
    if not 1 <= dims <= 1 << 31:
        raise ValueError(f"cannot rotate {dims} coordinates, only 1 .. 2^31")
    k = max(2, (dims - 1).bit_length())
    mask, half = np.uint32((1 << k) - 1), np.uint32((k + 1) // 2)
    add, *factors = (w & 0xFFFFFFFF for w in words(seed, Stream.PERMUTATION, 0, 4).tolist())
    order = np.empty(dims, np.int32)  # half the memory of an intp
    filled = 0
    for start in range(0, 1 << k, _GROUP):
        h = np.arange(start, min(start + _GROUP, 1 << k), dtype=np.uint32)
        h += np.uint32(add)
        for factor in factors:
            h *= np.uint32(factor | 1)
            h &= mask
            h ^= h >> half
        inside = h[h < dims]
        order[filled : filled + inside.size] = inside
        filled += inside.size
    order.flags.writeable = False
    return order


def blocks(dims: int) -> list[tuple[int, int, int]]:
    """(start, log2 of length, number) of the runs of equal blocks that cover dims coordinates.

    As many blocks of 2^14 as fit, then one block for every binary digit of the rest, largest first.
    """
    whole = dims >> LOG2_BLOCK
    runs = [(0, LOG2_BLOCK, whole)] if whole else []
    start = whole << LOG2_BLOCK
    for k in reversed(range(LOG2_BLOCK)):
        if dims >> k & 1:
            runs.append((start, k, 1))
            start += 1 << k
    return runs


def _parts(dims: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, log2 of length) of some blocks at a time: few enough to stay in the cache."""
    for start, k, number in blocks(dims):
        at_once = max(1, _GROUP >> k)
        for first in range(0, number, at_once):
            yield start + (first << k), start + (min(number, first + at_once) << k), k


def _hadamard(x: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Orthonormal Hadamard transform (Sylvester order) of blocks of 2^k; its own inverse."""
    return _hadamard_rows(x.reshape(-1, 1 << k), k).reshape(-1)


def _hadamard_rows(x: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """The transform of every row of x, shape (n, 2^k).

    A row is a matrix of 2^a rows and 2^(k-a) columns; the strides >= 2^(k-a) run along its
    columns, then the transposed matrix brings the small strides there too, so that the innermost
    numpy loop is always long. The strides go from large to small in both halves.
    """
    n, a = len(x), k // 2
    y = _butterflies(x.reshape(n, 1 << a, 1 << (k - a)))
    z = _butterflies(np.ascontiguousarray(y.transpose(0, 2, 1)))
    z *= _scale(k)
    return z.transpose(0, 2, 1).reshape(n, -1)


def _scale(k: int) -> np.float32:
    return np.float32(math.sqrt(2.0**-k))


def _butterflies(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unnormalised Hadamard transform along axis 1 of x, shape (n, 2^a, columns)."""
    n, rows, columns = x.shape
    half = rows // 2
    while half:
        pairs = x.reshape(n, rows // (2 * half), 2, half * columns)
        y = np.empty_like(pairs)
        np.add(pairs[:, :, 0], pairs[:, :, 1], out=y[:, :, 0])
        np.subtract(pairs[:, :, 0], pairs[:, :, 1], out=y[:, :, 1])
        x = y.reshape(n, rows, columns)
        half //= 2
    return x
