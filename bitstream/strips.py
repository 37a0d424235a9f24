"""Strips of an image, which the adaptive coder codes one by one, and what stands before them.

A strip has all rows and some 384 columns: enough to learn from, and several of them in a large
image, which are coded in as many threads and damaged one by one. Part of the format (FORMAT.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.bitstream.adaptive import LEVELS
from diffcodec.bitstream.errors import BitstreamError

ADAPTIVE = 253  # in place of a sigma index: strips follow
WIDTH = 384  # columns of a strip, more or less
SMALL = 1 << 16  # sub-pixels up to which an image of one strip has no checksum more than it needs
STATELESS = 4  # added to the level where the strips are coded without the state


def strip_count(width: int) -> int:
    """Strips of an image of so many columns."""
    return max(1, (width + WIDTH // 2) // WIDTH)


def strips(width: int) -> list[slice]:
    """The columns of each strip."""
    count = strip_count(width)
    return [slice(width * i // count, width * (i + 1) // count) for i in range(count)]


def apart(dims: int, count: int) -> bool:
    """Whether each strip of an image of so many sub-pixels has a checksum of its own."""
    return count > 1 or dims > SMALL


@dataclass(frozen=True)
class Coding:
    """How strips are coded: with how much of a model, and whether without the last state."""

    level: int
    stateless: bool

    @property
    def number(self) -> int:
        """The byte that says so."""
        return self.level + STATELESS * self.stateless

    @staticmethod
    def of(number: int) -> Coding:
        """What a byte says; BitstreamError if nothing that is known."""
        stateless, level = divmod(number, STATELESS)
        if stateless > 1 or level >= len(LEVELS):
            raise BitstreamError(
                f"the file's pixels are coded at level {number}, which this diffcodec does not know"
            )
        return Coding(level, bool(stateless))
