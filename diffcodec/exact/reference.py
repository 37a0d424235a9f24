"""The integer network in plain numpy: the definition that every backend has to meet.

With int64 it is the definition itself. With float64 it says the same, faster, because numpy then
multiplies matrices with BLAS: all sums stay below 2^31, far from 2^53, so nothing is rounded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int16, Int32, Int64
from diffcodec.exact.attention import attend
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import rounded_shift
from diffcodec.exact.normalisation import normalise


class Reference:
    """Evaluates a Graph, one image of a batch after the other."""

    def __init__(self, graph: Graph, dtype: type[np.int64] | type[np.float64] = np.int64) -> None:
        self.graph, self.dtype = graph, dtype
        self.silu = graph.tensors["silu"].astype(np.int64)
        self.exp2 = graph.tensors.get("exp2", np.zeros(0)).astype(np.int64)

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int32:
        """Output (N, H, W, C') int32 for input (N, H, W, C) int16 and noise variances (N,)."""
        return np.stack([self._one(image, level) for image, level in zip(x, v, strict=True)])

    def _one(self, x: Int16, v: float) -> Int32:
        streams = [x.astype(np.int64)]
        for layer, bias in zip(self.graph.layers, self.graph.biases(float(v)), strict=True):
            a = self._activations(layer, self._read(layer, streams, float(v)))
            out = self._convolve(layer, a, bias)
            streams.append(out if layer.add is None else out + streams[layer.add])
        return streams[-1].astype(np.int32)

    def _read(self, layer: Layer, streams: list[Int64], v: float) -> Int64:
        x = np.concatenate([streams[i] for i in layer.sources], axis=2)
        if layer.norm:
            return normalise(layer.norm, x, *self.graph.affine(layer.name, v))
        return attend(layer.attention, x, self.exp2, self.dtype) if layer.attention else x

    def _activations(self, layer: Layer, x: Int64) -> Int64:
        if layer.silu:
            x = self.silu[np.clip(x, -32768, 32767) + 32768] + np.maximum(x - 32767, 0)
        a = np.clip(rounded_shift(x, layer.shift), -layer.limit, layer.limit)
        return a.repeat(2, axis=0).repeat(2, axis=1) if layer.upsample else a

    def _convolve(self, layer: Layer, a: Int64, bias: Int64) -> Int64:
        weight = self.graph.weight(layer).astype(self.dtype)
        height, width, _ = a.shape
        edge, step = weight.shape[1] // 2, layer.stride
        around = (0, 2 * edge) if layer.trailing else (edge, edge)
        padded = np.pad(a, [around, around, (0, 0)]).astype(self.dtype)
        acc = np.zeros((-(-height // step), -(-width // step), len(weight)), self.dtype)
        for i in range(weight.shape[1]):
            for j in range(weight.shape[2]):
                acc += padded[i : i + height : step, j : j + width : step] @ weight[:, i, j].T
        shift = self.graph.tensors[f"{layer.name}.shift"].astype(np.int64)
        return rounded_shift(acc.astype(np.int64) + bias, shift)
