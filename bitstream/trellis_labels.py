"""What both ends of the trellis code know: labels, branch words, and which stage has which bits.

FORMAT-coder.md is the specification.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.randomness import LEVELS, Stream, words

COLUMNS = 256  # of the label table; a stage with more coordinates repeats them
SEGMENT = 4096  # most stages of one trellis, which bounds memory and lets threads share a step


@lru_cache(maxsize=1)
def label_table() -> NDArray[np.int16]:
    """Codeword levels in units of 1/256 by label and column, shape (256, COLUMNS).

    Each column is LEVELS in the order that sorts 256 random words.
    """
    keys = words(0, Stream.LABELS, 0, 256 * COLUMNS).reshape(COLUMNS, 256)
    table = LEVELS[np.argsort(keys, axis=1, kind="stable")].T
    return np.ascontiguousarray(table)


@lru_cache(maxsize=32)
def shifts(nu: int) -> NDArray[np.uint8]:
    """What a branch word's bits above the low byte add to its label, shape (2^(nu - 7),)."""
    return (words(0, Stream.SHIFTS, nu, 1 << (nu - 7)) >> np.uint64(56)).astype(np.uint8)


def memory(stages: int, nu: int) -> int:
    """State bits of a block of so many stages: nu, or less where short blocks do better with less.

    Overheads of n = 32 and 64 bits: 12.8 and 9.3 % with 12 state bits, 13.6 and 7.7 % with 14.
    """
    return min(nu, 8 + stages // 10)


def segments(n_bits: int) -> list[tuple[int, int]]:
    """The stages [a, b) of each trellis, as equal as can be."""
    count = -(-n_bits // SEGMENT)
    edges = [n_bits * j // count for j in range(count + 1)]
    return list(pairwise(edges))


def boundaries(dims: int, n_bits: int, a: int, b: int) -> NDArray[np.int64]:
    """First coordinate of stages a .. b - 1 and the end of the last, shape (b - a + 1,)."""
    return np.arange(a, b + 1, dtype=np.int64) * dims // n_bits


def branch_words(bits: NDArray[np.uint8], nu: int) -> NDArray[np.uint32]:
    """Word of every stage: stage i reads bits i .. i + nu, cyclically, oldest first."""
    n = len(bits)
    cyclic = np.resize(bits, n + nu).astype(np.uint32)
    word = np.zeros(n, np.uint32)
    for j in range(nu + 1):
        word = word << np.uint32(1) | cyclic[j : j + n]
    return word
