"""The hashed trellis, the first of the step codes: random Gaussian labels, and its search.

A branch word's label is its low byte plus a shift that hashes the bits above. Scores of all labels
are computed at every stage, then the best path is found by Viterbi's algorithm on a ring
(viterbi.py), or among all messages where a block is short. FORMAT-coder.md is the specification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.randomness import UNIT
from diffcodec.bitstream.rate import half_log2
from diffcodec.bitstream.trellis_labels import (
    CHUNK,
    COLUMNS,
    Index,
    Words,
    best_of_all,
    label_table,
    shifts,
)
from diffcodec.bitstream.types import Float32, Int64
from diffcodec.bitstream.viterbi import best_ring, labels, lowest_score, score_into

EXHAUSTIVE = 16  # up to this many bits all codewords are tried
# Part of the format (FORMAT-coder.md), and frozen: who changes a length makes old files unreadable.
# What the code loses at low rates, in thousandths of the ideal, by nu; at h bits a coordinate it
# loses 1 / (1 + 0.3 h) of that. And a step loses 1 bit, or the ideal where that is less. Fitted to
# what the code delivers, 0.01 .. 2 bits a coordinate and 8 .. 4096 bits a step.
_LOSS = {8: 163, 10: 109, 12: 85, 14: 69, 16: 58}


@dataclass(frozen=True)
class Hashed:
    """Labels (trellis_labels.py) of version 1 of the format."""

    name: ClassVar[str] = "trellis"
    memories: ClassVar[tuple[int, ...]] = tuple(_LOSS)

    def bits(self, dims: int, energy: int, nu: int) -> int:
        """Bits for a target of sigma^2 = 2^(energy / 16) per coordinate, in integers only.

        The ideal is dims * h, h = 0.5 log2(1 + sigma^2); with the code's loss on top, it delivers
        the ideal information on average.
        """
        one, h = 1 << 40, half_log2(energy)
        loss = h * _LOSS[nu] * one // (100 * (10 * one + 3 * h))
        return (dims * (h + loss) + min(one, dims * h) + one // 2) // one

    def memory(self, stages: int, nu: int) -> int:
        """State bits, see Labels.

        Overheads of 32 and 64 bits: 12.8 and 9.3 % with 12 state bits, 13.6 and 7.7 % with 14.
        """
        return min(nu, 8 + stages // 10)

    def of(self, words: Words, m: int) -> Index:
        """The low byte plus the shift, modulo 256."""
        return labels(words, shifts(m)).astype(np.intp)

    def levels(self, dims: int, n_bits: int) -> NDArray[np.int16]:
        """Of all steps alike, (256, COLUMNS)."""
        return label_table()

    def best_path(self, v: Float32, edges: Int64, dims: int, n_bits: int, m: int) -> Bits:
        """See Labels."""
        score = _scores(v, edges, n_bits / dims, m)
        if len(score) <= EXHAUSTIVE:
            return best_of_all(score, self.of, m)
        return best_ring(score, shifts(m), m)


HASHED = Hashed()


def _scores(
    v: NDArray[np.float32], edges: NDArray[np.int64], rate: float, nu: int
) -> NDArray[np.int16]:
    """Score of every label at some stages, shape (stages, 256), in lowest_score(nu) .. 0.

    v: their coordinates; edges: where each stage begins in v, and where the last one ends; rate:
    bits for each coordinate of the step.

    <c, v> - (pen / 2) |c|^2 with the energy penalty pen = sqrt(1 - 2^(-2 rate)) of the codeword
    that is best at this rate. v is rounded to 1/32, the levels to 1/64, so that the products are
    exact in float32 however a machine orders the sum.
    """
    folded, repeats = _fold(v, edges)
    levels = np.rint(label_table().T[: folded.shape[1]] * np.float32(64 / UNIT))
    pen = round(256 * math.sqrt(1 - 2.0 ** (-2 * rate))) / 256
    counts, kind = np.unique(np.diff(edges), return_inverse=True)
    whole, part = np.divmod(counts, COLUMNS)
    energy = whole[:, None] * _energies()[-1] + _energies()[part]
    bias = -np.rint(energy * (pen * 1024 / (UNIT * UNIT * math.sqrt(repeats))))
    # A column per length of stage, 1 in the stages of that length, adds the penalty.
    rows = np.concatenate([folded, np.eye(len(counts), dtype=np.float32)[kind]], axis=1)
    matrix = np.concatenate([levels, bias]).astype(np.float32)
    # The range of the int16 scores holds 7 standard deviations of the product.
    spread = 2048 * math.sqrt(max(1, int(counts.max())) / repeats)
    down = max(0, math.ceil(math.log2(7 * spread / -lowest_score(nu))))
    scores = np.empty((len(rows), 256), np.int16)
    for i in range(0, len(rows), 64):  # few enough that the products stay in the cache
        score_into(scores[i : i + 64], rows[i : i + 64] @ matrix, down, nu)
    return scores


@lru_cache(maxsize=1)
def _energies() -> NDArray[np.int64]:
    """Energy of each label's first j columns, in units of 1/UNIT^2, shape (COLUMNS + 1, 256)."""
    energy = np.cumsum(np.square(label_table().T.astype(np.int64)), axis=0)
    return np.concatenate([np.zeros((1, 256), np.int64), energy])


def _fold(v: NDArray[np.float32], edges: NDArray[np.int64]) -> tuple[NDArray[np.float32], int]:
    """Stage coordinates added up by table column, as integers: shape (stages, columns in use).

    In units of sqrt(repeats) / 32, repeats being how often the longest stage repeats a column.
    """
    counts = np.diff(edges)
    repeats = max(1, -(-int(counts.max()) // COLUMNS))
    columns = COLUMNS if repeats > 1 else max(1, int(counts.max()))
    width = repeats * columns
    folded = np.empty((len(counts), columns), np.float32)
    at_once = max(1, CHUNK // width)
    for i in range(0, len(counts), at_once):
        count = counts[i : i + at_once, None]
        inside = np.arange(width) < count
        wide = np.zeros(inside.shape, np.float32)
        wide[inside] = v[edges[i] : edges[i + len(count)]]
        folded[i : i + len(count)] = wide.reshape(-1, repeats, columns).sum(axis=1)
    folded *= np.float32(32 / math.sqrt(repeats))
    return np.clip(np.rint(folded), -127, 127), repeats
