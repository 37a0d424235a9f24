"""Ways to evaluate an integer network: by name, or the fastest. All give the same integers."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.randomness import Stream, words
from diffcodec.checkpoint import CheckpointError
from diffcodec.exact.graph import Graph, Int16, Int32
from diffcodec.exact.reference import Reference

NAMES = ("numpy", "integers")  # the fastest first


class Unavailable(CheckpointError):
    """A way that cannot be had on this machine."""


class Path(Protocol):
    """Output (N, H, W, C') int32 for input (N, H, W, C) int16 and noise variances (N,)."""

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int32: ...


def open_path(graph: Graph, name: str | None = None, threads: int = 1) -> Path:
    """The way called `name`, or the fastest."""
    return Reference(graph, np.int64 if name == "integers" else np.float64)


def conforms(graph: Graph, path: Path, kind: Literal["quick", "full"] = "quick") -> bool:
    """Does it give the definition's integers for small pictures, extreme ones among them?"""
    side, channels = graph.stride // graph.patch, 3 * graph.patch**2
    drawn = words(0, Stream.LABELS, 1, 3 * side * side * channels)
    x = (drawn >> np.uint64(48)).astype(np.uint16).view(np.int16).reshape(3, side, side, channels)
    x = np.concatenate([x // np.array([1, 8, 64])[:, None, None, None].astype(np.int16)])
    x[0, 0], x[1, 0] = 32767, -32768
    v = graph.tensors["levels"][[0, len(graph.tensors["levels"]) // 2, -1]] * 1.01
    return np.array_equal(path(x, v), Reference(graph)(x, v))
