"""One layer's integers: where its activations are cut, and how its weights are rounded.

Activations and weights share the 31 bits of an accumulator. Those of convolutions alone take the 15
bits that int16 has for them, and weights what is left, about 8. Where a network normalises, layers
are wide, and fewer would be left: then they are shared out so that the error is least.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64, Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.overflow import ROOM, accumulator, activation
from diffcodec.exact.rounding import Rounding
from diffcodec.exact.shapes import PEAK

HEADROOM = 1.5  # room above the largest activation that was measured
FRACTION = 11  # of the streams
SCALE = 24  # most bits of a weight's fraction
COARSER = 5  # bits that activations may give to weights

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Sums:
    """What a layer adds up, in real numbers.

    weight: (c_out, k, k, c_in); bias: (c_out,); rows: (L, c_out), what noise levels add to it, if
    they do; out: (c_out,), the output's fractions; fraction: of activations that are not cut.
    """

    weight: Float64
    bias: Float64
    rows: Float64 | None
    out: Int64
    fraction: int


def appended(
    graph: Graph, layer: Layer, sums: Sums, inputs: Activations, balanced: bool = False
) -> Graph:
    """The graph with one more layer, of which `layer` says all but shift and limit.

    balanced: whether activations give bits to weights. Raises CheckpointError, naming the layer.
    """
    rounding = Rounding(inputs.moments)
    best, least = None, math.inf
    for coarser in range(COARSER if balanced else 1):
        made = cut(layer, inputs.peak, sums.fraction, coarser)
        tensors, scale = _settled(graph, made, sums, rounding)
        if best is None or balanced:
            error = _error(sums, tensors, scale, inputs, sums.fraction - made.shift)
            if error < least:
                best, least = _grown(graph, made, tensors), error
    assert best
    return best


def cut(layer: Layer, peak: float, fraction: int, coarser: int = 0) -> Layer:
    """With shift and limit: as fine as int16 allows, or so many bits coarser.

    The input of the network is not cut.
    """
    if layer.sources == (0,) and not layer.norm:
        return dataclasses.replace(layer, shift=0, limit=PEAK)
    shift = 0
    largest = HEADROOM * max(peak, 2.0**-FRACTION) * 2**fraction
    while largest / 2**shift > PEAK:
        shift += 1
    shift += coarser
    limit = math.ceil(largest / 2**shift)
    return dataclasses.replace(layer, shift=shift, limit=min(limit, PEAK))


def _settled(graph: Graph, made: Layer, sums: Sums, rounding: Rounding) -> tuple[Tensors, Int64]:
    """Its tensors, and the fractions of its weights, so fine that no sum overflows."""
    fraction, silu = sums.fraction - made.shift, int(graph.tensors["silu"].min())
    scale = _first_scale(sums, activation(made, silu), fraction)
    while True:
        if (scale + fraction < sums.out).any():
            raise CheckpointError(
                f"the weights of {made.name} are too large for their bits; train the network "
                "longer, or at a lower rate"
            )
        tensors = _integers(sums, rounding, fraction, scale)
        grown = _grown(graph, made, tensors)
        low, high = accumulator(grown, made, activation(made, silu))
        over = np.maximum(-low, high) >= ROOM
        if not over.any():
            return tensors, scale
        scale = scale - over


def _grown(graph: Graph, made: Layer, tensors: Tensors) -> Graph:
    own = {f"{made.name}.{key}": tensor for key, tensor in tensors.items()}
    return dataclasses.replace(
        graph, layers=(*graph.layers, made), tensors={**graph.tensors, **own}
    )


def _first_scale(sums: Sums, ends: tuple[int, int], fraction: int) -> Int64:
    """The fraction of each output channel's weights that would do if nothing was rounded.

    ends: lowest and highest activation.
    """
    low, high = ends
    up = np.maximum(sums.weight, 0).sum(axis=(1, 2, 3))
    down = np.maximum(-sums.weight, 0).sum(axis=(1, 2, 3))
    level = np.abs(sums.bias)
    level = level + (0.0 if sums.rows is None else np.abs(sums.rows).max(axis=0))
    most = np.maximum(up, down) * high - np.minimum(up, down) * low + level * 2.0**fraction
    largest = np.abs(sums.weight).max(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        bits = np.minimum(np.log2(ROOM / most), np.log2(PEAK / largest))
    return np.asarray(np.floor(np.minimum(bits, SCALE)), np.int64)


def _integers(sums: Sums, rounding: Rounding, fraction: int, scale: Int64) -> Tensors:
    """The tensors of a layer."""
    unit = 2.0**scale
    flat = sums.weight.reshape(len(scale), -1) * unit[:, None]
    weight = rounding(flat, PEAK).reshape(sums.weight.shape)
    found: Tensors = {
        "weight": weight.astype(np.int16),
        "bias": np.rint(sums.bias * unit * 2.0**fraction).astype(np.int32),
        "shift": (fraction + scale - sums.out).astype(np.uint8),
    }
    if sums.rows is not None:
        found["levels"] = np.rint(sums.rows * unit * 2.0**fraction).astype(np.int32)
    return found


def _error(sums: Sums, tensors: Tensors, scale: Int64, inputs: Activations, fraction: int) -> float:
    """The square of what rounding weights and cutting activations changes, roughly."""
    weight = sums.weight.reshape(len(scale), -1)
    wrong = tensors["weight"].reshape(weight.shape) * 2.0 ** -scale[:, None] - weight
    of_weights = np.einsum("ok,ok->", wrong @ inputs.moments, wrong)
    of_activations = np.square(weight).sum() * 4.0**-fraction / 12 * inputs.weight
    return float(of_weights + of_activations)
