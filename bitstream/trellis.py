"""Relative entropy coder: a tail-biting trellis code whose path bits are the message, raw.

The encoder finds, among 2^n codewords that both ends know, one close to the direction of a
rotated, Gaussian-looking target mu of D coordinates (Viterbi search); the decoder turns the n bits
into that codeword z, |z|^2 ~ D, which acts like mu plus Gaussian noise. It is a random trellis
source code (Viterbi and Omura 1974) on a shift register, closed to a ring as in QTIP (Tseng et al.
2024), with hashed or with butterfly labels. Its overhead over the ideal 0.5 log2(1 + sigma^2) bits
a coordinate is in eval/results/coder.json.

Two invariants. What the decoder needs is integers: levels, labels, signs and the division of
coordinates among stages. And every prefix of the bits decodes: after k of n bits the first k - nu
stages of the block are known, after n all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.hashed import HASHED
from diffcodec.bitstream.randomness import UNIT, Stream, signs
from diffcodec.bitstream.rotated import Rotated, inverse_rms
from diffcodec.bitstream.trellis_labels import (
    CHUNK,
    COLUMNS,
    Index,
    Labels,
    boundaries,
    branch_words,
    segments,
)
from diffcodec.bitstream.types import Float32, Int64


@dataclass(frozen=True)
class Trellis(Rotated):
    """A trellis code as a StepCode (step_codes.py), behind the rotation. nu: state bits.

    Raises ValueError if the labels do not have so many.
    """

    nu: int
    labels: Labels = HASHED

    def __post_init__(self) -> None:
        if self.nu not in self.labels.memories:
            raise ValueError(f"the trellis has {self.labels.memories} state bits, not {self.nu}")

    @property
    def name(self) -> str:
        """As users name it."""
        return f"{self.labels.name}:{self.nu}"

    def bits(self, dims: int, energy: int) -> int:
        """Path bits of a step of this energy index."""
        return self.labels.bits(dims, energy, self.nu)

    def known(self, received: int, n_bits: int, dims: int) -> int:
        """How many coordinates the first `received` bits determine."""
        if not n_bits:
            return 0
        parts = [(a, b) for a, b in segments(n_bits) if a < received]
        return sum(self._known(min(b, received) - a, b - a) for a, b in parts) * dims // n_bits

    def search(self, target: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The path's bits; threads share a step of more than one segment. See Rotated."""
        _check(target.size, n_bits)
        if n_bits == 0:
            return np.empty(0, np.uint8)
        scale = inverse_rms(target)

        def run(segment: tuple[int, int]) -> Bits:
            edges = boundaries(target.size, n_bits, *segment)
            v = target[edges[0] : edges[-1]].copy()
            for at, part in _pieces(v):
                part *= _signs(seed, step, int(edges[0]) + at, part.size) * scale
            m = self.labels.memory(segment[1] - segment[0], self.nu)
            return self.labels.best_path(v, edges - edges[0], target.size, n_bits, m)

        if workers == 1:
            return np.concatenate([run(s) for s in segments(n_bits)])
        with ThreadPoolExecutor(workers) as pool:
            return np.concatenate(list(pool.map(run, segments(n_bits))))

    def codeword(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The levels that the path goes by. See Rotated."""
        _check(dims, n_bits)
        if len(bits) > n_bits:
            raise ValueError(f"{len(bits)} bits given for a step of {n_bits}")
        z, received = np.zeros(dims, np.float32), 0
        for a, b in segments(n_bits) if n_bits else []:
            own, m = bits[a:b], self.labels.memory(b - a, self.nu)
            known = self._known(len(own), b - a)
            if known == 0:
                break
            label = self.labels.of(branch_words(own, m)[:known], m)
            edges = boundaries(dims, n_bits, a, a + known)
            received = int(edges[-1])
            for at, part in _levels(self.labels.levels(dims, n_bits), label, edges):
                sign = _signs(seed, step, at, part.size)
                z[at : at + part.size] = (part * sign) * np.float32(1 / UNIT)
        return z, received

    def _known(self, bits: int, stages: int) -> int:
        """Stages of a block that its first bits determine."""
        return stages if bits == stages else max(0, bits - self.labels.memory(stages, self.nu))


def _pieces(x: Float32) -> Iterator[tuple[int, Float32]]:
    """Parts of x and where they begin, so that what is made of them stays small."""
    for at in range(0, x.size, CHUNK):
        yield at, x[at : at + CHUNK]


def _signs(seed: int, step: int, start: int, n: int) -> NDArray[np.int8]:
    return signs(seed, Stream.CODEWORD_SIGNS, step, n, start)


def _levels(
    table: NDArray[np.int16], label: Index, edges: Int64
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Levels of the stages' coordinates, some at a time, and where they begin."""
    counts = np.diff(edges)
    longest = int(counts.max())
    repeats = max(1, -(-longest // COLUMNS))
    table, column = table[:, :longest], np.arange(longest)
    at_once = max(1, CHUNK // (repeats * COLUMNS))
    for i in range(0, len(counts), at_once):
        rows = np.tile(table[label[i : i + at_once]], repeats)[:, :longest]
        yield int(edges[i]), rows[column < counts[i : i + at_once, None]]


def _check(dims: int, n_bits: int) -> None:
    if dims < 1 or n_bits < 0:
        raise ValueError(f"cannot code {dims} coordinates in {n_bits} bits")
