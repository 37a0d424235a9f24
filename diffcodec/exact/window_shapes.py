"""Whether what a layer does inside windows fits its channels: see shapes.py."""

from __future__ import annotations

import dataclasses

import numpy as np

from diffcodec.errors import CheckpointError
from diffcodec.exact.attention import EXP2, ONE
from diffcodec.exact.graph import Graph, Layer

WIDEST = 1 << 10  # of a window, in pixels
MOST = 1 << 53  # of a number that the layer states


def check_windows(graph: Graph, layer: Layer, channels: int) -> None:
    """Raises CheckpointError, naming the layer; channels: of all its sources."""
    if layer.norm:
        _check_norm(graph, layer, channels)
    if layer.attention:
        _check_attention(graph, layer, channels)
    kernel = graph.weight(layer).shape[1]
    if type(layer.trailing) is not bool or (layer.trailing and (kernel, layer.stride) != (3, 2)):
        _refuse(layer, "zeros on one side")


def _check_norm(graph: Graph, layer: Layer, channels: int) -> None:
    norm = layer.norm
    assert norm
    if not (
        _whole(norm)
        and 1 <= norm.window <= WIDEST
        and norm.groups >= 1
        and channels % norm.groups == 0
        and 0 <= norm.shift <= 15
        and norm.limit >= 1
        and norm.eps >= 1
        and 0 <= norm.gain <= 30
    ):
        _refuse(layer, "normalisation")
    if layer.silu and graph.tensors["silu"][-1] < 0:  # then numbers above MOST would differ
        raise CheckpointError("the network's table of SiLU ends below 0")
    rows = len(graph.tensors["levels"])
    for kind, shape, needed in (
        ("scale", (channels,), True),
        ("offset", (channels,), True),
        ("scale_levels", (rows, channels), False),
        ("offset_levels", (rows, channels), False),
    ):
        tensor = graph.tensors.get(f"{layer.name}.{kind}")
        if tensor is None and not needed:
            continue
        if (
            tensor is None
            or tensor.dtype != np.int64
            or tensor.shape != shape
            or max(int(tensor.max()), -int(tensor.min())) >= MOST
        ):
            _refuse(layer, kind)


def _check_attention(graph: Graph, layer: Layer, channels: int) -> None:
    attention, exp2 = layer.attention, graph.tensors.get("exp2")
    assert attention
    if not (
        _whole(attention)
        and 1 <= attention.window <= WIDEST
        and attention.heads >= 1
        and channels % (3 * attention.heads) == 0
        and min(attention.query, attention.key, attention.value) >= 1
        and max(attention.query, attention.key, attention.value) <= 32767
        and 1 <= attention.shift <= 30
        and 0 <= attention.finer <= 30
        and not (layer.norm or layer.silu)
    ):
        _refuse(layer, "attention")
    if exp2 is None or exp2.dtype != np.int16 or exp2.shape != (EXP2,):
        raise CheckpointError("the network has no table of 2^-d for its attention")
    if exp2.min() < 0 or exp2[0] != ONE:
        raise CheckpointError("the network's table of 2^-d does not begin with 1")


def _whole(stated: object) -> bool:
    fields = dataclasses.asdict(stated).values()  # type: ignore[call-overload]
    return all(type(field) is int and 0 <= field < MOST for field in fields)


def _refuse(layer: Layer, what: str) -> None:
    raise CheckpointError(f"layer {layer.name} of the network has no proper {what}")
