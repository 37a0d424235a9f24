"""A stack of bits: asymmetric numeral systems (Duda 2009), rANS with LANES interleaved states.

Pushing a symbol of frequency f out of TOTAL adds log2(TOTAL / f) bits to the stack, popping one
takes them off, and popping undoes pushing exactly: the stack is then what it was, bit for bit. That
is what bits-back coding needs (Townsend, Bird and Barber 2019). Symbol i of an array is in lane
i mod LANES; a lane's state lies in [2^32, 2^64) and exchanges 32-bit words with the array that all
lanes share. A compiled kernel and numpy do the same, bit for bit; DIFFCODEC_PURE=1 forces numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import BitReader, BitWriter, OutOfBits
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.gaussian import HINT, PHASES, PRECISION, TOTAL, Table
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.randomness import Stream, words
from diffcodec.bitstream.types import Int32

LANES = 64
_LOW = 32  # bits of a word; states stay at or above 2^32

KERNEL = load_kernel("diffcodec.bitstream._ans")


class StackEmpty(BitstreamError):
    """More was popped than the stack holds: too few initial bits, or a damaged stream."""


class Stack:
    """Words, and on top of them the lanes' states once they are open.

    Bytes can be put on the words at any time; symbols need open lanes.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        self.count = len(self.words)  # of words in use; the array may be longer
        self.states: NDArray[np.uint64] | None = None

    @property
    def bits(self) -> float:
        """What the stack holds: words, and the logarithms of the states."""
        lanes = 0.0 if self.states is None else float(np.log2(self.states).sum())
        return _LOW * self.count + lanes

    def copy(self) -> Stack:
        """A stack of its own with the same content."""
        other = Stack()
        other.words, other.count = self.words[: self.count].copy(), self.count
        other.states = None if self.states is None else self.states.copy()
        return other

    def open(self) -> None:
        """Make the lanes' states from the topmost LANES words; StackEmpty if there are fewer."""
        assert self.states is None
        self.states = np.uint64(1 << _LOW) | self._take(LANES).astype(np.uint64)

    def close_beginning(self) -> None:
        """Undo `open`. Raises BitstreamError unless the states are such as `open` makes."""
        assert self.states is not None
        if (self.states >> np.uint64(_LOW) != 1).any():
            raise BitstreamError("the stack does not end where it began: the stream is damaged")
        self._put(self.states.astype(np.uint32))
        self.states = None

    def pack(self) -> bytes:
        """Everything as bytes: the states' upper halves in as few bits as they need, the words."""
        if self.states is None:
            return self.words[: self.count].astype("<u4").tobytes()
        heads = BitWriter()
        for state in self.states:
            high = int(state) >> _LOW
            heads.write_number(high.bit_length() - 1, 5)
            heads.write_number(high & ~(1 << high.bit_length() - 1), high.bit_length() - 1)
        words = np.concatenate([self.words[: self.count], self.states.astype(np.uint32)])
        return heads.take() + words.astype("<u4").tobytes()

    @staticmethod
    def unpack(data: bytes, lanes_open: bool) -> Stack:
        """The stack that `pack` wrote; raises BitstreamError for what it cannot have written."""
        if not lanes_open:
            return Stack(data)
        reader, high = BitReader(data, 0), np.zeros(LANES, np.uint64)
        try:
            for i in range(LANES):
                length = reader.read_number(5)
                high[i] = 1 << length | reader.read_number(length)
        except OutOfBits:
            raise BitstreamError("the stream is damaged: its stack is cut short") from None
        rest = data[reader.align() :]
        if len(rest) % 4 or len(rest) < 4 * LANES:
            raise BitstreamError("the stream is damaged: its stack has an impossible length")
        stack = Stack(rest)
        stack.states = high << np.uint64(_LOW) | stack._take(LANES).astype(np.uint64)
        return stack

    def put_bytes(self, data: bytes) -> None:
        """Put bytes on top of the words, filled up to whole words with zeros."""
        self._put(np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32))

    def take_bytes(self, length: int) -> bytes:
        """Take `length` bytes off again."""
        return self._take(-(-length // 4)).astype("<u4").tobytes()[:length]

    def push(self, table: Table, mean: NDArray[np.integer], symbol: NDArray[np.integer]) -> None:
        """Push symbols in 0 .. n - 1 with their means (1/PHASES symbol), arrays of one shape."""
        assert self.states is not None and mean.shape == symbol.shape
        symbols = np.ascontiguousarray(symbol, np.int32).reshape(-1)
        assert not symbols.size or (symbols.min() >= 0 and symbols.max() < table.n)
        shift = np.ascontiguousarray(table.shift(mean)).reshape(-1)
        self.reserve(symbols.size)
        if KERNEL is not None:
            self.count = KERNEL.push(
                table.grid, table.n, shift, symbols, self.states, self.words, self.count
            )
            return
        for at in range((max(symbols.size, 1) - 1) // LANES * LANES, -1, -LANES):
            part = slice(at, min(at + LANES, symbols.size))
            self._push_row(table, shift[part], symbols[part])

    def pop(self, table: Table, mean: NDArray[np.integer]) -> Int32:
        """Pop as many symbols as there are means: int32 of their shape. Raises StackEmpty."""
        assert self.states is not None
        shift = np.ascontiguousarray(table.shift(mean)).reshape(-1)
        symbols = np.empty(shift.size, np.int32)
        if KERNEL is not None:
            count = KERNEL.pop(
                table.grid, table.hint, table.n, shift, symbols, self.states, self.words, self.count
            )
            if count < 0:
                raise StackEmpty("the stack is empty: the stream is damaged")
            self.count = count
        else:
            for at in range(0, symbols.size, LANES):
                symbols[at : at + LANES] = self._pop_row(table, shift[at : at + LANES])
        return symbols.reshape(mean.shape)

    def push_uniform(self, value: int, bits: int) -> None:
        """Push one number of so many bits, bits <= 16: in lane 0."""
        assert self.states is not None and 0 <= value < 1 << bits <= 1 << 16
        state = int(self.states[0])
        if state >> 2 * _LOW - bits:
            self._put(np.array([state & 0xFFFFFFFF], np.uint32))
            state >>= _LOW
        self.states[0] = state << bits | value

    def pop_uniform(self, bits: int) -> int:
        """Pop one number of so many bits."""
        assert self.states is not None
        state = int(self.states[0])
        value, state = state & (1 << bits) - 1, state >> bits
        if state < 1 << _LOW:
            state = state << _LOW | int(self._take(1)[0])
        self.states[0] = state
        return value

    def stir(self, n: int) -> None:
        """Exclusive-or the lower halves of the states and the topmost n words with shared bits.

        The same call undoes it. Symbols that are popped next are drawn with their probabilities
        whatever was pushed before: what a model codes badly is not random enough to sample from.
        """
        assert self.states is not None
        n = min(n, self.count)
        random = words(0, Stream.STIRRING, self.count, LANES + -(-n // 2))
        self.states ^= random[:LANES] & np.uint64(0xFFFFFFFF)
        self.words[self.count - n : self.count] ^= random[LANES:].astype("<u8").view("<u4")[:n]

    # --- words ---

    def reserve(self, more: int) -> None:
        """Make room for so many words more."""
        if len(self.words) < self.count + more:
            room = np.empty(self.count + more + len(self.words) // 2, np.uint32)
            room[: self.count] = self.words[: self.count]
            self.words = room

    def _put(self, words: NDArray[np.uint32]) -> None:
        self.reserve(len(words))
        self.words[self.count : self.count + len(words)] = words
        self.count += len(words)

    def _take(self, n: int) -> NDArray[np.uint32]:
        if n > self.count:
            raise StackEmpty("the stack is empty: the stream is damaged")
        self.count -= n
        return self.words[self.count : self.count + n].copy()

    # --- one symbol for each of the first lanes, in numpy ---

    def _push_row(self, table: Table, shift: Int32, symbol: Int32) -> None:
        assert self.states is not None
        state = self.states[: len(symbol)]
        low = table.lower(shift, symbol)
        freq = table.lower(shift, symbol + np.int32(1)) - low
        full = state >> np.uint64(2 * _LOW - PRECISION) >= freq
        self._put(state[full].astype(np.uint32)[::-1])  # the last lane is pushed first
        state = np.where(full, state >> np.uint64(_LOW), state)
        quotient = state // freq
        self.states[: len(symbol)] = (
            (quotient << np.uint64(PRECISION)) + (state - quotient * freq) + low
        )

    def _pop_row(self, table: Table, shift: Int32) -> Int32:
        assert self.states is not None
        state = self.states[: len(shift)]
        slot = state & np.uint64(TOTAL - 1)
        symbol = _search(table, shift, slot)
        low = table.lower(shift, symbol)
        freq = table.lower(shift, symbol + np.int32(1)) - low
        state = freq * (state >> np.uint64(PRECISION)) + slot - low
        short = state < np.uint64(1 << _LOW)
        words = self._take(int(short.sum()))[::-1]
        state[short] = state[short] << np.uint64(_LOW) | words
        self.states[: len(shift)] = state
        return symbol


def _search(table: Table, shift: Int32, slot: NDArray[np.uint64]) -> Int32:
    """The symbols with C(symbol) <= slot < C(symbol + 1)."""
    near = table.hint[slot >> np.uint64(PRECISION - HINT)]
    symbol: Int32 = np.clip((near - shift) // PHASES, 0, table.n - 1).astype(np.int32)
    while (down := table.lower(shift, symbol) > slot).any():
        symbol[down] -= 1
    while (up := table.lower(shift, symbol + np.int32(1)) <= slot).any():
        symbol[up] += 1
    return symbol
