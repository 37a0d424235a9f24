"""Proof that an integer network never leaves its integers, whatever the image and its size.

Activations are clipped, so a layer's sums are bounded by its weights alone: each product lies in
an interval that holds 0, and every partial sum, in any order, between the sums of the lower and
the upper ends. All of them must stay below 2^31; then int32 is exact, float64 (2^53) all the more,
and float32 (2^24) is for products of halves (see gemm.py). Streams follow layer by layer. What
happens inside windows stays below 2^53 or, where no double sees it, 2^63 (window_bounds.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import rounded_shift
from diffcodec.exact.shapes import check_shapes
from diffcodec.exact.window_bounds import prove_windows

ROOM = 1 << 31  # of an accumulator: its modulus is smaller
STREAM = ROOM - (1 << 15)  # of a stream, so that half of what a shift takes away can be added

Interval = tuple[Int64, Int64]  # lowest and highest value of each channel


@dataclass(frozen=True)
class LayerBound:
    """What a layer can reach at most: moduli; in bits, log2 of them."""

    name: str
    activation: int
    weight: int
    accumulator: int
    stream: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        bits = float(np.log2(max(self.accumulator, 1)))
        return {**asdict(self), "accumulator_bits": round(bits, 2)}


@dataclass(frozen=True)
class Bounds:
    """The proof of a network, layer by layer."""

    layers: tuple[LayerBound, ...]

    @property
    def bits(self) -> float:
        """log2 of the largest accumulator."""
        return max(float(layer.to_dict()["accumulator_bits"]) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"accumulator_bits": self.bits, "layers": [b.to_dict() for b in self.layers]}


def prove(graph: Graph) -> Bounds:
    """The bounds of a network; raises CheckpointError naming layer and channel if one is broken."""
    check_shapes(graph)
    silu = int(graph.tensors["silu"].min())
    streams: list[Interval] = [_around_zero(32768, graph.weight(graph.layers[0]).shape[3])]
    found = []
    for layer in graph.layers:
        prove_windows(graph, layer)
        low, high = accumulator(graph, layer, activation(layer, silu))
        reach = np.maximum(-low, high)
        refuse(layer.name, reach, ROOM, "its sums")
        shift = graph.tensors[f"{layer.name}.shift"].astype(np.int64)
        low, high = rounded_shift(low, shift), rounded_shift(high, shift)
        if layer.add is not None:
            low, high = low + streams[layer.add][0], high + streams[layer.add][1]
        refuse(layer.name, np.maximum(-low, high), STREAM, "its output")
        streams.append((low, high))
        found.append(
            LayerBound(
                name=layer.name,
                activation=layer.limit,
                weight=int(np.abs(graph.weight(layer).astype(np.int32)).max()),
                accumulator=int(reach.max()),
                stream=int(np.maximum(-low, high).max()),
            )
        )
    return Bounds(tuple(found))


def activation(layer: Layer, silu: int) -> tuple[int, int]:
    """Lowest and highest activation, at most 0 and at least 0; silu: the least of its table."""
    if not layer.silu:
        return -layer.limit, layer.limit
    lowest = int(rounded_shift(np.array(min(silu, 0), np.int64), layer.shift))
    return max(lowest, -layer.limit), layer.limit


def accumulator(graph: Graph, layer: Layer, a: tuple[int, int]) -> Interval:
    """Of every partial sum of a layer in any order, its rounding included: (c_out,) each."""
    weight = graph.weight(layer)
    axes = (1, 2, 3)
    up = np.maximum(weight, 0).sum(axis=axes, dtype=np.int64)
    down = up - weight.sum(axis=axes, dtype=np.int64)
    bias = graph.tensors[f"{layer.name}.bias"].astype(np.int64)
    rows = graph.tensors.get(f"{layer.name}.levels")
    least, most = bias, bias
    if rows is not None:  # between two levels everything lies between their rows
        least, most = bias + rows.min(axis=0), bias + rows.max(axis=0)
    half = (np.int64(1) << graph.tensors[f"{layer.name}.shift"].astype(np.int64)) >> 1
    low = up * a[0] - down * a[1] + np.minimum(least, 0)
    high = up * a[1] - down * a[0] + np.maximum(most, 0) + half
    return low, high


def refuse(name: str, reach: Int64, room: int, what: str) -> None:
    """Raises CheckpointError for a layer where a channel's modulus, of `reach`, is not below room.

    what: reaches that far.
    """
    channel = int(reach.argmax())
    if reach[channel] >= room:
        raise CheckpointError(
            f"layer {name} of the network breaks its bound: {what} in channel {channel} can "
            f"reach {int(reach[channel])}, and {room - 1} is the most; export the network again"
        )


def _around_zero(modulus: int, channels: int) -> Interval:
    high = np.full(channels, modulus, np.int64)
    return -high, high
