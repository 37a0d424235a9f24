"""Bits in bytes, first bit highest, and the two codes for small integers in a stream.

The step code says, for every step, how far its energy is from the expected one and, rarely, that
steps are left out. Write and read stand side by side and mirror each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.errors import BitstreamError

Bits = NDArray[np.uint8]  # one bit an element


class OutOfBits(Exception):
    """The data ends here: normal in a file that was cut."""


class BitWriter:
    """Collects bits; bytes come out at byte boundaries."""

    def __init__(self) -> None:
        self.parts: list[Bits] = []
        self.length = 0  # bits

    def write(self, bits: Bits) -> None:
        """Append bits, an array of 0 and 1."""
        self.parts.append(bits)
        self.length += len(bits)

    def write_number(self, number: int, width: int) -> None:
        """`width` bits of a number, highest first."""
        self.write(np.array([number >> (width - 1 - i) & 1 for i in range(width)], np.uint8))

    def take(self) -> bytes:
        """All bits so far as bytes, the last one filled up with zeros; starts afresh."""
        joined = np.concatenate(self.parts) if self.parts else np.empty(0, np.uint8)
        self.parts, self.length = [], 0
        return np.packbits(joined).tobytes()


class BitReader:
    """Reads bits from a prefix of a stream."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.at = 8 * start  # in bits

    @property
    def left(self) -> int:
        """Bits that are still there."""
        return 8 * len(self.data) - self.at

    def read(self, count: int) -> Bits:
        """The next bits: `count` of them, or as many as are left."""
        count = min(count, self.left)
        first, last = self.at // 8, -(-(self.at + count) // 8)
        bits = np.unpackbits(self.data[first:last])[self.at % 8 :][:count]
        self.at += count
        return bits

    def read_number(self, width: int) -> int:
        """A number of `width` bits, highest first; raises OutOfBits."""
        if self.left < width:
            raise OutOfBits
        return int("".join(map(str, self.read(width))) or "0", 2)

    def align(self) -> int:
        """Skip to the next byte boundary; returns its offset in bytes."""
        self.at = -(-self.at // 8) * 8
        return self.at // 8


# Elias gamma code of a positive integer: as many zeros as bits follow the first one.


def write_gamma(writer: BitWriter, number: int) -> None:
    """Append the Elias gamma code of number >= 1."""
    writer.write_number(number, 2 * number.bit_length() - 1)


def read_gamma(reader: BitReader) -> int:
    """Read an Elias gamma code; raises OutOfBits, or BitstreamError for an absurd number."""
    zeros = 0
    while reader.read_number(1) == 0:
        zeros += 1
        if zeros > 20:
            raise BitstreamError("the file is damaged: a step's code makes no sense")
    return 1 << zeros | reader.read_number(zeros)


# The step code (FORMAT.md): 0 no change, 10s +-1, 110s +-2, 1111 g s more; 1110 g before it: skip.

_SKIP, _MORE = 3, 4


def write_skip(writer: BitWriter, skipped: int) -> None:
    """Append: the next `skipped` >= 1 nodes are left out."""
    writer.write_number(0b1110, 4)
    write_gamma(writer, skipped)


def write_change(writer: BitWriter, change: int) -> None:
    """Append: the energy offset changes by `change` units."""
    ones = min(abs(change), 3)
    if ones < 3:
        writer.write_number((1 << ones) - 1 << 1, ones + 1)
    else:
        writer.write_number(0b1111, 4)
        write_gamma(writer, abs(change) - 2)
    if change:
        writer.write_number(int(change < 0), 1)


def read_skip_or_change(reader: BitReader) -> tuple[int, int | None]:
    """(skipped, None) or (0, change); raises OutOfBits."""
    ones = _leading_ones(reader)
    if ones == _SKIP:
        return read_gamma(reader), None
    size = ones if ones < _SKIP else read_gamma(reader) + 2
    return 0, -size if size and reader.read_number(1) else size


def _leading_ones(reader: BitReader) -> int:
    ones = 0
    while ones < _MORE and reader.read_number(1):
        ones += 1
    return ones
