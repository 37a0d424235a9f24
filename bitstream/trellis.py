"""Relative entropy coder: a tail-biting trellis code whose path bits are the message, raw.

The encoder finds, among 2^n codewords that both ends know, one close to the direction of a
rotated, Gaussian-looking target mu of D coordinates (Viterbi search); the decoder turns the n bits
into that codeword z, |z|^2 ~ D, which acts like mu plus Gaussian noise. It is a random trellis
source code (Viterbi and Omura 1974) on a shift register with hashed labels, closed to a ring as in
QTIP (Tseng et al. 2024). Its overhead over the ideal 0.5 log2(1 + sigma^2) bits a coordinate is in
eval/results/coder.json.

Two invariants. What the decoder needs is integers: levels, labels, signs and the division of
coordinates among stages. And every prefix of the bits decodes: after k of n bits the first k - nu
stages of the block are known, after n all of them.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, signs, words
from diffcodec.bitstream.viterbi import best_ring, labels, lowest_score, score_into

MEMORIES = (8, 10, 12, 14, 16)  # state bits nu that exist
COLUMNS = 256  # of the label table; a stage with more coordinates repeats them
SEGMENT = 4096  # most stages of one trellis, which bounds memory and lets threads share a step
EXHAUSTIVE = 16  # up to this many bits all codewords are tried
_CHUNK = 1 << 20  # coordinates gathered at a time


# --- what both sides know -----------------------------------------------------------------------


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


# --- encoder ------------------------------------------------------------------------------------


def encode(
    target: NDArray[np.float32], n_bits: int, nu: int, seed: int, step: int, workers: int = 1
) -> NDArray[np.uint8]:
    """The n_bits path bits (0 or 1, shape (n_bits,)) of a codeword close to target's direction.

    target: float32, shape (D,), rotated, of any scale; nu: state bits, one of MEMORIES;
    workers: threads that share a step of more than one segment. Raises ValueError for another nu.
    """
    _check(nu, target.size, n_bits)
    if n_bits == 0:
        return np.empty(0, np.uint8)
    scale = _inverse_rms(target)

    def run(segment: tuple[int, int]) -> NDArray[np.uint8]:
        here = memory(segment[1] - segment[0], nu)
        edges = boundaries(target.size, n_bits, *segment)
        v = target[edges[0] : edges[-1]].copy()
        for at, part in _pieces(v):
            part *= _signs(seed, step, int(edges[0]) + at, part.size) * scale
        score = _scores(v, edges - edges[0], n_bits / target.size, here)
        if len(score) <= EXHAUSTIVE:
            return _exhaustive(score, here)
        return best_ring(score, shifts(here), here)

    if workers == 1:
        return np.concatenate([run(s) for s in segments(n_bits)])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(run, segments(n_bits))))


def _pieces(x: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Parts of x and where they begin, so that what is made of them stays small."""
    for at in range(0, x.size, _CHUNK):
        yield at, x[at : at + _CHUNK]


def _signs(seed: int, step: int, start: int, n: int) -> NDArray[np.int8]:
    return signs(seed, Stream.CODEWORD_SIGNS, step, n, start)


def _inverse_rms(target: NDArray[np.float32]) -> np.float32:
    """1 / rms of target in 12 bits, so that the order of the sum does not show; 0 for zeros."""
    energy = math.fsum(
        float(np.square(part, dtype=np.float64).sum()) for _, part in _pieces(target)
    )
    mantissa, exponent = math.frexp(math.sqrt(energy / target.size))
    return np.float32(math.ldexp(4096 / round(4096 * mantissa), -exponent) if mantissa else 0)


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
    at_once = max(1, _CHUNK // width)
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


# --- decoder ------------------------------------------------------------------------------------


def decode(
    bits: NDArray[np.uint8], n_bits: int, dims: int, nu: int, seed: int, step: int
) -> tuple[NDArray[np.float32], int]:
    """The codeword z, float32 of shape (dims,) with unit variance, and how much of it is known.

    bits: the first len(bits) <= n_bits bits of `encode`. The second value is a count: coordinates
    below it are received, the others are 0. Raises ValueError for too many bits or another nu.
    """
    _check(nu, dims, n_bits)
    if len(bits) > n_bits:
        raise ValueError(f"{len(bits)} bits given for a step of {n_bits}")
    z, received = np.zeros(dims, np.float32), 0
    for a, b in segments(n_bits) if n_bits else []:
        own, here = bits[a:b], memory(b - a, nu)
        known = _known(len(own), b - a, nu)
        if known == 0:
            break
        word = branch_words(own, here)[:known]
        edges = boundaries(dims, n_bits, a, a + known)
        received = int(edges[-1])
        for at, part in _codeword(labels(word, shifts(here)), edges):
            sign = _signs(seed, step, at, part.size)
            z[at : at + part.size] = (part * sign) * np.float32(1 / UNIT)
    return z, received


def coordinates_known(bits: int, n_bits: int, dims: int, nu: int) -> int:
    """How many coordinates `decode` knows after the first `bits` of n_bits bits."""
    if not n_bits:
        return 0
    stages = sum(_known(min(b, bits) - a, b - a, nu) for a, b in segments(n_bits) if a < bits)
    return stages * dims // n_bits


def _known(bits: int, stages: int, nu: int) -> int:
    """Stages of a block that its first bits tell."""
    return stages if bits == stages else max(0, bits - memory(stages, nu))


def _codeword(
    label: NDArray[np.uint8], edges: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Levels of the stages' coordinates, some at a time, and where they begin."""
    counts = np.diff(edges)
    longest = int(counts.max())
    repeats = max(1, -(-longest // COLUMNS))
    table, column = label_table()[:, :longest], np.arange(longest)
    at_once = max(1, _CHUNK // (repeats * COLUMNS))
    for i in range(0, len(counts), at_once):
        rows = np.tile(table[label[i : i + at_once]], repeats)[:, :longest]
        yield int(edges[i]), rows[column < counts[i : i + at_once, None]]


def _check(nu: int, dims: int, n_bits: int) -> None:
    if nu not in MEMORIES:
        raise ValueError(f"the trellis has {MEMORIES} state bits, not {nu}")
    if dims < 1 or n_bits < 0:
        raise ValueError(f"cannot code {dims} coordinates in {n_bits} bits")
