"""From a trained network to its integer network, which every machine evaluates to the same bits.

Streams count 2^-11: at the ends of the table, +-16, SiLU is 0 and x to the last digit. Activations
get the 15 bits that int16 has for them, with room above the largest one that was measured, and
weights what is then left of the 31 bits of an accumulator: about 8, and more for the largest.
Their errors are like the image and mostly cancel (rounding.py); those of activations are noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64, Progress
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations, measure_ranges
from diffcodec.exact.bytewise.export import export_bytes
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.conformance import expected
from diffcodec.exact.floats import FloatLayer, FloatNetwork, embedding_of, facts_of, meaning_of
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import INPUT_FRACTION, TRAINED
from diffcodec.exact.levels import level_rows, noise_levels
from diffcodec.exact.overflow import ROOM, accumulator, activation, prove
from diffcodec.exact.rounding import Rounding
from diffcodec.exact.shapes import PEAK
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.activation import curve
from diffcodec.network.checkpoint import Checkpoint

HEADROOM = 1.5  # room above the largest activation that was measured
FRACTION = 11  # of the streams
OUTPUT_FRACTION = 14
SCALE = 24  # most bits of a weight's fraction
LEVELS_PER_OCTAVE = 16  # of sigma, at which the noise embedding is kept: a sixth of the weights

Bits = Literal[8, 16]


@overload
def export(
    checkpoint: Checkpoint,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
    bits: Literal[16] = 16,
) -> Graph: ...


@overload
def export(
    checkpoint: Checkpoint,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
    *,
    bits: Literal[8],
) -> ByteGraph: ...


@overload
def export(
    checkpoint: Checkpoint,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
    *,
    bits: Bits,
) -> AnyGraph: ...


def export(
    checkpoint: Checkpoint,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
    bits: Bits = 16,
) -> AnyGraph:
    """The integer network of a checkpoint, scaled by its activations on images (H, W, 3) uint8.

    The images have one size. progress(noise levels done, of). bits: of activations and weights,
    except for the first layer's, which have 16: 8 make an integer network of bytes. The result is
    proven, and states its conformance vectors. Raises CheckpointError for a network that has no
    exact form, or none of bytes.
    """
    network, pixels = FloatNetwork(checkpoint, torch.float32), np.stack(images)
    if bits == 8:
        return export_bytes(checkpoint, network, pixels, progress)
    measured = measure_ranges(network, pixels, progress)
    return to_integers(checkpoint, network.layers, measured)


def to_integers(
    checkpoint: Checkpoint, layers: Sequence[FloatLayer], measured: Mapping[str, Activations]
) -> Graph:
    """The integer network of a checkpoint's layers, whose activations were measured, by name."""
    config, levels = checkpoint.recipe.network, noise_levels(LEVELS_PER_OCTAVE)
    table = activation_table(config.activation, FRACTION)
    tensors: dict[str, NDArray[Any]] = {"silu": table, "levels": levels}
    tensors |= embedding_of(checkpoint, layers)
    graph = Graph(
        layers=(),
        tensors=tensors,
        patch=config.patch,
        stride=config.stride,
        fraction=FRACTION,
        output=OUTPUT_FRACTION,
        facts=facts_of(checkpoint),
        **meaning_of(checkpoint),
    )
    for layer in layers:
        rows = None if layer.level is None else level_rows(layer.level, levels)
        out = OUTPUT_FRACTION if layer is layers[-1] else FRACTION
        graph = _append(graph, layer, measured[layer.name], rows, out)
    prove(graph)
    return dataclasses.replace(graph, facts={**graph.facts, "conformance": expected(graph)})


def activation_table(name: str, fraction: int) -> NDArray[np.int16]:
    """The recipe's activation of every int16 that counts 2^-fraction, in the same unit."""
    x = np.arange(-32768, 32768) / 2.0**fraction
    return np.asarray(np.rint(curve(name, x) * 2**fraction), np.int16)


# --- one layer ---


