"""What both sides know of the steps of a file before their messages: nodes, energies, lengths.

FORMAT.md, section 3, is the specification. Everything here is integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.step_codes import StepCode

ENERGY = (-400, 160)  # range of energy indices: sigma^2 = 2^(index / 16)
FEWEST_BITS = 32  # of a step: each takes a call of the network, whatever the image's size


@dataclass(frozen=True)
class Plan:
    """What both sides know before the first payload byte.

    code: of the steps' messages. nodes: number of noise levels K, numbered 0 .. K - 1 from noisy to
    clean; state -1 knows nothing. expected(start, end): energy index of that step for an ordinary
    image. strips: of the adaptive coder; 0 where the file's version has none. sample_bytes: that a
    stored sample takes. promised: exact pixels given a state begin with its checksum.
    """

    dims: int
    code: StepCode
    nodes: int
    expected: Callable[[int, int], int]
    strips: int = 0
    sample_bytes: int = 1
    promised: bool = False

    @property
    def unit(self) -> int:
        """Energy is stated in units of unit/16 octave: coarser for small images."""
        octaves = max(0, (self.dims // 3072).bit_length() - 1) // 2  # 4 x the size, 1/2 the unit
        return max(1, 4 >> octaves)

    def energy(self, start: int, end: int, offset: int) -> int:
        """Energy index from the offset to the expected one, in units."""
        return self.expected(start, end) + self.unit * offset

    def head(self, start: int, end: int, offset: int) -> StepHead:
        """The step from one node to another whose energy lies so many units from expected."""
        energy = self.energy(start, end, offset)
        return StepHead(start, end, offset, energy, self.code.bits(self.dims, energy))

    def closest(self, start: int, end: int, energy: float) -> StepHead:
        """The step whose energy index comes closest to a real number, inside the range."""
        expected = self.expected(start, end)
        low, high = (-(-(ENERGY[0] - expected) // self.unit), (ENERGY[1] - expected) // self.unit)
        return self.head(start, end, min(max(round((energy - expected) / self.unit), low), high))


@dataclass(frozen=True)
class StepHead:
    """What both sides know of a step before its message.

    start, end: nodes; offset: of the energy from the expected one, in units; energy: its index;
    n_bits: of the message.
    """

    start: int
    end: int
    offset: int
    energy: int
    n_bits: int

    def with_bits(self, bits: Bits, bytes_end: int = 0) -> Step:
        """The step with its message, or the beginning of it."""
        return Step(**vars(self), bits=bits, bytes_end=bytes_end)


@dataclass(frozen=True)
class Step(StepHead):
    """One step of the chain, as it stands in the file (or its beginning, in a cut file)."""

    bits: Bits  # shorter than n_bits where the file was cut
    bytes_end: int  # payload bytes up to the end of this step

    @property
    def complete(self) -> bool:
        """All bits are here."""
        return len(self.bits) == self.n_bits
