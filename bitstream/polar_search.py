"""The polar encoder's search: successive-cancellation list, as a compiled kernel or in numpy.

The encoder looks for a likely codeword given noisy observations of its symbols, as a decoder of
channel codes does; that compresses (Korada and Urbanke 2010). Successive cancellation (Arikan 2009)
decides one input after the other; the list (Tal and Vardy 2015) keeps the best few decisions so
far. Inputs are taken many at a time where a node of the code leaves no choice, the choice of one
bit, or every choice (simplified decoding, Alamdar-Yazdi and Kschischang 2011).

Above _TOGETHER symbols times paths only the best path goes on, which costs .1 % of the bits and
keeps the list's memory in the cache. Kernel and numpy do the same up to rounding, which may change
bits: only an encoder sees them. DIFFCODEC_PURE=1 forces numpy.
"""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.types import Float32, Float64, Int32, Int64

LISTS = (4, 8, 16, 32, 64, 128)  # sizes that exist
_TOGETHER = 1 << 19
_SURE = np.float32(0.999999)

KERNEL = load_kernel("diffcodec.bitstream._polar")


def search(values: Float32, inputs: Int64, paths: int) -> Bits:
    """Symbols, uint8 (N,), of a codeword that is likely given `values`.

    values: contiguous, (N,), N = 2^k, what is expected of each symbol's sign (-1)^symbol, in
    -1 .. 1; inputs: those that are not 0; paths: one of LISTS. Raises ValueError for another.
    """
    if paths not in LISTS:
        raise ValueError(f"the list has {LISTS} paths, not {paths}")
    before = _before(inputs, values.size)
    k = values.size.bit_length() - 1
    height = min(k, (_TOGETHER // paths).bit_length() - 1)
    if KERNEL is None:
        return _descend(np.clip(values, -_SURE, _SURE), before, paths, height)
    symbols = np.empty(values.size, np.uint8)
    KERNEL.search(values, before, k, paths, height, symbols)
    return symbols


def _before(inputs: Int64, size: int) -> Int32:
    """How many of the inputs come before each of `size` ones, and before the end."""
    count = np.zeros(size + 1, np.int32)
    count[inputs + 1] = 1
    return np.cumsum(count, dtype=np.int32)


def _descend(t: Float32, before: Int32, paths: int, height: int) -> Bits:
    """The symbols of a node: by a list from 2^height symbols on, else half by half."""
    half = t.size // 2
    if before[-1] == before[0]:
        return np.zeros(t.size, np.uint8)
    if t.size <= 1 << height:
        return _List(before, paths).best(t)
    first = _descend(t[:half] * t[half:], before[: half + 1], paths, height)
    second = _descend(_together(t[:half], t[half:], first), before[half:], paths, height)
    return np.concatenate([first ^ second, second])


def _together(a: Float32, b: Float32, x: Bits) -> Float32:
    """Value of a symbol observed twice, with the values (-1)^x a and b."""
    a = np.where(x, -a, a)
    return np.clip((a + b) / (1 + a * b), -_SURE, _SURE)


class _List:
    """Paths through a node; arrays of values and symbols have a row a symbol, a column a path."""

    def __init__(self, before: Int32, paths: int) -> None:
        self.before, self.paths = before, paths
        self.metric = np.zeros(1)  # bits that each path costs more than the best

    def best(self, t: Float32) -> Bits:
        """Symbols of the best path through the whole."""
        x, _ = self._node(t[:, None], 0)
        return x[:, int(self.metric.argmin())]

    def _node(self, t: Float32, at: int) -> tuple[Bits, Int64]:
        """Symbols of the inputs from number `at` on, and which column each path comes from."""
        rows = len(t)
        free = self.before[at + rows] - self.before[at]
        if free == 0:
            self.metric = self.metric + _cost(t)
            return np.zeros(t.shape, np.uint8), np.arange(t.shape[1])
        if free == 1 and self.before[at + rows] > self.before[at + rows - 1]:
            choice, parent = self._fork(_cost(t), _cost(-t))
            return np.repeat(choice[None], rows, axis=0), parent
        if free == rows:
            return self._any(t)
        half = rows // 2
        first, parent = self._node(t[:half] * t[half:], at)
        t = t[:, parent]
        second, then = self._node(_together(t[:half], t[half:], first), at + half)
        return np.concatenate([first[:, then] ^ second, second]), parent[then]

    def _any(self, t: Float32) -> tuple[Bits, Int64]:
        """A node whose symbols are any bits: the likelier ones, then flips of the others."""
        x, parent = (t < 0).astype(np.uint8), np.arange(t.shape[1])
        self.metric = self.metric + _cost(np.abs(t))
        dear = np.log2((1 + np.abs(t)) / (1 - np.abs(t)))
        for j in range(len(t)):
            cost = dear[j, parent]
            full = len(self.metric) == self.paths
            if full and (self.metric + cost).min() >= self.metric.max():
                continue
            flip, origin = self._fork(np.zeros(len(cost)), cost)
            x, parent = x[:, origin], parent[origin]
            x[j] ^= flip
        return x, parent

    def _fork(self, zero: Float64, one: Float64) -> tuple[Bits, Int64]:
        """Every path goes on with 0 and with 1; the best stay. Their choices and parents."""
        both = np.concatenate([self.metric + zero, self.metric + one])
        kept = np.argsort(both, kind="stable")[: self.paths]
        self.metric = both[kept] - both[kept[0]]
        choice, parent = np.divmod(kept, len(zero))
        return choice.astype(np.uint8), parent


def _cost(t: Float32) -> Float64:
    """Bits that zeros cost each path."""
    cost: Float64 = -np.log2(0.5 + 0.5 * t.astype(np.float64)).sum(axis=0)
    return cost
