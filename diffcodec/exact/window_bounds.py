"""Proof that normalisation and attention never leave their integers, whatever the image.

What is read is clipped, and a window has a known number of pixels. So sums are bounded by these
two; the root of a variance from below by eps, and with it the factor A from above.
"""

from __future__ import annotations

import math

from diffcodec.errors import CheckpointError
from diffcodec.exact.attention import ONE, Attention
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.normalisation import SQUARE, Norm

PRODUCTS = 1 << 31  # of queries and keys: their sums are smaller
DOUBLES = 1 << 53  # and all others'


def prove_windows(graph: Graph, layer: Layer) -> None:
    """Raises CheckpointError naming the layer if one of its bounds is broken."""
    if layer.norm:
        channels = len(graph.tensors[f"{layer.name}.scale"])
        squares = layer.norm.count(channels) * layer.norm.limit**2
        _refuse(layer, squares, DOUBLES, "sums of squares")
        scale, offset = (_largest(graph, f"{layer.name}.{kind}") for kind in ("scale", "offset"))
        _refuse(
            layer,
            normalised(layer.norm, layer.norm.count(channels), scale, offset),
            DOUBLES,
            "normalised numbers",
        )
    if layer.attention:
        depth = graph.weight(layer).shape[3] // layer.attention.heads
        _refuse(layer, logits(layer.attention, depth), PRODUCTS, "logits")
        _refuse(layer, mixed(layer.attention), DOUBLES, "weighted values")


def normalised(norm: Norm, n: int, scale: int, offset: int) -> int:
    """What A u + B and all parts of it reach; scale, offset: the largest moduli.

    |A| <= scale / s + 1, as it is rounded downwards; |B| <= offset + |A| (limit + 1) + 1.
    """
    A = scale // math.isqrt(norm.eps << SQUARE) + 1
    return max(offset + A * (2 * norm.limit + 1) + 1 + (1 << norm.gain), A * n)


def logits(attention: Attention, depth: int) -> int:
    """What sums of products of queries and keys reach; depth: channels of a head."""
    return depth * attention.query * attention.key + (1 << attention.shift)


def mixed(attention: Attention) -> int:
    """What the numerator 2 (sum p v) 2^finer + sum p reaches."""
    weights = ONE * attention.window**2
    return weights * ((attention.value << attention.finer + 1) + 1)


def _largest(graph: Graph, name: str) -> int:
    """The largest modulus of a tensor and its levels."""
    tensors = (graph.tensors.get(name), graph.tensors.get(f"{name}_levels"))
    return sum(max(int(t.max()), -int(t.min())) for t in tensors if t is not None)


def _refuse(layer: Layer, reach: int, room: int, what: str) -> None:
    if reach >= room:
        raise CheckpointError(
            f"layer {layer.name} of the network breaks its bound: {what} can reach {reach}, and "
            f"{room - 1} is the most; export the network again"
        )
