"""What both ends of a trellis code know, whatever its labels: words, and what belongs to a stage.

FORMAT-coder.md is the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.randomness import LEVELS, Stream, words
from diffcodec.bitstream.types import Float32, Int64

COLUMNS = 256  # of the label table; a stage with more coordinates repeats them
CHUNK = 1 << 20  # coordinates gathered at a time; no part of the format
SEGMENT = 4096  # most stages of one trellis, which bounds memory and lets threads share a step

Words = NDArray[np.uint32]
Index = NDArray[np.intp]


class Labels(Protocol):
    """What the branches of a trellis stand for: all that sets one such code apart from another."""

    @property
    def name(self) -> str:
        """As users name the code."""
        ...

    @property
    def memories(self) -> tuple[int, ...]:
        """State bits nu that exist."""
        ...

    def bits(self, dims: int, energy: int, nu: int) -> int:
        """How many bits a step of this energy index takes; integers only."""
        ...

    def memory(self, stages: int, nu: int) -> int:
        """State bits of a block of so many stages: nu, or less where short blocks gain from it."""
        ...

    def of(self, words: Words, m: int) -> Index:
        """The label of every branch word of m + 1 bits."""
        ...

    def levels(self, dims: int, n_bits: int) -> NDArray[np.int16]:
        """Levels in units of 1/UNIT by label and column, (labels, COLUMNS), of such a step."""
        ...

    def best_path(self, v: Float32, edges: Int64, dims: int, n_bits: int, m: int) -> Bits:
        """Bits of a path whose codeword is close to v's direction, one for each stage of a block.

        v: its coordinates, signed and scaled to unit rms; edges: where each stage begins in v, and
        where the last one ends; dims, n_bits: of the whole step; m: state bits.
        """
        ...


@lru_cache(maxsize=1)
def label_table() -> NDArray[np.int16]:
    """Gaussian levels in units of 1/256 by label and column, shape (256, COLUMNS).

    Each column is LEVELS in the order that sorts 256 random words.
    """
    keys = words(0, Stream.LABELS, 0, 256 * COLUMNS).reshape(COLUMNS, 256)
    table = LEVELS[np.argsort(keys, axis=1, kind="stable")].T
    return np.ascontiguousarray(table)


@lru_cache(maxsize=32)
def shifts(m: int) -> NDArray[np.uint8]:
    """What a word's bits above the low byte add to its label, shape (2^(m - 7),)."""
    return (words(0, Stream.SHIFTS, m, 1 << (m - 7)) >> np.uint64(56)).astype(np.uint8)


def segments(n_bits: int) -> list[tuple[int, int]]:
    """The stages [a, b) of each trellis, as equal as can be."""
    count = -(-n_bits // SEGMENT)
    edges = [n_bits * j // count for j in range(count + 1)]
    return list(pairwise(edges))


def boundaries(dims: int, n_bits: int, a: int, b: int) -> Int64:
    """First coordinate of stages a .. b - 1 and the end of the last, shape (b - a + 1,)."""
    return np.arange(a, b + 1, dtype=np.int64) * dims // n_bits


def branch_words(bits: Bits, m: int) -> Words:
    """Word of every stage: stage i reads bits i .. i + m, cyclically, oldest first."""
    n = len(bits)
    cyclic = np.resize(bits, n + m).astype(np.uint32)
    word = np.zeros(n, np.uint32)
    for j in range(m + 1):
        word = word << np.uint32(1) | cyclic[j : j + n]
    return word


def best_of_all(score: NDArray[np.integer], of: Callable[[Words, int], Index], m: int) -> Bits:
    """Bits of the best of all 2^n codewords of a short block. score: by stage and label."""
    n = len(score)
    message = np.arange(1 << n, dtype=np.uint32)
    bits = [message >> np.uint32(n - 1 - j) & np.uint32(1) for j in range(n)]
    total = np.zeros(1 << n, np.int32)
    for i in range(n):
        word = np.zeros(1 << n, np.uint32)
        for j in range(m + 1):
            word = word << np.uint32(1) | bits[(i + j) % n]
        total += score[i][of(word, m)]
    best = int(total.argmax())
    return np.array([best >> (n - 1 - j) & 1 for j in range(n)], np.uint8)
