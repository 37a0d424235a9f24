"""Binary decisions with probabilities of 16 bits: what coder.h does, in Python's integers.

An arithmetic coder of 64 bits without carries. A decoder that runs out of bytes reads zeros; where
the file was cut it knows which bits it only supposes, and `sure` says whether they have mattered
yet.

The same decisions may lie on a stack of bits instead (stack.py): they are recorded, for somebody to
push them in reverse, or popped.
"""

from __future__ import annotations

from typing import Protocol

from diffcodec.bitstream.adaptive.stack import DecisionStack, recorded
from diffcodec.bitstream.types import UInt32

ALL = (1 << 64) - 1


class Decider(Protocol):
    """What makes or takes decisions."""

    decoding: bool

    @property
    def sure(self) -> bool:
        """Whether all decisions so far are those that the encoder made."""
        ...

    def decide(self, probability: int, bit: int) -> int:
        """The decision, which an encoder states; probability: of 1, in 1/65536."""
        ...


class Coder:
    """bytes: what is decoded, or where the code goes; size: how many are there, or the room.

    at: bytes that were read or written; where there is no room they are counted alone.
    """

    def __init__(self, bytes: bytearray, size: int, decoding: bool, cut: bool) -> None:
        self.bytes, self.size, self.decoding, self.cut = bytes, size, decoding, cut
        self.low, self.high = 0, ALL  # both inclusive
        self.code = self.supposed = self.at = 0
        self.sure = True
        if decoding:
            for _ in range(8):
                self._next_byte()

    def decide(self, probability: int, bit: int) -> int:
        """The decision, which an encoder states; probability: of 1, in 1/65536."""
        middle = self.low + ((self.high - self.low) >> 16) * probability
        if self.decoding:
            bit = int(self.code <= middle)
            self.sure &= bit == ((self.code | self.supposed) <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while not (self.low ^ self.high) >> 56:
            if self.decoding:
                self._next_byte()
            else:
                self._put_byte(self.high >> 56)
            self.low = self.low << 8 & ALL
            self.high = (self.high << 8 | 255) & ALL
        return bit

    def end_encoding(self) -> None:
        """The fewest bytes that, with zeros after them, lie inside; no zeros at the end."""
        for count in range(9):
            rest = ALL >> 8 * count
            value = (self.low + rest & ALL) & ~rest
            if self.low <= value <= self.high:
                for byte in value.to_bytes(8, "big")[:count]:
                    self._put_byte(byte)
                break
        while 0 < self.at <= self.size and not self.bytes[self.at - 1]:
            self.at -= 1

    def _next_byte(self) -> None:
        there = self.at < self.size
        self.code = (self.code << 8 & ALL) | (self.bytes[self.at] if there else 0)
        self.supposed = (self.supposed << 8 & ALL) | (0 if there or not self.cut else 255)
        self.at += 1

    def _put_byte(self, byte: int) -> None:
        if self.at < self.size:
            self.bytes[self.at] = byte
        self.at += 1


class Recorder:
    """Keeps decisions. at: how many there were; where there is no room they are counted alone."""

    def __init__(self, record: UInt32) -> None:
        self.record, self.at = record, 0
        self.decoding, self.sure = False, True

    def decide(self, probability: int, bit: int) -> int:
        """As Coder's."""
        if self.at < len(self.record):
            self.record[self.at] = recorded(probability, bit)
        self.at += 1
        return bit


class Popper:
    """Takes decisions from a stack."""

    def __init__(self, stack: DecisionStack) -> None:
        self.stack, self.decoding = stack, True

    @property
    def sure(self) -> bool:
        """Whether the stack had them all."""
        return not self.stack.empty

    def decide(self, probability: int, bit: int) -> int:
        """As Coder's; the bit is nobody's."""
        return self.stack.pop(probability)
