"""The polar encoder's search: successive-cancellation list, as a compiled kernel or in numpy.

The encoder looks for a likely codeword given noisy observations of its symbols, as a decoder of
channel codes does; that compresses (Korada and Urbanke 2010). Successive cancellation (Arikan 2009)
decides one input after the other; the list (Tal and Vardy 2015) keeps the best few decisions so
far. Inputs are taken many at a time where a node of the code leaves no choice, the choice of one
bit, or every choice (simplified decoding, Alamdar-Yazdi and Kschischang 2011).

Above _TOGETHER symbols times paths only the best path goes on, which costs .1 % of the bits and
keeps the list's memory in the cache. Kernel and numpy find the same bits, for they do the same
additions, products and divisions of singles in the same order. DIFFCODEC_PURE=1 forces numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.types import Float32, Int32, Int64

LISTS = (4, 8, 16, 32, 64, 128)  # sizes that exist
_TOGETHER = 1 << 19
# As in polar.c: the largest value, the cost of a path that is not there, and how many probabilities
# are multiplied before a logarithm is taken.
_SURE, _NEVER, _PRODUCT = np.float32(0.999999), np.float32(1e30), 4
_HALF, _ONE = np.float32(0.5), np.float32(1)

KERNEL = load_kernel("diffcodec.bitstream._polar")


def search(values: Float32, inputs: Int64, paths: int) -> Bits:
    """Symbols, uint8 (N,), of a codeword that is likely given `values`.

    values: contiguous, (N,), N = 2^k, what is expected of each symbol's sign (-1)^symbol, in
    -1 .. 1; inputs: those that carry bits, the last first; paths: one of LISTS.
    """
    before = _before(inputs, values.size)
    k = values.size.bit_length() - 1
    height = min(k, (_TOGETHER // paths).bit_length() - 1)
    if KERNEL is None:
        return _descend(_bounded(values), before, paths, height)
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


class _List:
    """Paths through a node, each in a lane; values and symbols have a row a symbol, a column a
    lane, and values that all paths share have no columns."""

    def __init__(self, before: Int32, paths: int) -> None:
        self.before, self.lanes = before, np.arange(paths)
        self.metric = np.where(self.lanes == 0, np.float32(0), _NEVER)  # bits beyond the best

    def best(self, t: Float32) -> Bits:
        """Symbols of the best path through the whole."""
        x, _ = self._node(t, 0)
        return x[:, int(self.metric.argmin())]

    def _node(self, t: Float32, at: int) -> tuple[Bits, Int64]:
        """Symbols of the inputs from number `at` on, and which lane each path comes from."""
        rows, shared = len(t), t.ndim == 1
        free = self.before[at + rows] - self.before[at]
        if free == 0:  # where values are shared, so is what zeros cost
            if not shared:
                self.metric = self.metric + _cost(t)
            return np.zeros((rows, self.lanes.size), np.uint8), self.lanes
        repeated = free == 1 and self.before[at + rows] > self.before[at + rows - 1]
        if not repeated and free < rows:
            return self._halves(t, at)
        if shared:
            t = np.repeat(t[:, None], self.lanes.size, axis=1)
        if not repeated:
            return self._any(t)
        zero = _cost(t)
        self.metric = self.metric + zero
        parent, choice = self._fork(_cost(-t) - zero)
        return np.repeat(choice[None], rows, axis=0), parent

    def _halves(self, t: Float32, at: int) -> tuple[Bits, Int64]:
        """A node by its halves."""
        half, shared = len(t) // 2, t.ndim == 1
        if shared and self.before[at + half] == self.before[at]:
            first, parent = np.zeros((half, self.lanes.size), np.uint8), self.lanes
            t = _together(t[:half], t[half:], first[:, 0])
        else:
            first, parent = self._node(t[:half] * t[half:], at)
            t = t[:, None] if shared else t[:, parent]
            t = _together(t[:half], t[half:], first)
        second, then = self._node(t, at + half)
        return np.concatenate([first[:, then] ^ second, second]), parent[then]

    def _any(self, t: Float32) -> tuple[Bits, Int64]:
        """A node whose symbols are any bits: the likelier ones, then flips of the others."""
        x, parent = (t < 0).astype(np.uint8), self.lanes
        size: Float32 = np.abs(t)
        self.metric = self.metric + _cost(size)
        dear = _log2((_ONE + size) / (_ONE - size))
        for j in range(len(t)):
            cost = dear[j, parent]
            if (self.metric + cost).min() < self.metric.max():
                origin, flip = self._fork(cost)
                x, parent = x[:, origin], parent[origin]
                x[j] ^= flip
        return x, parent

    def _fork(self, cost: Float32) -> tuple[Int64, Bits]:
        """Every path goes on with a choice 0, which is free, and 1, which costs; the best survive.

        Those stay in their lane, second ones of a parent take lanes of the dead. Returns the lanes
        that paths come from, and their choices.
        """
        n = self.lanes.size
        both = np.concatenate([self.metric, self.metric + cost])
        below = (both[None, :] < both[:, None]).sum(axis=1)
        lives = (below < n) & (both <= _NEVER / 2)
        parent, choice = self.lanes.copy(), (~lives[:n]).astype(np.uint8)
        metric = np.where(choice, both[n:], both[:n])
        empty = np.flatnonzero(~lives[:n] & ~lives[n:]).tolist()
        for k in np.flatnonzero(lives[:n] & lives[n:]).tolist():
            if empty:
                lane = empty.pop()
                parent[lane], choice[lane], metric[lane] = k, 1, both[n + k]
        metric[empty] = _NEVER
        self.metric = np.where(metric > _NEVER / 2, _NEVER, metric - metric.min())
        return parent, choice


# --- singles, one operation after the other -------------------------------------------------------


def _bounded(t: Float32) -> Float32:
    return np.clip(t, -_SURE, _SURE)


def _together(a: Float32, b: Float32, x: Bits) -> Float32:
    """Value of a symbol observed twice, with the values (-1)^x a and b."""
    a = np.where(x, -a, a)
    return _bounded((a + b) / (_ONE + a * b))


def _cost(t: Float32) -> Float32:
    """Bits that zeros cost each path."""
    p = _HALF + _HALF * t
    groups = p.reshape(-1, min(_PRODUCT, len(t)), t.shape[1])
    product = groups[:, 0]
    for i in range(1, groups.shape[1]):
        product = product * groups[:, i]
    cost: Float32 = np.cumsum(-_log2(product), axis=0, dtype=np.float32)[-1]
    return cost


def _log2(x: Float32) -> Float32:
    """log2(x) up to 1e-5, x > 0 and not subnormal."""
    bits = np.ascontiguousarray(x).view(np.int32)
    exponent = ((bits >> 23) - 127).astype(np.float32)
    m: Float32 = ((bits & 0x7FFFFF) | 0x3F800000).view(np.float32) - _ONE
    a, b, c, d, e, f = _SERIES
    series = b + m * (m * (a - m * c) - d)
    found: Float32 = exponent + m * (e + m * (m * series - f))
    return found


_SERIES: NDArray[np.float32] = np.array(
    [0.12177599, 0.45754919, 0.02582062, 0.27790423, 1.44254494, 0.71814525], np.float32
)
