"""The integer network of bytes by torch's products of int8, on the CPU or a CUDA device.

torch._int_mm multiplies int8 matrices into int32 by what the device has for that: tensor cores, or
AMX and VNNI. It is exact. A convolution is one such product of gathered rows. Bytes become signed
by taking 128 off; the bias makes up for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Int16
from diffcodec.exact.bytewise.graph import HARD_SWISH_FRACTION, ByteGraph
from diffcodec.network.threads import torch_threads

EIGHT = 8  # cuBLAS multiplies matrices whose sides are multiples of it
FEWEST_ROWS = 32  # and that have more than 16 rows
BAND = {"cpu": 1 << 14, "cuda": 1 << 20}  # output pixels at a time, which bounds what is gathered


class ByteGemm:
    """Evaluates a ByteGraph like ByteReference, whole batches at a time.

    threads: at most so many on the CPU, None leaves torch's number.
    """

    def __init__(self, graph: ByteGraph, device: str = "cpu", threads: int | None = None) -> None:
        self.graph, self.threads, self.device = graph, threads, torch.device(device)
        self.layers = [_Layer(graph, k, self.device) for k in range(len(graph.layers))]

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int16:
        """Output (N, H, W, C') for input (N, H, W, C) and noise variances (N,)."""
        biases = [self.graph.biases(float(level)) for level in v]
        with torch.inference_mode(), torch_threads(self.threads):
            streams = [self._put(x)]
            for k, (layer, own) in enumerate(
                zip(self.layers, zip(*biases, strict=True), strict=True)
            ):
                bias = self._put(np.stack(own).astype(np.int32))
                add = self.graph.layers[k].add
                streams.append(layer(streams[-1], bias, None if add is None else streams[add]))
                self._forget(streams, k)
            return np.asarray(streams[-1].cpu().numpy())

    def _put(self, x: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.device)

    def _forget(self, streams: list[Tensor], k: int) -> None:
        """Drop the streams that no layer after number k reads or adds."""
        needed = {k + 1} | {layer.add for layer in self.graph.layers[k + 1 :]}
        for i in range(len(streams)):
            if i not in needed:
                streams[i] = streams[i][:0]


class _Layer:
    """One layer of a graph, its tensors on the device."""

    def __init__(self, graph: ByteGraph, k: int, device: torch.device) -> None:
        layer = graph.layers[k]
        get = graph.tensors.get
        self.layer, self.device = layer, device
        self.fraction = graph.read(k)
        weight = graph.weight(layer)
        self.channels, self.kernel = len(weight), weight.shape[1]
        scale, zero = get(f"{layer.name}.scale"), get(f"{layer.name}.zero")
        self.scale = None if scale is None else self._put(scale.astype(np.int32))
        self.shift = self._put(graph.tensors[f"{layer.name}.shift"].astype(np.int32))
        flat = weight.reshape(len(weight), -1).T
        if zero is None:
            self.zero, self.more = None, None
            self.weight = self._put(flat.astype(np.float64))
        else:
            # sum w (q - zero) = sum w (q - 128) + sum w (128 - zero)
            off = (weight.astype(np.int64) * (128 - zero.astype(np.int64))).sum(axis=(1, 2, 3))
            self.zero, self.more = self._put(zero.astype(np.int32)), self._put(off.astype(np.int32))
            rows, columns = (-side % EIGHT for side in flat.shape)
            self.weight = self._put(np.pad(flat, ((0, rows), (0, columns))).T.copy()).T

    def _put(self, x: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.device)

    def __call__(self, stream: Tensor, bias: Tensor, add: Tensor | None) -> Tensor:
        """The output stream (N, H, W, C) int16; bias: (N, C) int32."""
        a = self._activations(stream)
        edge, step = self.kernel // 2, self.layer.stride
        n, height, width, _ = a.shape
        rows, columns = -(-height // step), -(-width // step)
        padded = self._padded(a, edge)
        out = torch.empty((n, rows, columns, self.channels), dtype=torch.int16, device=self.device)
        band = max(1, BAND[self.device.type] // (n * columns))
        half = (1 << self.shift) >> 1
        for top in range(0, rows, band):
            end = min(top + band, rows)
            acc = self._sums(padded[:, top * step :], (n, end - top, columns))
            acc += (bias if self.more is None else bias + self.more)[:, None, None] + half
            out[:, top:end] = (acc >> self.shift).clamp_(-32768, 32767).to(torch.int16)
        if self.layer.upsample:
            out = out.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        if add is None:
            return out
        return (out.to(torch.int32) + add).clamp_(-32768, 32767).to(torch.int16)

    def _activations(self, stream: Tensor) -> Tensor:
        """int8, 128 below the bytes; or float64 of a wide layer."""
        s = stream.to(torch.int32)
        if self.scale is None:
            return s.double()
        if self.layer.activation == "relu":
            s = s.clamp_(min=0)
        elif self.layer.activation == "hard_swish":
            t = (s + (3 << self.fraction)).clamp_(max=32767).clamp_(0, 6 << self.fraction)
            s = _product(s, t << (HARD_SWISH_FRACTION - self.fraction))
        q = _product(s, self.scale)
        if self.zero is None:
            return q.double()
        return (q + self.zero).clamp_(0, 255).sub_(128).to(torch.int8)

    def _padded(self, a: Tensor, edge: int) -> Tensor:
        """With a border of what stands for 0."""
        if not edge:
            return a
        if self.zero is None:
            return F.pad(a, (0, 0, edge, edge, edge, edge))
        n, height, width, channels = a.shape
        shape = n, height + 2 * edge, width + 2 * edge, channels
        padded = (self.zero - 128).to(torch.int8).expand(shape).contiguous()
        padded[:, edge : edge + height, edge : edge + width] = a
        return padded

    def _sums(self, padded: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Sums of products (N, H, W, C) int32, from the first row of `padded` on."""
        (n, rows, columns), k, step = shape, self.kernel, self.layer.stride
        taps = [
            padded[:, i : i + (rows - 1) * step + 1 : step, j : j + (columns - 1) * step + 1 : step]
            for i in range(k)
            for j in range(k)
        ]
        flat = torch.cat(taps, dim=3).reshape(n * rows * columns, -1)
        if self.zero is None:
            sums = (flat @ self.weight).to(torch.int32)
        else:
            more = max(0, FEWEST_ROWS - len(flat))
            flat = F.pad(flat, (0, self.weight.shape[0] - flat.shape[1], 0, more))
            sums = torch._int_mm(flat, self.weight)[: n * rows * columns, : self.channels]
        return sums.reshape(n, rows, columns, self.channels)


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a * b + (1 << 14)) >> 15