def _append(
    graph: Graph, layer: FloatLayer, inputs: Activations, rows: Float64 | None, out: int
) -> Graph:
    """The graph with one more layer. out: fraction of its output."""
    made = _cut(layer, inputs)
    fraction = activation_fraction(graph, made)
    scale = _first_scale(layer, made, rows, fraction, int(graph.tensors["silu"].min()))
    rounding = Rounding(inputs.moments)
    while True:
        if (scale + fraction < out).any():
            raise CheckpointError(
                f"the weights of {layer.name} are too large for their bits; train the network "
                "longer, or at a lower rate"
            )
        found = _integers(layer, rounding, rows, fraction, out, scale)
        tensors = {f"{layer.name}.{key}": tensor for key, tensor in found.items()}
        grown = dataclasses.replace(
            graph, layers=(*graph.layers, made), tensors={**graph.tensors, **tensors}
        )
        low, high = accumulator(grown, made, activation(made, int(graph.tensors["silu"].min())))
        over = np.maximum(-low, high) >= ROOM
        if not over.any():
            return grown
        scale = scale - over


def _cut(layer: FloatLayer, inputs: Activations) -> Layer:
    """Shift and limit of the activations: as fine as int16 allows."""
    shift, limit = 0, PEAK
    if layer.sources != (0,):
        largest = HEADROOM * max(inputs.peak, 2.0**-FRACTION) * 2**FRACTION
        while largest / 2**shift > PEAK:
            shift += 1
        limit = math.ceil(largest / 2**shift)
    return Layer(
        name=layer.name,
        sources=layer.sources,
        silu=layer.silu,
        shift=shift,
        limit=min(limit, PEAK),
        upsample=layer.upsample,
        stride=layer.stride,
        add=layer.add,
    )


def activation_fraction(graph: Graph, layer: Layer) -> int:
    """Of what goes into the layer's convolution."""
    return (INPUT_FRACTION if layer.sources == (0,) else graph.fraction) - layer.shift


def _first_scale(
    layer: FloatLayer, made: Layer, rows: Float64 | None, fraction: int, least: int
) -> NDArray[np.int64]:
    """The fraction of each output channel's weights that would do if nothing was rounded.

    least: of the table of activations.
    """
    low, high = activation(made, least)
    up = np.maximum(layer.weight, 0).sum(axis=(1, 2, 3))
    down = np.maximum(-layer.weight, 0).sum(axis=(1, 2, 3))
    level = np.abs(layer.bias) + (0.0 if rows is None else np.abs(rows).max(axis=0))
    most = np.maximum(up, down) * high - np.minimum(up, down) * low + level * 2.0**fraction
    largest = np.abs(layer.weight).max(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        bits = np.minimum(np.log2(ROOM / most), np.log2(PEAK / largest))
    return np.asarray(np.floor(np.minimum(bits, SCALE)), np.int64)


def _integers(
    layer: FloatLayer,
    rounding: Rounding,
    rows: Float64 | None,
    fraction: int,
    out: int,
    scale: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """The tensors of a layer."""
    unit = 2.0**scale
    flat = layer.weight.reshape(len(scale), -1) * unit[:, None]
    weight = rounding(flat, PEAK).reshape(layer.weight.shape)
    found: dict[str, NDArray[Any]] = {
        "weight": weight.astype(np.int16),
        "bias": np.rint(layer.bias * unit * 2.0**fraction).astype(np.int32),
        "shift": (fraction + scale - out).astype(np.uint8),
    }
    if rows is not None:
        found["levels"] = np.rint(rows * unit * 2.0**fraction).astype(np.int32)
    return found


# --- the way back ---


def float_network(graph: Graph) -> dict[str, NDArray[np.float32]]:
    """The weights of an exported network as torch's state_dict names them, to train from.

    Of the noise embedding they are the trained ones, of the convolutions what the integers say.
    """
    state = {
        name.removeprefix(TRAINED): tensor.astype(np.float32)
        for name, tensor in graph.tensors.items()
        if name.startswith(TRAINED)
    }
    for layer in graph.layers:
        fraction = activation_fraction(graph, layer)
        out = graph.output if layer is graph.layers[-1] else graph.fraction
        shift = graph.tensors[f"{layer.name}.shift"].astype(np.int64)
        unit = 2.0 ** (shift + out - fraction)
        weight = graph.weight(layer) / unit[:, None, None, None]
        bias = graph.tensors[f"{layer.name}.bias"] / unit / 2.0**fraction
        state[f"{layer.name}.weight"] = weight.transpose(0, 3, 1, 2).astype(np.float32)
        state[f"{layer.name}.bias"] = bias.astype(np.float32)
    return state
