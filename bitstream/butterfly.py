"""The butterfly trellis: labels with a sign, such that both branches out of a state are opposite.

And so are the two into one: of all assignments that were tried, this one lets the most paths
compete. The labels themselves are of +1 and -1, of equal energy and orthogonal in groups, so that
the search needs a fast transform for their scores and a byte for a metric (butterfly_search.py).
FORMAT-coder.md is the specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream import butterfly_search
from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.randomness import UNIT, Stream, signs
from diffcodec.bitstream.rate import half_log2
from diffcodec.bitstream.trellis_labels import (
    COLUMNS,
    Index,
    Words,
    best_of_all,
    branch_words,
    label_table,
    shifts,
)
from diffcodec.bitstream.types import Float32, Int64

LABELS = 256  # without their opposites
EXHAUSTIVE = 16  # up to this many bits all codewords are tried
_MOST_TRIALS, _TRIED = 16, 1024  # places for the seam of a short block; stages that they take
# Part of the format (FORMAT-coder.md), and frozen: who changes a length makes old files unreadable.
# By nu, what the code loses at low rates, in thousandths of the ideal (at h bits a coordinate
# 0.77 + 0.23 / (1 + 4 h) of that), and what a step of no bits would lose besides, in eighths of a
# bit; of that, one bit less for every 48 that a step has. Fitted to what the code delivers, 0.008
# .. 3 bits a coordinate and 32 .. 4096 bits a step.
_LOSS = {8: (108, 11), 10: (80, 16), 12: (64, 20), 14: (53, 24), 16: (44, 26), 18: (37, 29)}


@dataclass(frozen=True)
class Butterfly:
    """Labels (trellis_labels.py) with signs."""

    name: ClassVar[str] = "butterfly"
    memories: ClassVar[tuple[int, ...]] = tuple(_LOSS)

    def bits(self, dims: int, energy: int, nu: int) -> int:
        """Bits for a target of sigma^2 = 2^(energy / 16) per coordinate, in integers only.

        The ideal is dims * h, h = 0.5 log2(1 + sigma^2); with the code's loss on top, it delivers
        the ideal information on average.
        """
        one, h = 1 << 40, half_log2(energy)
        rate, short = _LOSS[nu]
        loss = h * rate * (25 * one + 77 * h) // (25_000 * (one + 4 * h))
        besides = max(0, short * one // 8 - dims * h // 48)
        return (dims * (h + loss) + min(besides, dims * h) + one // 2) // one

    def memory(self, stages: int, nu: int) -> int:
        """State bits, see Labels.

        Overheads of 32, 64 and 96 bits: 14, 7.7 and 5.8 % with 8, 11 and 14 state bits.
        """
        return max(8, min(nu, 6 + stages // 11))

    def of(self, words: Words, m: int) -> Index:
        """The label is made of the bits between the oldest and the newest, as all bits make that of
        the hashed trellis; where those two differ, it is the opposite one."""
        between = words >> np.uint32(1) & np.uint32((1 << (m - 1)) - 1)
        label = (between & np.uint32(255)).astype(np.uint8) + shifts(m)[between >> np.uint32(8)]
        differ = (words >> np.uint32(m) ^ words) & np.uint32(1)
        return np.asarray(label.astype(np.intp) + LABELS * differ.astype(np.intp))

    def levels(self, dims: int, n_bits: int) -> NDArray[np.int16]:
        """All labels and their opposites, (2 LABELS, COLUMNS)."""
        return _levels(order_for(dims, n_bits))

    def best_path(self, v: Float32, edges: Int64, dims: int, n_bits: int, m: int) -> Bits:
        """See Labels. The state at the seam of the ring is guessed. Short blocks try several places
        for the seam, long ones another where a guess was bad."""
        order = order_for(dims, n_bits)
        if order:
            score = butterfly_search.scores(v, edges, masks(order), _levels(order)[:LABELS])
        else:
            score = butterfly_search.gaussian_scores(v, edges, n_bits / dims, label_table())
        n, flat = len(score), score.reshape(len(score), -1)
        if n <= EXHAUSTIVE:
            return best_of_all(flat, self.of, m)
        enough, paths = _TRIED // n, list[Bits]()
        for trial in range(_MOST_TRIALS):
            path, meets = butterfly_search.ring(score, m, trial * n // _MOST_TRIALS)
            paths.append(path)
            if meets and trial + 1 >= enough:
                break
        totals = [flat[np.arange(n), self.of(branch_words(p, m), m)].sum(dtype=int) for p in paths]
        return paths[int(np.argmax(totals))]


BUTTERFLY = Butterfly()


def order_for(dims: int, n_bits: int) -> int:
    """Order of the Hadamard matrix that labels of signs are made of, 16, 8 or 4; 0 for Gaussian
    labels.

    From 4 coordinates a bit on, signs lose less, because all labels have the same energy.
    """
    return next((order for order in (16, 8, 4) if dims >= order * n_bits), 0)


@lru_cache(maxsize=4)
def masks(order: int) -> NDArray[np.int8]:
    """Random signs by column and group of labels, shape (COLUMNS, LABELS // order)."""
    groups = LABELS // order
    return signs(0, Stream.MASKS, order, COLUMNS * groups).reshape(COLUMNS, groups)


@lru_cache(maxsize=4)
def _levels(order: int) -> NDArray[np.int16]:
    """Codeword levels in units of 1/UNIT by label and column, shape (2 LABELS, COLUMNS).

    Label r G + g, G = LABELS / order groups, is row r of the Walsh-Hadamard matrix, repeated, times
    mask g: labels of one group are orthogonal. Order 0: Gaussian levels, as in the hashed trellis.
    """
    table = label_table()
    if order:
        hadamard = np.full((1, 1), UNIT, np.int16)
        while len(hadamard) < order:
            hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
        rows = np.tile(hadamard, COLUMNS // order)[:, None, :]
        table = (rows * masks(order).T).reshape(LABELS, COLUMNS)
    return np.concatenate([table, -table])
