"""One layer in bytes: steps of what it reads, and its weights and biases, rounded to integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64, Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations
from diffcodec.exact.bytewise.graph import PAIR, ByteGraph, ByteLayer, gain
from diffcodec.exact.bytewise.proof import accumulator
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.listing import FloatLayer
from diffcodec.exact.overflow import ROOM
from diffcodec.exact.rounding import Rounding
from diffcodec.network.grids import Grid

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
        span = np.maximum(found.high - found.low, 2.0**-fraction)
        unit = 2.0**fraction * gain(activation)  # of what the scale multiplies
        scale = np.clip(np.rint(255 / span / unit * 2**15), 1, WORD)
        step = 2**15 / (scale * unit)
        zero = np.clip(np.rint(-found.low / step), 0, 255)
        return Steps(scale.astype(np.int16), step, zero)


def layer_tensors(
    graph: ByteGraph,
    k: int,
    layer: FloatLayer,
    found: Activations,
    rows: Float64 | None,
    grid: Grid | None,
) -> dict[str, NDArray[Any]]:
    """The tensors of a layer, named for the graph."""
    made = graph.layers[k]
    steps, folded = folded_weights(graph.layers, k, layer, found)
    tensors: dict[str, NDArray[Any]] = {}
    if not made.wide:
        tensors = {"scale": steps.scale, "zero": steps.zero.astype(np.uint8)}
    each = np.tile(steps.step, layer.weight.shape[1] * layer.weight.shape[2])
    rounding = Rounding(found.moments / np.outer(each, each), 0 if made.wide else PAIR)
    bits, peak = finest_bits(folded, made), _peak(made)
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


def folded_weights(
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


def finest_bits(folded: Float64, made: ByteLayer) -> Int64:
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
