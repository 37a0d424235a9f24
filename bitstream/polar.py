"""Relative entropy coder: a polar code, its codewords found by a list search.

n bits choose a codeword of signs, +1 or -1, close to the direction of a rotated, Gaussian-looking
target mu of D coordinates; its energy is exactly D. Polar codes reach the ideal as blocks grow, for
channels (Arikan 2009) and for compression (Korada and Urbanke 2010): their loss falls as the fourth
root of the block, where a trellis code has to double its states for ever smaller gains. So long
steps only are coded this way, others by a shorter code.

Two invariants. What the decoder needs is integers: information set, symbols, signs and the cut into
blocks. And every prefix of the bits decodes: of whole blocks all coordinates are known, of a block
of which a part is there some of its last symbols, because its bits come from the last input on.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.polar_search import LISTS, search
from diffcodec.bitstream.polar_set import information, places, start, transform
from diffcodec.bitstream.randomness import Stream, signs
from diffcodec.bitstream.rate import half_log2, scale_for
from diffcodec.bitstream.rotation import rotate, unrotate
from diffcodec.bitstream.types import Float32, Int64

if TYPE_CHECKING:
    from diffcodec.bitstream.step_codes import StepCode

# All of these are part of the format (FORMAT-coder.md), and frozen.
SHORTEST = 2048  # bits of a step from which on this code is better than a trellis
DENSEST, SPARSEST = 4, 256  # coordinates a bit: signs lose below, tables would grow above
BLOCK = 16_384  # bits of a block, about: more lose less, but cut files at coarser places
# What the code loses, in thousandths of the ideal bits, of a block of 1 bit, by the list's size; of
# a longer one it is less by the fourth root of its bits.
_LOSS = {4: 415, 8: 345, 16: 292, 32: 258, 64: 236, 128: 224}


@dataclass(frozen=True)
class Polar:
    """The polar code as a StepCode (step_codes.py), behind the rotation.

    paths: of the encoder's list, one of LISTS; short: codes the steps that are too short, or have
    too few or too many coordinates a bit.
    """

    paths: int
    short: StepCode

    @property
    def name(self) -> str:
        """As users name it."""
        return f"polar:{self.paths}"

    def bits(self, dims: int, energy: int) -> int:
        """Bits of a step of this energy index; the short code's length decides which code it is."""
        n = self.short.bits(dims, energy)
        if not applies(n, dims):
            return n
        least, most = max(SHORTEST, -(-dims // SPARSEST)), dims // DENSEST
        return min(max(bits_for(dims, energy, self.paths), least), most)

    def scale(self, energy: int) -> float:
        """The factor from a codeword to mu plus unit noise."""
        return scale_for(energy)

    def encode(self, mu: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The bits of a codeword close to mu's direction."""
        if not applies(n_bits, mu.size):
            return self.short.encode(mu, n_bits, seed, step, workers)
        return encode(rotate(mu, seed, step), n_bits, self.paths, seed, step, workers)

    def decode(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The codeword, turned back, and how many of its coordinates are known."""
        if not applies(n_bits, dims):
            return self.short.decode(bits, n_bits, dims, seed, step)
        z, received = decode(bits, n_bits, dims, seed, step)
        return unrotate(z, seed, step), received

    def known(self, received: int, n_bits: int, dims: int) -> int:
        """How many coordinates the first `received` bits determine."""
        if not applies(n_bits, dims):
            return self.short.known(received, n_bits, dims)
        return coordinates_known(received, n_bits, dims)


def applies(n_bits: int, dims: int) -> bool:
    """Whether a step of n_bits is coded by the polar code, and not by the short one."""
    return n_bits >= SHORTEST and DENSEST * n_bits <= dims <= SPARSEST * n_bits


def bits_for(dims: int, log2_energy16: int, paths: int) -> int:
    """Bits for a target of sigma^2 = 2^(log2_energy16 / 16) per coordinate, in integers only.

    With the code's loss on top of dims * half_log2, it delivers the ideal information on average.
    """
    one = 1 << 40
    ideal = dims * half_log2(log2_energy16)
    block = ideal // _blocks(ideal // one)
    # The fourth root of the block's bits is root / 2^10.
    root = max(1, math.isqrt(math.isqrt(block)))
    return (ideal + ideal * _LOSS[paths] * 1024 // (1000 * root) + one // 2) // one


@dataclass(frozen=True)
class _Block:
    """Bits first_bit .. end_bit - 1 of a step, coordinates first .. end - 1, and their code."""

    first_bit: int
    end_bit: int
    first: int
    end: int
    k: int  # the code has 2^k symbols
    inputs: Int64  # that carry the bits, in their order

    def known(self, received: int) -> int:
        """Coordinates that the first `received` bits of the block determine."""
        if received == self.end_bit - self.first_bit:
            return self.end - self.first
        return min(self.end - self.first, (1 << self.k) - 1 - int(self.inputs[received]))


def _blocks(n_bits: int) -> int:
    """How many blocks a step is cut into."""
    return max(1, (n_bits + BLOCK // 2) // BLOCK)


def _cut(n_bits: int, dims: int) -> list[_Block]:
    """The blocks of a step, as equal as can be; all take the reliabilities of the longest."""
    count = _blocks(n_bits)
    longest = -(-dims // count)
    k = (longest - 1).bit_length()
    code = k, places(k, (1 << k) - longest), start(n_bits, dims)
    found = []
    for j in range(count):
        a, b = (n_bits * i // count for i in (j, j + 1))
        first, end = (dims * i // count for i in (j, j + 1))
        found.append(_Block(a, b, first, end, k, information(*code, b - a)))
    return found


# --- encoder ------------------------------------------------------------------------------------


def encode(
    target: Float32, n_bits: int, paths: int, seed: int, step: int, workers: int = 1
) -> Bits:
    """The bits, (n_bits,), of a codeword close to the direction of target.

    target: (D,), rotated, of any scale; paths: one of LISTS; workers: threads that share a step of
    more than one block. Raises ValueError for other lists, and where `applies` does not hold.
    """
    _check(n_bits, target.size)
    if paths not in LISTS:
        raise ValueError(f"the list has {LISTS} paths, not {paths}")

    def run(block: _Block) -> Bits:
        sign = signs(seed, Stream.CODEWORD_SIGNS, step, block.end - block.first, block.first)
        v = target[block.first : block.end] * sign
        values = np.zeros(1 << block.k, np.float32)
        values[values.size - v.size :] = _expected(v, block.end_bit - block.first_bit)[::-1]
        return transform(search(values, block.inputs, paths))[block.inputs]

    blocks = _cut(n_bits, target.size)
    if workers == 1 or len(blocks) == 1:
        return np.concatenate([run(block) for block in blocks])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(run, blocks)))


def _expected(v: Float32, n_bits: int) -> Float32:
    """What is expected of the signs that a codeword of the best of 2^n_bits has at v."""
    energy = float(np.square(v, dtype=np.float64).sum())
    if not energy:
        return v
    correlation = 1 - 4.0 ** (-n_bits / v.size)  # squared
    factor = math.sqrt(correlation * v.size / energy) / (1 - correlation)
    expected: Float32 = np.tanh(v * np.float32(factor))
    return expected


# --- decoder ------------------------------------------------------------------------------------


def decode(bits: Bits, n_bits: int, dims: int, seed: int, step: int) -> tuple[Float32, int]:
    """The codeword z, float32 (dims,), of 1 and -1, and how much of it is known.

    bits: the first len(bits) <= n_bits bits of `encode`. The second value is a count: coordinates
    below it are received, the others are 0. Raises ValueError for too many bits, and where
    `applies` does not hold.
    """
    _check(n_bits, dims)
    if len(bits) > n_bits:
        raise ValueError(f"{len(bits)} bits given for a step of {n_bits}")
    z, received = np.zeros(dims, np.float32), 0
    for block in _cut(n_bits, dims):
        own = bits[block.first_bit : block.end_bit]
        known = block.known(len(own))
        if known:
            inputs = np.zeros(1 << block.k, np.uint8)
            inputs[block.inputs[: len(own)]] = own
            sign = signs(seed, Stream.CODEWORD_SIGNS, step, known, block.first)
            symbols = transform(inputs)[: -known - 1 : -1].view(np.int8)
            z[block.first : block.first + known] = sign * (1 - 2 * symbols)
            received = block.first + known
        if len(own) < block.end_bit - block.first_bit:
            break
    return z, received


def coordinates_known(received: int, n_bits: int, dims: int) -> int:
    """How many coordinates `decode` knows after the first `received` of n_bits bits."""
    _check(n_bits, dims)
    for block in _cut(n_bits, dims):
        if received < block.end_bit:
            return block.first + block.known(received - block.first_bit)
    return dims


def _check(n_bits: int, dims: int) -> None:
    if not applies(n_bits, dims):
        raise ValueError(f"the polar code does not code {dims} coordinates in {n_bits} bits")
