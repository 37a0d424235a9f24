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

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.randomness import UNIT, Stream, signs
from diffcodec.bitstream.rate import half_log2, scale_for
from diffcodec.bitstream.rotation import rotate, unrotate
from diffcodec.bitstream.trellis_labels import (
    COLUMNS,
    boundaries,
    branch_words,
    label_table,
    memory,
    segments,
    shifts,
)
from diffcodec.bitstream.trellis_search import CHUNK, best_path
from diffcodec.bitstream.types import Float32
from diffcodec.bitstream.viterbi import labels

MEMORIES = (8, 10, 12, 14, 16)  # state bits nu that exist
# Part of the format (FORMAT-coder.md), and frozen: who changes a length makes old files unreadable.
# What the code loses at low rates, in thousandths of the ideal, by nu; at h bits a coordinate it
# loses 1 / (1 + 0.3 h) of that. And a step loses 1 bit, or the ideal where that is less. Fitted to
# what the code delivers, 0.01 .. 2 bits a coordinate and 8 .. 4096 bits a step.
_LOSS = {8: 163, 10: 109, 12: 85, 14: 69, 16: 58}


@dataclass(frozen=True)
class Trellis:
    """The trellis code as a StepCode (step_codes.py), behind the rotation. nu: state bits."""

    nu: int

    @property
    def name(self) -> str:
        """As users name it."""
        return f"trellis:{self.nu}"

    def bits(self, dims: int, energy: int) -> int:
        """Path bits of a step of this energy index."""
        return bits_for(dims, energy, self.nu)

    def scale(self, energy: int) -> float:
        """The factor from a codeword to mu plus unit noise."""
        return scale_for(energy)

    def encode(self, mu: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The path whose codeword is close to mu's direction."""
        return encode(rotate(mu, seed, step), n_bits, self.nu, seed, step, workers)

    def decode(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The codeword of the path, turned back, and how many of its coordinates are known."""
        z, received = decode(bits, n_bits, dims, self.nu, seed, step)
        return unrotate(z, seed, step), received

    def known(self, received: int, n_bits: int, dims: int) -> int:
        """How many coordinates the first `received` bits determine."""
        return coordinates_known(received, n_bits, dims, self.nu)


def bits_for(dims: int, log2_energy16: int, nu: int) -> int:
    """Bits for a target of sigma^2 = 2^(log2_energy16 / 16) per coordinate, in integers only.

    A frozen part of the format: how many bits an encoder *wants* to spend is a matter of its chain.
    The ideal is dims * h, h = 0.5 log2(1 + sigma^2); with the code's loss on top, it delivers the
    ideal information on average.
    """
    one, h = 1 << 40, half_log2(log2_energy16)
    loss = h * _LOSS[nu] * one // (100 * (10 * one + 3 * h))
    return (dims * (h + loss) + min(one, dims * h) + one // 2) // one


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
        return best_path(v, edges - edges[0], n_bits / target.size, here)

    if workers == 1:
        return np.concatenate([run(s) for s in segments(n_bits)])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(run, segments(n_bits))))


def _pieces(x: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Parts of x and where they begin, so that what is made of them stays small."""
    for at in range(0, x.size, CHUNK):
        yield at, x[at : at + CHUNK]


def _signs(seed: int, step: int, start: int, n: int) -> NDArray[np.int8]:
    return signs(seed, Stream.CODEWORD_SIGNS, step, n, start)


def _inverse_rms(target: NDArray[np.float32]) -> np.float32:
    """1 / rms of target in 12 bits, so that the order of the sum does not show; 0 for zeros."""
    energy = math.fsum(
        float(np.square(part, dtype=np.float64).sum()) for _, part in _pieces(target)
    )
    mantissa, exponent = math.frexp(math.sqrt(energy / target.size))
    return np.float32(math.ldexp(4096 / round(4096 * mantissa), -exponent) if mantissa else 0)


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
    """Stages of a block that its first bits determine."""
    return stages if bits == stages else max(0, bits - memory(stages, nu))


def _codeword(
    label: NDArray[np.uint8], edges: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Levels of the stages' coordinates, some at a time, and where they begin."""
    counts = np.diff(edges)
    longest = int(counts.max())
    repeats = max(1, -(-longest // COLUMNS))
    table, column = label_table()[:, :longest], np.arange(longest)
    at_once = max(1, CHUNK // (repeats * COLUMNS))
    for i in range(0, len(counts), at_once):
        rows = np.tile(table[label[i : i + at_once]], repeats)[:, :longest]
        yield int(edges[i]), rows[column < counts[i : i + at_once, None]]


def _check(nu: int, dims: int, n_bits: int) -> None:
    if nu not in MEMORIES:
        raise ValueError(f"the trellis has {MEMORIES} state bits, not {nu}")
    if dims < 1 or n_bits < 0:
        raise ValueError(f"cannot code {dims} coordinates in {n_bits} bits")
