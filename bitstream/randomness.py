"""Randomness that both ends of a stream share, made of integers only.

Every number comes from the counter-based generator Philox4x64-10 (Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", 2011) by integer transforms, so it is the same on every machine and
for every numpy version: only `random_raw` is used, never a distribution of numpy's Generator, whose
streams are not promised. Nothing is read in order: a (seed, stream, step) triple names its words.
"""

from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

UNIT = 256  # codeword levels and shared Gaussians are integers in units of 1/UNIT

# The upper half of 256 equally likely Gaussian levels: round(UNIT * Phi^-1((i + 1/2) / 256) * c),
# c chosen for unit variance; 416 and 743 are raised (by 1 and 2) so that the mean square of the
# rounded levels is UNIT^2 up to 1e-6. A literal, because inverse error functions differ in the
# last digit between machines.
_UPPER_LEVELS = (
    *(1, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 29, 31, 34, 37, 39, 42, 44, 47, 49, 52, 54, 57, 60),
    *(62, 65, 67, 70, 73, 75, 78, 80, 83, 86, 88, 91, 94, 96, 99, 102, 105, 107, 110, 113, 116),
    *(118, 121, 124, 127, 130, 133, 135, 138, 141, 144, 147, 150, 153, 156, 159, 162, 165, 168),
    *(172, 175, 178, 181, 184, 188, 191, 194, 198, 201, 204, 208, 211, 215, 219, 222, 226, 230),
    *(233, 237, 241, 245, 249, 253, 257, 261, 266, 270, 274, 279, 283, 288, 293, 298, 303, 308),
    *(313, 318, 324, 329, 335, 341, 347, 354, 360, 367, 374, 382, 390, 398, 406, 416, 425, 435),
    *(446, 458, 471, 485, 501, 519, 541, 566, 599, 647, 743),
)
LEVELS: NDArray[np.int16] = np.array(
    [-x for x in reversed(_UPPER_LEVELS)] + list(_UPPER_LEVELS), np.int16
)


class Stream(IntEnum):
    """What a word is for; words of different streams are independent."""

    PERMUTATION = 0
    ROTATION_SIGNS = 1
    CODEWORD_SIGNS = 2
    LABELS = 3
    SHIFTS = 4
    GAUSSIAN = 5
    STIRRING = 6
    MASKS = 7


def words(seed: int, stream: Stream, step: int, n: int, first: int = 0) -> NDArray[np.uint64]:
    """n words, shape (n,), of the triple from word 4 * first on: uniform on 0 .. 2^64 - 1.

    Words 4j .. 4j+3 are Philox4x64-10 of counter (j + 1, 0, step, 0) and key (seed, stream).
    Raises ValueError unless seed and step are 64-bit unsigned integers.
    """
    if not (0 <= seed < 1 << 64 and 0 <= step < 1 << 64):
        raise ValueError(f"seed {seed} and step {step} must be in 0 .. 2^64 - 1")
    counter, key = np.array([first, 0, step, 0], np.uint64), np.array([seed, stream], np.uint64)
    raw = np.random.Philox(counter=counter, key=key).random_raw(n)
    return np.asarray(raw, np.uint64)


def octets(seed: int, stream: Stream, step: int, n: int, start: int = 0) -> NDArray[np.uint8]:
    """n uniform bytes, shape (n,), from number `start` on: the words in order, each least
    significant byte first."""
    first, skipped = divmod(start, 32)  # a counter gives 4 words
    raw = words(seed, stream, step, -(-(skipped + n) // 8), first)
    return raw.astype("<u8", copy=False).view(np.uint8)[skipped : skipped + n]


def signs(seed: int, stream: Stream, step: int, n: int, start: int = 0) -> NDArray[np.int8]:
    """n random signs, shape (n,), from number `start` on: +1 for a 0 and -1 for a 1 bit, least
    significant bit first."""
    first, skipped = divmod(start, 8)
    chosen = octets(seed, stream, step, -(-(skipped + n) // 8), first)
    bits = np.unpackbits(chosen, count=skipped + n, bitorder="little")[skipped:]
    return np.int8(1) - 2 * bits.view(np.int8)


def gaussian(seed: int, step: int, n: int, start: int = 0) -> NDArray[np.float32]:
    """n nearly standard normal values, shape (n,), to fill states at random.

    Each is half the sum of four independent draws from LEVELS, picked by the four bytes of one
    32-bit unit: a multiple of 1/512 with mean 0, variance 1, kurtosis 2.96 and modulus < 5.81.
    start: number of the first of them.
    """
    pairs = octets(seed, Stream.GAUSSIAN, step, 4 * n, 4 * start).view("<u2")
    sums = _pair_sums()[pairs]
    value: NDArray[np.float32] = (sums[0::2] + sums[1::2]) * np.float32(0.5 / UNIT)
    return value


@lru_cache(maxsize=1)
def _pair_sums() -> NDArray[np.int16]:
    """LEVELS[a] + LEVELS[b] at index a + 256 b, shape (65536,)."""
    return (LEVELS[:, None] + LEVELS[None, :]).reshape(-1)
