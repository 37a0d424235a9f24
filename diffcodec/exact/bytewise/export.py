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

from diffcodec.bitstream.types import Float64, Int64, Progress
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations, measure_ranges
from diffcodec.exact.bytewise.graph import (
    HARD_SWISH_FRACTION,
    PAIR,
    Activation,
    ByteGraph,
    ByteLayer,
    gain,
)
from diffcodec.exact.bytewise.narrowing import narrowed
from diffcodec.exact.bytewise.proof import accumulator, prove_bytes
from diffcodec.exact.conformance import expected
from diffcodec.exact.floats import FloatLayer, FloatNetwork
from diffcodec.exact.integers import INPUT_FRACTION, TRAINED
from diffcodec.exact.levels import level_rows, noise_levels
from diffcodec.exact.overflow import ROOM
from diffcodec.exact.rounding import Rounding
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.grids import Grid, grids_in, without_grids

PIXELS = 2**17  # that ranges are narrowed by
LEVELS_PER_OCTAVE = 8  # of sigma, at which the noise embedding is kept
ROOM_ABOVE = 1.0  # the range of a channel, to the range that was measured
STREAM_ROOM = 1.25  # the same of a stream, which saturates
OUTPUT_FRACTION = 12
BYTE, WORD = 127, 32767  # the largest weights
MOST_SHIFT = 24  # what an accumulator counts below its stream, in bits


@dataclasses.dataclass(frozen=True)
class Steps:
    """What one of the bytes of each channel stands for, and which of them stands for 0.

    scale: int16, of the integer network; step, zero: (c_in,), the same in numbers.
    """

    scale: NDArray[np.int16]
    step: Float64
    zero: Float64

    @staticmethod
    def of(found: Activations, activation: str, fraction: int) -> Steps:
        """Steps for what was measured, of a stream that counts 2^-fraction."""
        span = np.maximum((found.high - found.low) * ROOM_ABOVE, 2.0**-fraction)
        unit = 2.0**fraction * gain(activation)  # of what the scale multiplies
        scale = np.clip(np.rint(255 / span / unit * 2**15), 1, WORD)
        step = 2**15 / (scale * unit)
        zero = np.clip(np.rint(-found.low * ROOM_ABOVE / step), 0, 255)
        return Steps(scale.astype(np.int16), step, zero)


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
    names = {layer.name for layer in layers}
    tensors: dict[str, NDArray[Any]] = {"levels": levels}
    for name, weight in without_grids(checkpoint.weights).items():
        if name.rpartition(".")[0] not in names:
            tensors[TRAINED + name] = weight.astype(np.float16)
    graph = ByteGraph(
        layers=chain(layers, measured, config.activation),
        tensors=tensors,
        patch=config.patch,
        stride=config.stride,
        sigma_data=config.sigma_data,
        output=OUTPUT_FRACTION,
        facts={
            "recipe": checkpoint.recipe.to_dict(),
            "tables": checkpoint.tables,
            "card": checkpoint.card,
            "trained": checkpoint.fingerprint.hex(),
        },
    )
    for k, layer in enumerate(layers):
        rows = None if layer.level is None else level_rows(layer.level, levels)
        tensors |= _tensors(graph, k, layer, measured[layer.name], rows, grids.get(layer.name))
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
            int(_bits(_folded(found, k, layer, measured[layer.name])[1], found[k]).min())
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


# --- one layer ---


def _tensors(
    graph: ByteGraph,
    k: int,
    layer: FloatLayer,
    found: Activations,
    rows: Float64 | None,
    grid: Grid | None,
) -> dict[str, NDArray[Any]]:
    """The tensors of a layer, named for the graph."""
    made = graph.layers[k]
    steps, folded = _folded(graph.layers, k, layer, found)
    tensors: dict[str, NDArray[Any]] = {}
    if not made.wide:
        tensors = {"scale": steps.scale, "zero": steps.zero.astype(np.uint8)}
    each = np.tile(steps.step, layer.weight.shape[1] * layer.weight.shape[2])
    rounding = Rounding(found.moments / np.outer(each, each), 0 if made.wide else PAIR)
    bits, peak = _bits(folded, made), _peak(made)
    if grid is not None:
        bits = grid.bits.astype(np.int64)
    elif not made.wide:
        bits = bits + rounding.finer(folded * 2.0 ** bits[:, None], peak)
    bits = np.minimum(bits, made.fraction + MOST_SHIFT)
    while True:
        tensors |= _integers(layer, rounding, folded, rows, bits, peak, made)
        named = {f"{layer.name}.{key}": tensor for key, tensor in tensors.items()}
        tried = dataclasses.replace(graph, tensors={**graph.tensors, **named})
        over = accumulator(tried, made) >= ROOM
        if not over.any():
            return named
        bits = bits - over


def _folded(
    made: Sequence[ByteLayer], k: int, layer: FloatLayer, found: Activations
) -> tuple[Steps, Float64]:
    """Steps of what a layer reads, and its weights (c_out, K) for one step of each."""
    if made[k].wide:
        channels = layer.weight.shape[3]
        unit = np.full(channels, 2.0**-INPUT_FRACTION)
        steps = Steps(np.ones(channels, np.int16), unit, np.zeros(channels))
    else:
        steps = Steps.of(found, made[k].activation, made[k - 1].fraction)
    return steps, (layer.weight * steps.step).reshape(len(layer.weight), -1)


def _peak(made: ByteLayer) -> int:
    return WORD if made.wide else BYTE


def _bits(folded: Float64, made: ByteLayer) -> Int64:
    """The fraction of each output channel's sums, so that the largest weight fits."""
    with np.errstate(divide="ignore"):
        bits = np.floor(np.log2(_peak(made) / np.abs(folded).max(axis=1)))
    return np.asarray(np.minimum(bits, made.fraction + MOST_SHIFT), np.int64)


def _integers(
    layer: FloatLayer,
    rounding: Rounding,
    folded: Float64,
    rows: Float64 | None,
    bits: Int64,
    peak: int,
    made: ByteLayer,
) -> dict[str, NDArray[Any]]:
    """Weights and biases whose sums count 2^-bits."""
    if (bits < made.fraction).any():
        raise CheckpointError(
            f"the sums of {layer.name} are too large for 32 bits; train the network longer, or at "
            "a lower rate"
        )
    unit = 2.0**bits
    rounded = rounding(folded * unit[:, None], peak)
    found: dict[str, NDArray[Any]] = {
        "weight": rounded.reshape(layer.weight.shape).astype(np.int16 if made.wide else np.int8),
        "bias": np.rint(layer.bias * unit).astype(np.int32),
        "shift": (bits - made.fraction).astype(np.uint8),
    }
    if rows is not None:
        found["levels"] = np.rint(rows * unit).astype(np.int32)
    return found
