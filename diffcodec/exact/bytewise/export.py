"""From a trained network to its integer network of bytes.

Every channel of what goes into a convolution has its own step, so that 255 of them reach from the
least to the largest value that was measured; the steps are folded into the weights. Clipping hurts
more than coarse steps do. Errors of weights are like the image and mostly cancel (rounding.py).
What was trained for its bytes (diffcodec.training.quantized) stays as it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Progress
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations, measure_ranges
from diffcodec.exact.bytewise.graph import HARD_SWISH_FRACTION, Activation, ByteGraph, ByteLayer
from diffcodec.exact.bytewise.narrowing import narrowed
from diffcodec.exact.bytewise.proof import prove_bytes
from diffcodec.exact.bytewise.rounded_layer import WORD, finest_bits, folded_weights, layer_tensors
from diffcodec.exact.conformance import expected
from diffcodec.exact.floats import FloatNetwork, embedding_of, facts_of, meaning_of
from diffcodec.exact.levels import level_rows, noise_levels
from diffcodec.exact.listing import FloatLayer
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.grids import Grid, grids_in

PIXELS = 2**17  # that ranges are narrowed by
LEVELS_PER_OCTAVE = 8  # of sigma, at which the noise embedding is kept
STREAM_ROOM = 1.25  # room above the largest value of a stream, which saturates
OUTPUT_FRACTION = 12


def export_bytes(
    checkpoint: Checkpoint,
    network: FloatNetwork,
    images: NDArray[np.uint8],
    progress: Progress | None = None,
) -> ByteGraph:
    """`to_bytes` with activations on images (N, H, W, 3); progress(noise levels done, of).

    network: the checkpoint's. One that was trained for bytes keeps its ranges, and weights that lie
    on its grids: only where a pair of them has to be cut do others make up for it.
    """
    measured = measure_ranges(network, images, progress)
    if not grids_in(checkpoint.weights):
        few = max(1, PIXELS // images[0, ..., 0].size)
        measured = narrowed(network, measured, list(images[:few]), progress)
    return to_bytes(checkpoint, network.layers, measured)


def to_bytes(
    checkpoint: Checkpoint, layers: Sequence[FloatLayer], measured: Mapping[str, Activations]
) -> ByteGraph:
    """The integer network of a checkpoint's layers, whose activations were measured, by name.

    Layers that were trained for bytes keep their grids. Raises CheckpointError, naming the layer,
    for what bytes have no form for.
    """
    grids = grids_in(checkpoint.weights)
    measured = {name: _as_trained(found, grids.get(name)) for name, found in measured.items()}
    config, levels = checkpoint.recipe.network, noise_levels(LEVELS_PER_OCTAVE)
    tensors: dict[str, NDArray[Any]] = {"levels": levels}
    tensors |= embedding_of(checkpoint, layers)
    graph = ByteGraph(
        layers=chain(layers, measured, config.activation),
        tensors=tensors,
        patch=config.patch,
        stride=config.stride,
        output=OUTPUT_FRACTION,
        facts=facts_of(checkpoint),
        **meaning_of(checkpoint),
    )
    for k, layer in enumerate(layers):
        rows = None if layer.level is None else level_rows(layer.level, levels)
        tensors |= layer_tensors(graph, k, layer, measured[layer.name], rows, grids.get(layer.name))
    prove_bytes(graph)
    return dataclasses.replace(graph, facts={**graph.facts, "conformance": expected(graph)})


def _as_trained(found: Activations, grid: Grid | None) -> Activations:
    """With the range that a layer was trained for, if it was."""
    if grid is None:
        return found
    low, high = grid.range.astype(np.float64)
    return dataclasses.replace(found, low=low, high=high)


def chain(
    layers: Sequence[FloatLayer], measured: Mapping[str, Activations], activation: str
) -> tuple[ByteLayer, ...]:
    """The layers without their tensors; raises CheckpointError where they are not a chain."""
    made = []
    for k, layer in enumerate(layers):
        if layer.norm is not None or layer.attention is not None or layer.trailing:
            raise CheckpointError(
                f"layer {layer.name} normalises, attends or has zeros on one side only, for which "
                "bytes have no form; export with --bits 16"
            )
        if layer.sources != (k,):
            raise CheckpointError(
                f"layer {layer.name} reads other streams than the one before it, for which bytes "
                'have no form; train with skips = "add", or export with --bits 16'
            )
        if layer.silu and activation == "silu":
            raise CheckpointError(
                f"layer {layer.name} reads SiLU, for which bytes have no form; train on with "
                'activation = "hard_swish", or export with --bits 16'
            )
        if layer.upsample and layer.weight.shape[1] > 1:
            raise CheckpointError(
                f"layer {layer.name} enlarges what a 3 x 3 kernel reads, for which bytes have no "
                'form; train with skips = "add", or export with --bits 16'
            )
        made.append(
            ByteLayer(
                name=layer.name,
                activation=_name(layer, activation),
                fraction=0,
                wide=k == 0,
                stride=layer.stride,
                upsample=layer.upsample,
                add=layer.add,
            )
        )
    return with_fractions(made, layers, measured)


def _name(layer: FloatLayer, activation: str) -> Activation:
    if not layer.silu:
        return "none"
    return "relu" if activation == "relu" else "hard_swish"


def with_fractions(
    made: Sequence[ByteLayer], layers: Sequence[FloatLayer], measured: Mapping[str, Activations]
) -> tuple[ByteLayer, ...]:
    """With the fraction of every output: as many bits as its largest value leaves.

    They are alike where outputs are added; and no output is finer than the sums it is made of.
    """
    group = list(range(len(made)))
    for k, layer in enumerate(made):
        if layer.add is not None:
            old, new = group[k], group[layer.add - 1]
            group = [new if g == old else g for g in group]
    wanted = [_most_fraction(k, layers, measured) for k in range(len(made))]
    wanted[-1] = OUTPUT_FRACTION
    while True:
        least = {g: min(w for w, h in zip(wanted, group, strict=True) if h == g) for g in group}
        found = tuple(
            dataclasses.replace(layer, fraction=least[g])
            for layer, g in zip(made, group, strict=True)
        )
        finest = [
            int(
                finest_bits(
                    folded_weights(found, k, layer, measured[layer.name])[1], found[k]
                ).min()
            )
            for k, layer in enumerate(layers)
        ]
        if all(bits >= layer.fraction for bits, layer in zip(finest, found, strict=True)):
            return found
        wanted = [min(pair) for pair in zip(wanted, finest, strict=True)]
        if min(wanted) < 0 or wanted[-1] < OUTPUT_FRACTION:
            name = layers[int(np.argmin(wanted))].name
            raise CheckpointError(
                f"the weights of {name} are too large for their bits; train the network longer, "
                "or at a lower rate"
            )


def _most_fraction(
    k: int, layers: Sequence[FloatLayer], measured: Mapping[str, Activations]
) -> int:
    """What the largest value of an output leaves.

    Where nothing but an activation reads it, what lies far below 0 may saturate.
    """
    peak = measured[layers[k].name].out
    added = layers[k].add is not None or any(layer.add == k + 1 for layer in layers)
    if not added and k + 1 < len(layers) and layers[k + 1].silu:
        peak = float(measured[layers[k + 1].name].high.max())
    bits = math.floor(math.log2(WORD / max(peak * STREAM_ROOM, 1.0)))
    return min(bits, HARD_SWISH_FRACTION)
