"""From a trained network to its integer network, which every machine evaluates to the same bits.

Streams count 2^-11: at the ends of the table, +-16, SiLU is 0 and x to the last digit. Activations
get the 15 bits that int16 has for them, with room above the largest one that was measured, and
weights what is then left of the 31 bits of an accumulator: about 8, and more for the largest
(layer_export.py). Their errors are like the image and mostly cancel (rounding.py); those of
activations are noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.bitstream.types import Progress
from diffcodec.exact.activation_ranges import Activations, measure_ranges
from diffcodec.exact.attention import exp2_table
from diffcodec.exact.bytewise.export import export_bytes
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.conformance import expected
from diffcodec.exact.floats import FloatNetwork, embedding_of, facts_of, meaning_of
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import INPUT_FRACTION, TRAINED
from diffcodec.exact.layer_export import FRACTION, Sums, appended
from diffcodec.exact.levels import level_rows, noise_levels
from diffcodec.exact.listing import FloatLayer
from diffcodec.exact.overflow import prove
from diffcodec.exact.shapes import PEAK
from diffcodec.exact.stored import AnyGraph
from diffcodec.exact.window_export import Heads, heads_of, norm_of, of_queries
from diffcodec.network.activation import curve
from diffcodec.network.checkpoint import Checkpoint

OUTPUT_FRACTION = 14
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
    config = checkpoint.recipe.network
    levels = noise_levels(LEVELS_PER_OCTAVE, config)
    table = activation_table(config.activation, FRACTION)
    tensors: dict[str, NDArray[Any]] = {"silu": table, "levels": levels}
    tensors |= embedding_of(checkpoint, layers)
    heads = {k.name: heads_of(k, measured[k.name]) for k in layers if k.attention is not None}
    if heads:
        tensors["exp2"] = exp2_table()
    graph = Graph(
        layers=(),
        tensors=tensors,
        patch=config.patch,
        stride=config.multiple,
        fraction=FRACTION,
        output=OUTPUT_FRACTION,
        facts=facts_of(checkpoint),
        **meaning_of(checkpoint),
    )
    for k, layer in enumerate(layers):
        after = layers[k + 1] if k + 1 < len(layers) else None
        graph = _append(graph, layer, measured[layer.name], heads, after)
    prove(graph)
    known = {"heads": {name: of.fractions for name, of in heads.items()}} if heads else {}
    facts = {**graph.facts, **known, "conformance": expected(graph)}
    return dataclasses.replace(graph, facts=facts)


def _append(
    graph: Graph,
    layer: FloatLayer,
    inputs: Activations,
    heads: Mapping[str, Heads],
    after: FloatLayer | None,
) -> Graph:
    """The graph with one more layer; heads: of those that attend; after: the next layer."""
    levels, given = graph.tensors["levels"], INPUT_FRACTION if layer.sources == (0,) else FRACTION
    made = Layer(
        name=layer.name,
        sources=layer.sources,
        silu=layer.silu,
        shift=0,
        limit=PEAK,
        upsample=layer.upsample,
        stride=layer.stride,
        add=layer.add,
        trailing=layer.trailing,
    )
    fraction, weight, bias = given, layer.weight, layer.bias
    out = np.full(len(weight), FRACTION if after else OUTPUT_FRACTION)
    if layer.norm is not None:
        fraction = FRACTION
        norm, tensors = norm_of(layer, inputs, levels, given)
        made = dataclasses.replace(made, norm=norm)
        own = {f"{layer.name}.{key}": tensor for key, tensor in tensors.items()}
        graph = dataclasses.replace(graph, tensors={**graph.tensors, **own})
    if layer.name in heads:
        fraction = heads[layer.name].value
        made = dataclasses.replace(made, attention=heads[layer.name].attention)
    if after and after.name in heads:  # of queries, keys and values
        factor, out = heads[after.name].factor, heads[after.name].given
        weight, bias = weight * factor[:, None, None, None], bias * factor
    rows = None if layer.level is None else level_rows(layer.level, levels)
    windows = bool(graph.windowed or made.norm or made.attention)
    return appended(graph, made, Sums(weight, bias, rows, out, fraction), inputs, windows)


def activation_table(name: str, fraction: int) -> NDArray[np.int16]:
    """The recipe's activation of every int16 that counts 2^-fraction, in the same unit."""
    x = np.arange(-32768, 32768) / 2.0**fraction
    return np.asarray(np.rint(curve(name, x) * 2**fraction), np.int16)


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
    for k, layer in enumerate(graph.layers):
        last = layer is graph.layers[-1]
        after = None if last else graph.layers[k + 1].attention
        out = np.array(graph.output if last else graph.fraction)
        if after:
            out = np.repeat(
                graph.facts["heads"][graph.layers[k + 1].name], len(graph.weight(layer)) // 3
            )
        fraction = activation_fraction(graph, layer)
        shift = graph.tensors[f"{layer.name}.shift"].astype(np.int64)
        unit = 2.0 ** (shift + out - fraction)
        if after:
            unit *= of_queries(len(unit) // 3, after.heads)
        weight = graph.weight(layer) / unit[:, None, None, None]
        bias = graph.tensors[f"{layer.name}.bias"] / unit / 2.0**fraction
        state[f"{layer.name}.weight"] = weight.transpose(0, 3, 1, 2).astype(np.float32)
        state[f"{layer.name}.bias"] = bias.astype(np.float32)
    return state


def activation_fraction(graph: Graph, layer: Layer) -> int:
    """Of what goes into the layer's convolution."""
    fraction = INPUT_FRACTION if layer.sources == (0,) and not layer.norm else graph.fraction
    if layer.attention:
        fraction = graph.facts["heads"][layer.name][2] + layer.attention.finer
    return fraction - layer.shift
