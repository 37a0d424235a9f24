"""Rows of an integer network's streams, stripe by stripe: how far each one goes, what stays.

A large image is evaluated in stripes. In each, every layer proceeds as far as the next rows of the
output ask for, so a layer that lies deeper is ahead by what the layers after it reach. Of a stream
only those rows are kept that a layer still reads: memory grows with the width of the image, not
with its height, and no row is computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Int32
from diffcodec.exact.packed import Packed, Shape

Rows = list[int]  # one number for every stream


@dataclass(frozen=True)
class Reach:
    """Which rows of its sources a layer reads, kernel, stride and upsampling given."""

    edge: int  # rows above
    after: int  # and below
    stride: int
    grown: int  # 2 where each row becomes two
    window: int  # rows of the sources that are read together

    @staticmethod
    def of(layer: Packed) -> Reach:
        """The reach of a layer."""
        _, kernel, stride, upsample, *_, before = layer.numbers
        return Reach(kernel // 2, kernel - 1 - before, stride, 1 + upsample, layer.window)

    def end(self, rows: int, height: int) -> int:
        """Rows that the sources, of this height, must have for so many of the output."""
        if not rows:
            return 0
        end = -(-((rows - 1) * self.stride + self.after + 1) // self.grown)
        return min(height, end + -end % self.window)

    def start(self, row: int) -> int:
        """First row of the sources that output rows from `row` on read, or one before it.

        It is one that an output row begins with.
        """
        first = max(0, row * self.stride - self.edge) // self.grown
        return first - first % math.lcm(self.stride, self.window)

    def output(self, row: int) -> int:
        """The output row that begins with such a row of the sources."""
        return row * self.grown // self.stride


@dataclass(frozen=True)
class Stripe:
    """Streams go from rows `begin` to rows `end`; rows before `keep` are not needed any more."""

    begin: Rows
    end: Rows
    keep: Rows


def plan(layers: Sequence[Packed], shapes: Sequence[Shape], rows: int) -> list[Stripe]:
    """The stripes of an image; shapes: of all streams; rows: of the output in each, at least 1."""
    reaches = [Reach.of(layer) for layer in layers]
    last = len(layers)
    begin, stripes = [0] * (last + 1), []
    while begin[last] < shapes[last][0]:
        end = [0] * last + [min(begin[last] + rows, shapes[last][0])]
        for k in range(last, 0, -1):
            layer = layers[k - 1]
            for i in layer.sources:
                end[i] = max(end[i], reaches[k - 1].end(end[k], shapes[i][0]))
            if layer.add is not None:
                end[layer.add] = max(end[layer.add], end[k])
        stripes.append(Stripe(begin, end, _kept(layers, reaches, begin)))
        begin = end
    return stripes


def _kept(layers: Sequence[Packed], reaches: Sequence[Reach], begin: Rows) -> Rows:
    """First row of each stream that is read from here on."""
    keep = list(begin)
    for k, (layer, reach) in enumerate(zip(layers, reaches, strict=True), start=1):
        first = reach.start(begin[k])
        for i in layer.sources:
            keep[i] = min(keep[i], first)
        for i in (k,) if layer.add is None else (k, layer.add):
            keep[i] = min(keep[i], reach.output(first))
    return keep


class Window:
    """The rows of a stream that are kept: room for `rows` of (width, channels) int32."""

    def __init__(self, rows: int, shape: Shape) -> None:
        self.memory = np.empty((rows, *shape[1:]), np.int32)
        self.start = 0

    def drop(self, keep: int, held: int) -> None:
        """Forget the rows before `keep`; `held`: where those that are there end."""
        gone = keep - self.start
        if gone <= 0:
            return
        for at in range(gone, held - self.start, gone):  # parts that do not overlap
            part = self.memory[at : min(at + gone, held - self.start)]
            self.memory[at - gone : at - gone + len(part)] = part
        self.start = keep

    def rows(self, first: int, end: int) -> Int32:
        """Rows first .. end - 1, where they lie."""
        return self.memory[first - self.start : end - self.start]


def windows(stripes: Sequence[Stripe], shapes: Sequence[Shape]) -> list[Window]:
    """Windows that are large enough for every stripe, of all streams but the output."""
    rows = [
        max(stripe.end[i] - stripe.keep[i] for stripe in stripes) for i in range(len(shapes) - 1)
    ]
    return [Window(n, shape) for n, shape in zip(rows, shapes, strict=False)]
