"""Proof that an integer network of bytes is whole and never leaves its integers.

Bytes and weights bound a layer's sums; every partial sum, in any order, must stay below 2^31.
Pairs of neighbouring weights must not add up to more than PAIR: 255 PAIR still fits into 16 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact.bytewise.graph import (
    ACTIVATIONS,
    HARD_SWISH_FRACTION,
    PAIR,
    ByteGraph,
    ByteLayer,
)
from diffcodec.exact.overflow import ROOM, Bounds, LayerBound, refuse
from diffcodec.exact.shapes import check_own, check_stride

BYTE = 255
MOST_SHIFT = 30
CHANNELS = 1 << 12  # of a stream, at most

Shape = tuple[int, int]  # channels, and how often the resolution was halved


def prove_bytes(graph: ByteGraph) -> Bounds:
    """The bounds of a network; raises CheckpointError naming layer and channel if one is broken."""
    check_bytes(graph)
    found = []
    for layer in graph.layers:
        reach = accumulator(graph, layer)
        refuse(layer.name, reach, ROOM, "its sums")
        if not layer.wide:
            refuse(layer.name, pairs(graph.weight(layer)), PAIR + 1, "a pair of weights")
        found.append(
            LayerBound(
                name=layer.name,
                activation=int(activations(graph, layer).max()),
                weight=int(np.abs(graph.weight(layer).astype(np.int32)).max()),
                accumulator=int(reach.max()),
                stream=32768,
            )
        )
    return Bounds(tuple(found))


def activations(graph: ByteGraph, layer: ByteLayer) -> Int64:
    """The largest modulus of what each channel's weights meet, (c_in,)."""
    c_in = graph.weight(layer).shape[3]
    if not layer.wide:
        return np.full(c_in, BYTE, np.int64)
    scale = graph.tensors.get(f"{layer.name}.scale")
    return np.full(c_in, 32768, np.int64) if scale is None else scale.astype(np.int64)


def accumulator(graph: ByteGraph, layer: ByteLayer) -> Int64:
    """What the modulus of a partial sum can reach in any order, rounding included: (c_out,).

    Zeros are taken off the bias or off the bytes: either way.
    """
    weight = np.abs(graph.weight(layer).astype(np.int64))
    sums = (weight * activations(graph, layer)).sum(axis=(1, 2, 3))
    zero = graph.tensors.get(f"{layer.name}.zero")
    if zero is not None:
        sums = sums + (weight * zero.astype(np.int64)).sum(axis=(1, 2, 3))
    bias = np.abs(graph.tensors[f"{layer.name}.bias"].astype(np.int64))
    rows = graph.tensors.get(f"{layer.name}.levels")
    if rows is not None:
        bias = bias + np.abs(rows.astype(np.int64)).max(axis=0)
    half = (np.int64(1) << graph.tensors[f"{layer.name}.shift"].astype(np.int64)) >> 1
    return np.asarray(sums + bias + half)


def pairs(weight: NDArray[Any]) -> Int64:
    """What two neighbouring weights add up to at most, in modulus: (c_out,)."""
    c_out, k, _, c_in = weight.shape
    even = np.pad(weight.astype(np.int64), ((0, 0), (0, 0), (0, 0), (0, c_in % 2)))
    both = even.reshape(c_out, k, k, -1, 2).sum(axis=4)
    return np.asarray(np.abs(both).max(axis=(1, 2, 3)))


# --- whether the parts fit together ---


def check_bytes(graph: ByteGraph) -> None:
    """Raises CheckpointError, naming the layer, where something does not fit."""
    check_own(graph)
    pixels = 3 * graph.patch**2
    streams: list[Shape] = [(pixels, 0)]
    for k, layer in enumerate(graph.layers):
        _check_layer(graph, layer, k)
        streams.append(_output(graph, layer, streams))
    if streams[-1] != (pixels, 0) or graph.layers[-1].fraction != graph.output:
        raise CheckpointError("the last layer of the network does not yield an image")
    deepest = graph.patch << max(halved for _, halved in streams)
    if graph.stride % deepest:
        raise CheckpointError(f"the network halves images down to 1/{deepest}, its stride not")
    check_stride(graph, deepest)


def _check_layer(graph: ByteGraph, layer: ByteLayer, k: int) -> None:
    """Names, types and sizes of a layer's own numbers."""
    numbers = (type(layer.fraction), type(layer.stride), type(layer.wide), type(layer.upsample))
    most = HARD_SWISH_FRACTION if layer.activation == "hard_swish" else 15
    fits = (
        numbers == (int, int, bool, bool)
        and 0 <= layer.fraction <= 15
        and layer.stride in ((1,) if layer.upsample else (1, 2))
        and layer.activation in ACTIVATIONS
        and (layer.add is None or type(layer.add) is int)
        and (k > 0 or (layer.wide and layer.activation == "none"))
        and (k == 0 or graph.read(k) <= most)
    )
    if not fits:
        raise CheckpointError(f"layer {layer.name} of the network makes no sense; get it again")
    get, levels = graph.tensors.get, graph.tensors["levels"]
    names = "weight", "bias", "shift", "scale", "zero", "levels"
    weight, bias, shift, scale, zero, rows = (get(f"{layer.name}.{kind}") for kind in names)
    if weight is None or bias is None or shift is None:
        raise CheckpointError(f"the network lacks a tensor of layer {layer.name}; get it again")
    fits = (
        weight.ndim == 4
        and weight.dtype == (np.int16 if layer.wide else np.int8)
        and weight.size > 0
        and max(weight.shape[0], weight.shape[3]) <= CHANNELS
        and weight.shape[1:3] in ((1, 1), (3, 3))
        and int(weight.min()) > np.iinfo(weight.dtype).min
        and (weight.shape[1] == 1 or not layer.upsample)
        and _is(bias, np.int32, weight.shape[:1])
        and _is(shift, np.uint8, weight.shape[:1])
        and int(shift.max()) <= MOST_SHIFT
        and (rows is None or _is(rows, np.int32, (len(levels), len(weight))))
        and (scale is None) == (k == 0)
        and (scale is None or (_is(scale, np.int16, weight.shape[3:]) and int(scale.min()) > 0))
        and (zero is None) == layer.wide
        and (zero is None or _is(zero, np.uint8, weight.shape[3:]))
    )
    if not fits:
        raise CheckpointError(f"layer {layer.name} of the network is malformed; get it again")


def _is(tensor: NDArray[Any] | None, dtype: Any, shape: tuple[int, ...]) -> bool:
    return tensor is not None and tensor.dtype == dtype and tensor.shape == shape


def _output(graph: ByteGraph, layer: ByteLayer, streams: list[Shape]) -> Shape:
    """What a layer makes of the stream before it."""
    (channels, halved), weight = streams[-1], graph.weight(layer)
    if weight.shape[3] != channels:
        raise CheckpointError(
            f"layer {layer.name} of the network reads {weight.shape[3]} channels and is given "
            f"{channels}"
        )
    out = (len(weight), halved + (layer.stride == 2) - layer.upsample)
    if out[1] < 0 or (layer.add is not None and not _adds(graph, layer, out, streams)):
        raise CheckpointError(f"layer {layer.name} of the network adds what does not fit")
    return out


def _adds(graph: ByteGraph, layer: ByteLayer, out: Shape, streams: list[Shape]) -> bool:
    """Whether the stream that is added is there, of the same shape, and counts the same."""
    add = layer.add
    known = add is not None and 0 < add < len(streams) and streams[add] == out
    return known and graph.read(add or 0) == layer.fraction
