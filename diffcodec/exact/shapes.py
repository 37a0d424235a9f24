"""Whether the parts of an integer network fit together: names, types, channels, resolutions.

And what follows from them: how much work a pixel is.
"""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from diffcodec.errors import CheckpointError
from diffcodec.exact.graph import WEIGHT_TYPES, Graph, Layer
from diffcodec.exact.integers import IntegerNetwork
from diffcodec.exact.window_shapes import check_windows
from diffcodec.network.config import SPREAD, Betas, Predicts

PEAK = 32767  # of int16
SPARE = 16  # times the stride that the layers need is too much: memory, for nothing
MOST_SHIFT = {"activation": 15, "accumulator": 30}

Shape = tuple[int, int]  # channels, and how often the resolution was halved


def check_shapes(graph: Graph) -> None:
    """Raises CheckpointError, naming the layer, where something does not fit."""
    check_own(graph)
    _check_table(graph)
    pixels = 3 * graph.patch**2
    streams: list[Shape] = [(pixels, 0)]
    for layer in graph.layers:
        _check_tensors(graph, layer)
        streams.append(_output(graph, layer, streams))
    if streams[-1] != (pixels, 0):
        raise CheckpointError("the last layer of the network does not yield an image")
    deepest = graph.patch << max(halved for _, halved in streams)
    if graph.stride % deepest:
        raise CheckpointError(f"the network halves images down to 1/{deepest}, its stride not")
    least = deepest
    for layer in graph.layers:
        side = layer.window * graph.patch << streams[layer.sources[0]][1]
        if layer.window > 1 and graph.stride % side:
            raise CheckpointError(f"windows of layer {layer.name} do not fit the network's stride")
        least = math.lcm(least, side)
    check_stride(graph, least)


def macs_per_pixel(graph: IntegerNetwork) -> float:
    """Multiplications of the convolutions for each pixel of a large image."""
    halved, total = [0], 0.0
    for k, layer in enumerate(graph.layers):
        halved.append(halved[graph.sources(k)[0]] + (layer.stride == 2) - layer.upsample)
        total += graph.weight(layer).size / (graph.patch << halved[-1]) ** 2
    return total


def check_stride(graph: IntegerNetwork, least: int) -> None:
    """Raises CheckpointError for a stride that makes images far larger than the layers need; least:
    what they need."""
    if graph.stride > SPARE * least:
        raise CheckpointError(
            f"images would be extended to multiples of {graph.stride} pixels, and {least} would do"
        )


def check_own(graph: IntegerNetwork) -> None:
    """What networks of both kinds state about themselves; raises CheckpointError."""
    levels = graph.tensors.get("levels")
    numbers = (graph.patch, graph.stride, graph.output)
    whole = all(type(n) is int and 0 <= n < 1 << 16 for n in numbers)
    if not whole or graph.patch < 1 or graph.stride < 1:
        raise CheckpointError(f"the network's sizes {numbers} make no sense")
    if not 0 < graph.sigma_data <= SPREAD:
        raise CheckpointError(f"the network's sigma_data is {graph.sigma_data}")
    if graph.predicts not in get_args(Predicts) or graph.betas not in get_args(Betas):
        raise CheckpointError(
            f"the network predicts {graph.predicts!r} with betas {graph.betas!r}, which this "
            "program does not know; get a newer diffcodec"
        )
    if levels is None or levels.dtype != np.float64 or levels.ndim != 1 or len(levels) < 2:
        raise CheckpointError("the network has no noise levels")
    if not (np.isfinite(levels).all() and levels[0] > 0 and (np.diff(levels) > 0).all()):
        raise CheckpointError("the network's noise levels do not increase")
    if not graph.layers:
        raise CheckpointError("the network has no layers")


def _check_table(graph: Graph) -> None:
    silu = graph.tensors.get("silu")
    if type(graph.fraction) is not int or not 0 <= graph.fraction < 1 << 16:
        raise CheckpointError(f"the network's fraction {graph.fraction} makes no sense")
    if silu is None or silu.dtype != np.int16 or silu.shape != (65536,):
        raise CheckpointError("the network has no table of SiLU for every 16-bit integer")


def _check_tensors(graph: Graph, layer: Layer) -> None:
    def tensor(
        key: str, dtypes: tuple[type[np.generic], ...], shape: tuple[int | None, ...]
    ) -> None:
        found = graph.tensors.get(f"{layer.name}.{key}")
        if (
            found is None
            or found.dtype not in dtypes
            or found.ndim != len(shape)
            or any(n != m for n, m in zip(found.shape, shape, strict=True) if m is not None)
        ):
            raise CheckpointError(f"layer {layer.name} of the network has no proper {key}")

    tensor("weight", WEIGHT_TYPES, (None,) * 4)
    channels, height, width, _ = graph.weight(layer).shape
    if height != width or width not in (1, 3) or not graph.weight(layer).size:
        raise CheckpointError(f"layer {layer.name} of the network has a kernel {height} x {width}")
    tensor("bias", (np.int32,), (channels,))
    tensor("shift", (np.uint8,), (channels,))
    if f"{layer.name}.levels" in graph.tensors:
        tensor("levels", (np.int32,), (len(graph.tensors["levels"]), channels))
    shift = int(graph.tensors[f"{layer.name}.shift"].max())
    if not 0 <= layer.shift <= MOST_SHIFT["activation"] or shift > MOST_SHIFT["accumulator"]:
        raise CheckpointError(f"layer {layer.name} of the network shifts by {layer.shift}, {shift}")
    if not 1 <= layer.limit <= PEAK:
        raise CheckpointError(f"layer {layer.name} of the network clips at {layer.limit}")


def _output(graph: Graph, layer: Layer, streams: list[Shape]) -> Shape:
    read = [*layer.sources, *([] if layer.add is None else [layer.add])]
    if not layer.sources or not all(0 <= i < len(streams) for i in read):
        raise CheckpointError(f"layer {layer.name} of the network reads streams {read}")
    channels, *_, c_in = graph.weight(layer).shape
    resolutions = {streams[i][1] for i in layer.sources}
    given = sum(streams[i][0] for i in layer.sources)
    check_windows(graph, layer, given)
    if given != c_in * (3 if layer.attention else 1) or len(resolutions) > 1:
        raise CheckpointError(f"the sources of layer {layer.name} of the network do not fit it")
    if layer.stride not in (1, 2) or (layer.upsample and layer.stride == 2):
        raise CheckpointError(f"layer {layer.name} of the network has stride {layer.stride}")
    output = channels, resolutions.pop() + (layer.stride == 2) - layer.upsample
    if output[1] < 0 or (layer.add is not None and streams[layer.add] != output):
        raise CheckpointError(f"the output of layer {layer.name} of the network fits nowhere")
    return output
