"""The integer network of bytes in plain numpy: the definition that every backend has to meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int16, Int64
from diffcodec.exact.bytewise.graph import ByteGraph, activated, clip16, product
from diffcodec.exact.integers import rounded_shift


class ByteReference:
    """Evaluates a ByteGraph, one image of a batch after the other.

    dtype: of the products; float64 says the same as int64, faster, because numpy then multiplies
    matrices with BLAS: all sums stay below 2^31, far from 2^53, so nothing is rounded.
    """

    def __init__(
        self, graph: ByteGraph, dtype: type[np.int64] | type[np.float64] = np.int64
    ) -> None:
        self.graph, self.dtype = graph, dtype

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int16:
        """Output (N, H, W, C') for input (N, H, W, C) and noise variances (N,)."""
        return np.stack([self._one(image, level) for image, level in zip(x, v, strict=True)])

    def _one(self, x: Int16, v: float) -> Int16:
        streams = [x.astype(np.int64)]
        for k, bias in enumerate(self.graph.biases(float(v))):
            layer = self.graph.layers[k]
            out = self._convolve(k, self.activations(k, streams[-1]), bias)
            if layer.upsample:
                out = out.repeat(2, axis=0).repeat(2, axis=1)
            streams.append(out if layer.add is None else clip16(out + streams[layer.add]))
        return streams[-1].astype(np.int16)

    def activations(self, k: int, stream: Int64) -> Int64:
        """What layer number k multiplies: q - zero, or 16 bits of a wide layer."""
        layer, tensors = self.graph.layers[k], self.graph.tensors
        scale = tensors.get(f"{layer.name}.scale")
        if scale is None:
            return stream
        h = activated(layer.activation, stream, self.graph.read(k))
        q = product(h, scale.astype(np.int64))
        if layer.wide:
            return q
        zero = tensors[f"{layer.name}.zero"].astype(np.int64)
        return np.asarray(np.clip(q + zero, 0, 255) - zero)

    def _convolve(self, k: int, a: Int64, bias: Int64) -> Int64:
        layer = self.graph.layers[k]
        weight = self.graph.weight(layer).astype(self.dtype)
        height, width, _ = a.shape
        edge, step = weight.shape[1] // 2, layer.stride
        padded = np.pad(a, [(edge, edge), (edge, edge), (0, 0)]).astype(self.dtype)
        acc = np.zeros((-(-height // step), -(-width // step), len(weight)), self.dtype)
        for i in range(weight.shape[1]):
            for j in range(weight.shape[2]):
                acc += padded[i : i + height : step, j : j + width : step] @ weight[:, i, j].T
        shift = self.graph.tensors[f"{layer.name}.shift"].astype(np.int64)
        return clip16(rounded_shift(acc.astype(np.int64) + bias, shift))
