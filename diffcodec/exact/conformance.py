"""Inputs that bring out what can go wrong, and what a network has to make of them.

The inputs are made of integers alone, so everyone has the same; a file of a network holds the
SHA-256 of the output that the definition gives. The quick vector is for every load of a network,
the full one for a self-test.
"""

from __future__ import annotations

import hashlib
from typing import Literal, Protocol

import numpy as np

from diffcodec.bitstream.randomness import Stream, octets
from diffcodec.bitstream.types import Float64, Int16, Int32
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.graph import Graph
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import AnyGraph

SEED = 0x65786163  # of the inputs
SIDES = {"quick": (1, 3), "full": (3, 5)}  # of the image, in strides: odd at every resolution
WINDOWS = {"quick": (1, 1), "full": (1, 2)}  # where a stride is a window, of tens of pixels

Kind = Literal["quick", "full"]


class Evaluator(Protocol):
    """A network, evaluated in some way: what a backend opens."""

    def __call__(self, x: Int16, v: Float64) -> Int16 | Int32:
        """The last stream (N, H, W, C') for the input (N, H, W, C) and noise variances (N,)."""
        ...


def vector(graph: AnyGraph, kind: Kind) -> tuple[Int16, Float64]:
    """Input (N, H, W, C) int16 and noise variances (N,): N = 3 for quick, 6 for full."""
    unit = graph.stride // graph.patch
    windowed = isinstance(graph, Graph) and graph.windowed
    height, width = (unit * side for side in (WINDOWS if windowed else SIDES)[kind])
    shape = height, width, 3 * graph.patch**2
    images = [_small(shape), _extremes(shape), np.zeros(shape, np.int16)]
    levels = graph.tensors["levels"]
    middle = len(levels) // 2
    inside = levels[middle] + 0.3 * (levels[middle + 1] - levels[middle])
    v = [float(inside), float(levels[0]) / 2, float(levels[-1]) * 2]
    if kind == "full":
        images += [_any(shape), _small(shape)[::-1], _extremes(shape)[:, ::-1]]
        v += [float(levels[-2]), float(levels[0]), float(levels[1])]
    return np.stack(images), np.array(v)


def _words(shape: tuple[int, ...], step: int) -> Int16:
    n = int(np.prod(shape))
    return octets(SEED, Stream.GAUSSIAN, step, 2 * n).view("<i2").reshape(shape).astype(np.int16)


def _small(shape: tuple[int, ...]) -> Int16:
    """As of images: moduli below 1."""
    return np.asarray(_words(shape, 0) >> 3, np.int16)


def _any(shape: tuple[int, ...]) -> Int16:
    return _words(shape, 1)


def _extremes(shape: tuple[int, ...]) -> Int16:
    return np.where(_words(shape, 2) < 0, np.int16(-32767), np.int16(32767))


def digest(evaluator: Evaluator, graph: AnyGraph, kind: Kind) -> str:
    """SHA-256 of what an evaluator makes of a vector, in hexadecimal."""
    out = evaluator(*vector(graph, kind))
    little_endian = np.ascontiguousarray(out, "<i4")
    return hashlib.sha256(str(out.shape).encode() + little_endian.tobytes()).hexdigest()


def expected(graph: AnyGraph) -> dict[str, str]:
    """The digests by the definition: what export stores as facts["conformance"]."""
    definition = definition_of(graph)
    return {"quick": digest(definition, graph, "quick"), "full": digest(definition, graph, "full")}


def definition_of(graph: AnyGraph) -> Evaluator:
    """The network as its kind's definition evaluates it."""
    return Reference(graph) if isinstance(graph, Graph) else ByteReference(graph)
