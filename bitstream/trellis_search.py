"""The trellis encoder's search: scores of all labels at every stage, then the best path.

Short blocks are searched exhaustively, all others by Viterbi's algorithm on a ring (viterbi.py).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.randomness import UNIT
from diffcodec.bitstream.trellis_labels import COLUMNS, label_table, shifts
from diffcodec.bitstream.types import Float32, Int64
from diffcodec.bitstream.viterbi import best_ring, labels, lowest_score, score_into

EXHAUSTIVE = 16  # up to this many bits all codewords are tried
CHUNK = 1 << 20  # coordinates gathered at a time


def best_path(v: Float32, edges: Int64, rate: float, nu: int) -> NDArray[np.uint8]:
    """Bits of the best path of a block, one for each stage.

    v: its coordinates, signed and scaled to unit rms; edges: where each stage begins in v, and
    where the last one ends; rate: bits for each coordinate of the step; nu: state bits.
    """
    score = _scores(v, edges, rate, nu)
    if len(score) <= EXHAUSTIVE:
        return _exhaustive(score, nu)
    return best_ring(score, shifts(nu), nu)


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


def _exhaustive(score: NDArray[np.int16], nu: int) -> NDArray[np.uint8]:
    """Bits of the best of all 2^n codewords of a short block."""
    n = len(score)
    total = np.zeros(1 << n, np.int32)
    for i, label in enumerate(_all_labels(n, nu)):
        total += score[i][label]
    best = int(total.argmax())
    return np.array([best >> (n - 1 - j) & 1 for j in range(n)], np.uint8)


@lru_cache(maxsize=4)
def _all_labels(n: int, nu: int) -> NDArray[np.uint8]:
    """Label of every stage for every message of n bits, first bit highest, shape (n, 2^n)."""
    message = np.arange(1 << n, dtype=np.uint32)
    bits = [message >> np.uint32(n - 1 - j) & np.uint32(1) for j in range(n)]
    rows = []
    for i in range(n):
        word = np.zeros(1 << n, np.uint32)
        for j in range(nu + 1):
            word = word << np.uint32(1) | bits[(i + j) % n]
        rows.append(labels(word, shifts(nu)))
    return np.stack(rows)
