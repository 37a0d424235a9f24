"""The way back: from an integer network of bytes to float weights, to train from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.bytewise.graph import ByteGraph, ByteLayer, gain
from diffcodec.exact.integers import INPUT_FRACTION, TRAINED
from diffcodec.network.grids import Grid, as_tensors


def byte_weights(graph: ByteGraph) -> dict[str, NDArray[Any]]:
    """The weights as torch's state_dict names them, float32, and the grids that they lie on.

    Of the noise embedding they are the trained ones, of the convolutions what the integers say.
    """
    state: dict[str, NDArray[Any]] = {
        name.removeprefix(TRAINED): tensor.astype(np.float32)
        for name, tensor in graph.tensors.items()
        if name.startswith(TRAINED)
    }
    for k, layer in enumerate(graph.layers):
        step, unit = step_of(graph, k), 2.0 ** -bits_of(graph, layer)
        weight = graph.weight(layer) / step * unit[:, None, None, None]
        state[f"{layer.name}.weight"] = weight.transpose(0, 3, 1, 2).astype(np.float32)
        bias = graph.tensors[f"{layer.name}.bias"] * unit
        state[f"{layer.name}.bias"] = bias.astype(np.float32)
    return {**state, **as_tensors(byte_grids(graph))}


def byte_grids(graph: ByteGraph) -> dict[str, Grid]:
    """The grids of all layers that are not wide."""
    found = {}
    for k, layer in enumerate(graph.layers):
        if not layer.wide:
            zero = graph.tensors[f"{layer.name}.zero"].astype(np.float64)
            ends = np.stack([-zero, 255 - zero]) * step_of(graph, k)
            bits = bits_of(graph, layer).astype(np.uint8)
            found[layer.name] = Grid(ends.astype(np.float32), bits)
    return found


def bits_of(graph: ByteGraph, layer: ByteLayer) -> NDArray[np.float64]:
    """The fraction of each output channel's sums, (c_out,)."""
    return np.asarray(graph.tensors[f"{layer.name}.shift"].astype(np.float64) + layer.fraction)


def step_of(graph: ByteGraph, k: int) -> NDArray[np.float64]:
    """What 1 of what a layer's weights are multiplied with stands for, (c_in,)."""
    layer = graph.layers[k]
    scale = graph.tensors.get(f"{layer.name}.scale")
    if scale is None:
        return np.full(graph.weight(layer).shape[3], 2.0**-INPUT_FRACTION)
    return np.asarray(2.0 ** (15 - graph.read(k)) / (scale * gain(layer.activation)))
