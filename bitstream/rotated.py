"""What all step codes share: a rotation before the search, and back after the codeword."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.rate import in_12_bits, scale_for
from diffcodec.bitstream.rotation import rotate, unrotate
from diffcodec.bitstream.types import Float32


class Rotated(ABC):
    """A StepCode (step_codes.py) of rotated targets, whose codewords have unit variance."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As users name it, unique."""

    @abstractmethod
    def search(self, target: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The message, (n_bits,), of a codeword close to target's direction.

        target: float32, shape (D,), rotated, of any scale; workers: threads at most. Raises
        ValueError where a codeword of so many bits does not exist.
        """

    @abstractmethod
    def codeword(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The codeword z, float32 of shape (dims,) with unit variance, and how much of it is known.

        bits: the first len(bits) <= n_bits bits of `search`. The second value is a count:
        coordinates below it are received, the others are 0. Raises ValueError for too many bits.
        """

    def scale(self, energy: int) -> float:
        """The factor from a codeword to mu plus unit noise."""
        return scale_for(energy)

    def encode(self, mu: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The message of a codeword close to mu's direction."""
        return self.search(rotate(mu, seed, step), n_bits, seed, step, workers)

    def decode(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """The codeword, turned back, and how many of its coordinates, in its order, are known."""
        z, received = self.codeword(bits, n_bits, dims, seed, step)
        return unrotate(z, seed, step), received


_PIECE = 1 << 20  # coordinates whose squares are doubles at a time


def inverse_rms(target: Float32) -> np.float32:
    """1 / rms of target, in_12_bits; 0 for zeros."""
    pieces = (target[at : at + _PIECE] for at in range(0, target.size, _PIECE))
    energy = math.fsum(float(np.square(part, dtype=np.float64).sum()) for part in pieces)
    rms = in_12_bits(math.sqrt(energy / target.size))
    return np.float32(1 / rms if rms else 0)
