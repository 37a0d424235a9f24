"""Codes of a step's message: what a relative entropy coder has to do, and those that files name.

A step sends the receiver mu, which only the sender knows, through unit Gaussian noise: the sender
finds bits from which the receiver makes z = mu + noise. Both know sigma^2, the mean square of mu
(an energy index, rate.py), and share randomness by a seed and the step's number.
"""

from __future__ import annotations

from typing import Protocol

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.butterfly import BUTTERFLY
from diffcodec.bitstream.hashed import HASHED
from diffcodec.bitstream.polar import Polar
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Float32


class StepCode(Protocol):
    """A relative entropy coder of steps of D coordinates, D = dims."""

    @property
    def name(self) -> str:
        """As users name it, unique."""
        ...

    def bits(self, dims: int, energy: int) -> int:
        """How many bits a step of this energy index takes; integers only."""
        ...

    def scale(self, energy: int) -> float:
        """The factor from what `decode` yields to z."""
        ...

    def encode(self, mu: Float32, n_bits: int, seed: int, step: int, workers: int = 1) -> Bits:
        """The message, (n_bits,), for mu (D,), of which only the direction matters.

        workers: threads at most; they do not change a bit.
        """
        ...

    def decode(
        self, bits: Bits, n_bits: int, dims: int, seed: int, step: int
    ) -> tuple[Float32, int]:
        """z over `scale`, (D,), from the first len(bits) <= n_bits bits of a message.

        The second value is how many coordinates, in the code's own order, those bits determine; the
        others are 0 in that order.
        """
        ...

    def known(self, received: int, n_bits: int, dims: int) -> int:
        """How many coordinates the first `received` of n_bits bits determine, without decoding."""
        ...


# By the number that a file's header states in 4 bits. A code that was in a file once stays, and so
# do its lengths.
STEP_CODES: tuple[StepCode, ...] = (
    *(Trellis(nu, labels) for labels in (HASHED, BUTTERFLY) for nu in labels.memories),
    *(Polar(paths, Trellis(16, BUTTERFLY), pieces=8) for paths in (32, 64)),
)
STEP_CODES_OF_VERSION_1 = STEP_CODES[: len(HASHED.memories)]
BY_NAME = {code.name: code for code in STEP_CODES}
