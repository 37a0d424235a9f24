"""An integer network of bytes in the order in which the compiled kernel reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int16, Int32, Int64
from diffcodec.exact.bytewise.graph import ByteGraph, ByteLayer
from diffcodec.exact.integers import IntegerNetwork

BLOCK = 32  # of layer.h: channels that rows are rounded up to
CHUNK = 64  # of amx.h: bytes of a row of a tile
ALIGNMENT = 64  # bytes: no vector of weights lies across two cache lines

LANES = {
    "amx": 16,
    "vnni": 16,
    "avxvnni": 8,
    "avx2": 8,
    "neon": 4,
    "portable": 4,
}  # sums in a vector
SIGNED = ("neon",)  # sets of signed bytes: activations have 128 taken off


@dataclass(frozen=True)
class Packed:
    """The numbers of a network for kernel.c. Offsets of layers count elements.

    weights: uint8; constants: int16, scales and zeros of what a layer reads; biases: int64, what
    rounds the shifts and takes off the zeros included; shifts: int32. Channels are rounded up to
    BLOCK; biases and shifts are in the order of sums.
    """

    isa: str
    weights: NDArray[np.uint8]
    constants: Int16
    biases: Int64
    shifts: Int32
    noise: IntegerNetwork  # one layer with the biases of all, which are interpolated at once
    weight_at: tuple[int, ...]
    bias_at: tuple[int, ...]
    scale_at: tuple[int, ...]

    def sums(self, v: float) -> Int32:
        """Biases at a noise variance, and after them the shifts."""
        biases = self.noise.biases(v)[0].astype(np.int32)
        return np.concatenate([biases, self.shifts])


def rounded_up(channels: int) -> int:
    """Channels of a row."""
    return channels + -channels % BLOCK


def input_channels(graph: ByteGraph, k: int) -> int:
    """Channels of a pixel that layer number k reads: the image's are in pairs, others in blocks."""
    channels = graph.weight(graph.layers[k]).shape[3]
    return rounded_up(channels) if k else channels + channels % 2


def pack(graph: ByteGraph, isa: str) -> Packed:
    """The numbers of a network for an instruction set."""
    weights, constants, biases, shifts, levels = [], [], [], [], []
    count = len(graph.tensors["levels"])
    for k, layer in enumerate(graph.layers):
        get = graph.tensors.get
        weight = _padded_weight(graph, k)
        weights.append(_aligned(_ordered(weight, layer, isa)))
        channels = weight.shape[3]
        scale, zero = get(f"{layer.name}.scale"), get(f"{layer.name}.zero")
        constants += [_padded(scale, channels), _padded(zero, channels)]
        bias, shift = get(f"{layer.name}.bias"), get(f"{layer.name}.shift")
        assert bias is not None and shift is not None
        own = bias.astype(np.int64) + ((np.int64(1) << shift.astype(np.int64)) >> 1)
        if zero is not None:
            off = zero.astype(np.int64) - (128 if isa in SIGNED else 0)
            own -= (graph.weight(layer).astype(np.int64) * off).sum(axis=(1, 2, 3))
        rows = get(f"{layer.name}.levels")
        rows = np.zeros((count, len(own)), np.int64) if rows is None else rows
        order = columns(len(weight), LANES[isa])
        biases.append(_padded(own, len(weight), np.int64)[order])
        shifts.append(_padded(shift, len(weight), np.int32)[order])
        levels.append(np.stack([_padded(row, len(weight), np.int64)[order] for row in rows]))
    return Packed(
        isa=isa,
        weights=np.concatenate(weights),
        constants=np.concatenate(constants).astype(np.int16),
        biases=np.concatenate(biases),
        shifts=np.concatenate(shifts),
        noise=_together(graph, np.concatenate(biases), np.concatenate(levels, axis=1)),
        weight_at=_starts(weights),
        bias_at=_starts(biases),
        scale_at=_starts(constants)[::2],
    )


def columns(channels: int, lanes: int) -> NDArray[np.intp]:
    """The channel of every sum: packing two vectors of sums joins them four channels at a time."""
    order = np.arange(channels).reshape(-1, 2 * lanes // 8, 2, 4)
    return np.ascontiguousarray(order.transpose(0, 2, 1, 3)).reshape(-1)


def _together(graph: ByteGraph, biases: Int64, levels: Int64) -> ByteGraph:
    layer = ByteLayer("all", "none", 0)
    tensors = {
        "levels": graph.tensors["levels"],
        "all.bias": biases,
        "all.levels": levels,
    }
    return dataclasses.replace(graph, layers=(layer,), tensors=tensors)


def _padded_weight(graph: ByteGraph, k: int) -> NDArray[Any]:
    """(c_out, k, k, c_in), both kinds of channels rounded up."""
    weight = graph.weight(graph.layers[k])
    more = -len(weight) % BLOCK, input_channels(graph, k) - weight.shape[3]
    return np.pad(weight, ((0, more[0]), (0, 0), (0, 0), (0, more[1])))


def _ordered(weight: NDArray[Any], layer: ByteLayer, isa: str) -> NDArray[Any]:
    """As kernel.c says: blocks, rows of the kernel, parts of a row, halves of a block, ..."""
    lanes = LANES[isa]
    c_out, k = weight.shape[:2]
    flat = weight[columns(c_out, lanes)].reshape(c_out // (2 * lanes), 2, lanes, k, -1)
    if isa == "amx" and not layer.wide:
        flat = np.pad(flat, ((0, 0), (0, 0), (0, 0), (0, 0), (0, -flat.shape[4] % CHUNK)))
        flat = flat.reshape(*flat.shape[:4], -1, CHUNK // 4, 4)
        return np.ascontiguousarray(flat.transpose(0, 3, 4, 1, 5, 2, 6))
    flat = flat.reshape(*flat.shape[:4], -1, 2 if layer.wide else 4)
    return np.ascontiguousarray(flat.transpose(0, 3, 4, 1, 2, 5))


def _padded(x: NDArray[Any] | None, channels: int, dtype: Any = np.int16) -> NDArray[Any]:
    """With zeros up to so many channels; zeros alone for none."""
    found = np.zeros(channels, dtype)
    if x is not None:
        found[: len(x)] = x
    return found


def _aligned(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes, filled up so that what follows is aligned."""
    flat = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
    return np.pad(flat, (0, -len(flat) % ALIGNMENT))


def _starts(parts: list[NDArray[Any]]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.cumsum([0, *(len(part) for part in parts)])[:-1])
