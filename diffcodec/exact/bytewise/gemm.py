"""The integer network of bytes by torch's products of int8, on the CPU or a CUDA device.

torch._int_mm multiplies int8 matrices into int32 by what the device has for that: tensor cores, or
AMX and VNNI. It is exact. A convolution is one such product of gathered rows. Bytes become signed
by taking 128 off; the bias makes up for it. Processors without VNNI or AMX add neighbours up in 16
bits, as graph.py says, after oneDNN has added 128 again: so every tap has an even number of
channels. Layers of 16 bits are multiplied in float64, which holds all their sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcodec.bitstream.types import Int16
from diffcodec.exact.bytewise.graph import HARD_SWISH_FRACTION, ByteGraph
from diffcodec.network.threads import torch_threads

# cuBLAS takes rows that are multiples of 8 bytes, and more than 16 of them. Some releases were
# wrong where their number is odd; and what begins at multiples of 16 bytes is faster.
SIXTEEN, ROWS = 16, 32
BAND = {"cpu": 1 << 23, "cuda": 1 << 28}  # bytes of gathered rows and their sums at a time, roughly


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
            streams = {0: _put(x, self.device)}
            for k, layer in enumerate(self.layers):
                bias = _put(np.stack([own[k] for own in biases]).astype(np.int32), self.device)
                add = self.graph.layers[k].add
                streams[k + 1] = layer(streams[k], bias, None if add is None else streams[add])
                needed = {k + 1} | {after.add for after in self.graph.layers[k + 1 :]}
                streams = {i: stream for i, stream in streams.items() if i in needed}
            return np.asarray(streams[len(self.layers)].cpu().numpy())


class _Layer:
    """One layer of a graph, its tensors on the device."""

    def __init__(self, graph: ByteGraph, k: int, device: torch.device) -> None:
        layer, fraction = graph.layers[k], graph.read(k)
        self.layer, self.fraction, self.band = layer, fraction, BAND[device.type]
        weight = graph.weight(layer)
        self.channels, self.kernel = len(weight), weight.shape[1]
        scale, zero = (graph.tensors.get(f"{layer.name}.{kind}") for kind in ("scale", "zero"))
        self.scale = None if scale is None else _put(scale.astype(np.int32), device)
        self.zero = None if zero is None else _put(zero.astype(np.int32), device)
        shift = graph.tensors[f"{layer.name}.shift"].astype(np.int32)
        more = (np.int32(1) << shift) >> 1  # than the bias
        self.tap = weight.shape[3]  # columns of each
        if zero is None:
            border = np.zeros(1, np.int16)
            flat: NDArray[Any] = weight.reshape(len(weight), -1).astype(np.float64)
        else:
            # sum w (q - zero) = sum w (q - 128) + sum w (128 - zero)
            border = (zero.astype(np.int16) - 128).astype(np.int8)
            off = (weight.astype(np.int64) * -border.astype(np.int64)).sum(axis=(1, 2, 3))
            more += off.astype(np.int32)
            self.tap += self.tap % 2
            even = np.pad(weight, [(0, 0), (0, 0), (0, 0), (0, self.tap - weight.shape[3])])
            flat = even.reshape(len(weight), -1)
            flat = np.pad(flat, [(0, -side % SIXTEEN) for side in flat.shape])
        self.border, self.weight = _put(border, device), _put(flat, device).T
        self.shift, self.more = _put(shift, device), _put(more, device)

    def __call__(self, stream: Tensor, bias: Tensor, add: Tensor | None) -> Tensor:
        """The output stream (N, H, W, C) int16; bias: (N, C) int32."""
        (n, height, width, _), step = stream.shape, self.layer.stride
        rows, columns, times = -(-height // step), -(-width // step), 1 + self.layer.upsample
        padded, bias = self._activations(stream), (bias + self.more)[:, None, None]
        out = stream.new_empty(n, times * rows, times * columns, self.channels)
        each = n * columns * (self.weight.element_size() * len(self.weight) + 8 * self.channels)
        band = max(1, self.band // each)
        for top in range(0, rows, band):
            end = min(top + band, rows)
            seen = padded[:, top * step : (end - 1) * step + self.kernel]
            part = self._sums(seen).add_(bias)
            part.bitwise_right_shift_(self.shift).clamp_(-32768, 32767)
            if self.layer.upsample:
                part = part.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
            own = slice(times * top, times * end)
            if add is not None:
                part.add_(add[:, own]).clamp_(-32768, 32767)
            out[:, own] = part
        return out

    def _activations(self, stream: Tensor) -> Tensor:
        """With a border of what stands for 0: int8, 128 below the bytes; int16 of a wide layer."""
        (n, height, width, channels), edge = stream.shape, self.kernel // 2
        shape = n, height + 2 * edge, width + 2 * edge, channels
        padded = self.border.expand(shape).contiguous()
        inner = padded[:, edge : edge + height, edge : edge + width]
        band = max(1, self.band // (8 * n * width * channels))
        for top in range(0, height, band):
            inner[:, top : top + band] = self._activated(stream[:, top : top + band])
        return padded

    def _activated(self, stream: Tensor) -> Tensor:
        if self.scale is None:
            return stream
        s = stream.to(torch.int32)
        if self.layer.activation == "relu":
            s = s.clamp_(min=0)
        elif self.layer.activation == "hard_swish":
            t = (s + (3 << self.fraction)).clamp_(0, 6 << self.fraction)
            s = _product(s, t << (HARD_SWISH_FRACTION - self.fraction))
        q = _product(s, self.scale)
        return q if self.zero is None else (q + self.zero).clamp_(0, 255).sub_(128)

    def _sums(self, padded: Tensor) -> Tensor:
        """Sums of products (N, H, W, C) int32 of all that the kernel fits on."""
        k, step, channels = self.kernel, self.layer.stride, padded.shape[3]
        seen = padded.unfold(1, k, step).unfold(2, k, step).permute(0, 1, 2, 4, 5, 3)
        n, height, width, *_ = seen.shape
        pixels = n * height * width
        # What is not filled in meets weights of 0, or goes into rows that nobody reads.
        flat = self.weight.new_empty(pixels + -pixels % ROWS, len(self.weight))
        taps = flat[:pixels, : k * k * self.tap].view(n, height, width, k, k, self.tap)
        taps[..., :channels] = seen
        if self.zero is None:
            sums = (flat @ self.weight).to(torch.int32)
        else:
            sums = torch._int_mm(flat, self.weight)
        return sums[:pixels, : self.channels].view(n, height, width, self.channels)


def _put(x: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).to(device)


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a * b + (1 << 14)) >> 15
