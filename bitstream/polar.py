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
from itertools import pairwise

import numpy as np

from diffcodec.bitstream import polar_search
from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.polar_search import LISTS
from diffcodec.bitstream.polar_set import information, places, start, transform
from diffcodec.bitstream.randomness import Stream, signs
from diffcodec.bitstream.rate import half_log2, in_12_bits
from diffcodec.bitstream.rotated import Rotated, inverse_rms
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Float32, Int64

# All of these are part of the format (FORMAT-coder.md), and frozen.
SHORTEST = 2048  # bits of a block from which on this code is no worse than a trellis
DENSEST, SPARSEST = 4, 256  # coordinates a bit: signs lose below, tables would grow above
BLOCK = 16_384  # bits of a block, about: more lose less, but cut files at coarser places
# What the code loses, in thousandths of the ideal bits, of a block of 1 bit, by the list's size; of
# a longer one it is less by the fourth root of its bits.
_LOSS = {4: 415, 8: 345, 16: 292, 32: 258, 64: 236, 128: 224}

_STEEP = 4  # where the encoder takes a sign to be certain


@dataclass(frozen=True)
class Polar(Rotated):
    """The polar code as a StepCode (step_codes.py), behind the rotation.

    paths: of the encoder's list, one of LISTS; short: codes the steps that are too short, or have
    too few or too many coordinates a bit; pieces: blocks of a step at least, because a cut loses
    a part of one. Raises ValueError for another list.
    """

    paths: int
    short: Trellis
    pieces: int

    def __post_init__(self) -> None:
        if self.paths not in LISTS:
            raise ValueError(f"the list has {LISTS} paths, not {self.paths}")

    @property
    def name(self) -> str:
        """As users name it."""
        return f"polar:{self.paths}"

    def bits(self, dims: int, energy: int) -> int:
        """Bits of a step of this energy index; the short code's length decides which code it is."""
        n = self.short.bits(dims, energy)
        if not self.applies(n, dims):
            return n
        least, most = max(self.pieces * SHORTEST, -(-dims // SPARSEST)), dims // DENSEST
        return min(max(self._long_bits(dims, energy), least), most)

    def known(self, received: int, n_bits: int, dims: int) -> int:
        """How many coordinates the first `received` bits determine."""
        if not self.applies(n_bits, dims):
            return self.short.known(received, n_bits, dims)
        if not received:
            return 0  # and no set has to be made
        for block in self._cut(n_bits, dims):
            if received < block.end_bit:
                return block.first + block.known(received - block.first_bit)
        return dims

    def search(self, target: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The inputs' bits; threads share a step of more than one block. See Rotated."""
        if not self.applies(n_bits, target.size):
            return self.short.search(target, n_bits, seed, step, workers)

        def run(block: _Block) -> Bits:
            sign = signs(seed, Stream.CODEWORD_SIGNS, step, block.end - block.first, block.first)
            v = target[block.first : block.end] * sign
            values = np.zeros(1 << block.k, np.float32)
            values[values.size - v.size :] = _expected(v, block.end_bit - block.first_bit)[::-1]
            return transform(polar_search.search(values, block.inputs, self.paths))[block.inputs]

        blocks = self._cut(n_bits, target.size)
        if workers == 1 or len(blocks) == 1:
            return np.concatenate([run(block) for block in blocks])
        with ThreadPoolExecutor(workers) as pool:
            return np.concatenate(list(pool.map(run, blocks)))

    def codeword(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The signs of the symbols. See Rotated."""
        if not self.applies(n_bits, dims):
            return self.short.codeword(bits, n_bits, dims, seed, step)
        if len(bits) > n_bits:
            raise ValueError(f"{len(bits)} bits given for a step of {n_bits}")
        z, received = np.zeros(dims, np.float32), 0
        for block in self._cut(n_bits, dims):
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

    def applies(self, n_bits: int, dims: int) -> bool:
        """Whether a step of n_bits is coded by the polar code, and not by the short one."""
        long = n_bits >= self.pieces * SHORTEST
        return long and DENSEST * n_bits <= dims <= SPARSEST * n_bits

    def _blocks(self, n_bits: int) -> int:
        """How many blocks a step is cut into."""
        return max(self.pieces, (n_bits + BLOCK // 2) // BLOCK)

    def _long_bits(self, dims: int, energy: int) -> int:
        """Bits for a target of sigma^2 = 2^(energy / 16) per coordinate, in integers only.

        With the code's loss on top of the ideal, it delivers the ideal information on average.
        """
        one = 1 << 40
        ideal = dims * half_log2(energy)
        block = ideal // self._blocks(ideal // one)
        # The fourth root of the block's bits is root / 2^10.
        root = max(1, math.isqrt(math.isqrt(block)))
        return (ideal + ideal * _LOSS[self.paths] * 1024 // (1000 * root) + one // 2) // one

    def _cut(self, n_bits: int, dims: int) -> list[_Block]:
        """The blocks of a step, as equal as can be; all take the reliabilities of the longest."""
        count = self._blocks(n_bits)
        longest = -(-dims // count)
        k = (longest - 1).bit_length()
        code = k, places(k, (1 << k) - longest), start(n_bits, dims)
        edges = [(n_bits * j // count, dims * j // count) for j in range(count + 1)]
        return [_Block(a, b, first, end, code) for (a, first), (b, end) in pairwise(edges)]


@dataclass(frozen=True, eq=False)
class _Block:
    """Bits first_bit .. end_bit - 1 of a step, coordinates first .. end - 1, and their code."""

    first_bit: int
    end_bit: int
    first: int
    end: int
    code: tuple[int, int, int]  # k, for 2^k symbols, and what the reliabilities come from

    @property
    def k(self) -> int:
        """The code has 2^k symbols."""
        return self.code[0]

    @property
    def inputs(self) -> Int64:
        """Those that carry the bits, in their order."""
        return information(*self.code, self.end_bit - self.first_bit)

    def known(self, received: int) -> int:
        """Coordinates that the first `received` bits of the block determine."""
        if received == self.end_bit - self.first_bit:
            return self.end - self.first
        return min(self.end - self.first, (1 << self.k) - 1 - int(self.inputs[received]))


def _expected(v: Float32, n_bits: int) -> Float32:
    """What is expected of the signs that a codeword of the best of 2^n_bits has at v, about.

    The same singles on every machine: a fraction in the hyperbolic tangent's place.
    """
    unexplained = 4.0 ** (-n_bits / v.size)
    gain = math.sqrt(1 - unexplained) / unexplained
    x = v * inverse_rms(v) * np.float32(in_12_bits(gain))
    np.clip(x, -np.float32(_STEEP), np.float32(_STEEP), out=x)
    y = x * x
    above = x * (np.float32(10395) + y * (np.float32(1260) + y * np.float32(21)))
    below = np.float32(10395) + y * (np.float32(4725) + y * (np.float32(210) + y))
    expected: Float32 = above / below
    return expected
