"""The integer network by torch's matrix products, on the CPU or a CUDA device.

No library convolution is called: some of them (NNPACK, cuDNN, oneDNN on ARM) use Winograd's
transforms, which round. A convolution here is one matrix product for each tap of the kernel. In
float64 these are exact as they stand. In float32 activations and weights are split into signed
bytes, and products of bytes are added up only as far as 2^24 is out of reach. Normalisation and
attention are always in float64 (gemm_windows.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Int16, Int32, Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact.gemm_windows import attend, normalise
from diffcodec.exact.graph import Graph, Layer
from diffcodec.network.threads import torch_threads

BAND = 2048  # output pixels at a time on a CPU, so that their sums stay in its cache
EXACT = {"float64": 1 << 53, "float32": 1 << 24}  # every integer up to here is one of the type

Tap = tuple[int, int, Tensor]  # row and column of the kernel, weights (c_in, c_out)


@dataclass(frozen=True, eq=False)
class Product:
    """A sum that is exact in the product's type, of one part of the activations by some weights.

    part: which of `split`'s parts of the activations; scale: what the sum is multiplied by.
    """

    part: int
    scale: float
    taps: list[Tap]


def available(device: str) -> bool:
    """Whether torch can compute there."""
    return device == "cpu" or torch.cuda.is_available()


class Gemm:
    """Evaluates a Graph like Reference, whole batches at a time.

    threads: at most so many on the CPU, None leaves torch's number. Raises CheckpointError for a
    network that is too wide for float32.
    """

    def __init__(
        self,
        graph: Graph,
        dtype: Literal["float64", "float32"] = "float64",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.graph, self.dtype, self.threads = graph, dtype, threads
        self.device = torch.device(device)
        self.silu = self._put(graph.tensors["silu"].astype(np.int32))
        exp2 = graph.tensors.get("exp2", np.zeros(0))
        self.exp2 = self._put(exp2.astype(np.float64))
        self.products = [self._products(layer) for layer in graph.layers]
        shifts = [graph.tensors[f"{layer.name}.shift"] for layer in graph.layers]
        self.shifts = [self._put(shift.astype(np.int32)) for shift in shifts]

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int32:
        """Output (N, H, W, C') int32 for input (N, H, W, C) int16 and noise variances (N,)."""
        levels = [self.graph.biases(float(level)) for level in v]
        with torch.inference_mode(), torch_threads(self.threads):
            streams = [self._put(np.ascontiguousarray(x, np.int32))]
            for number, layer in enumerate(self.graph.layers):
                bias = self._put(np.stack([biases[number] for biases in levels]).astype(np.int32))
                a = self._activations(layer, self._read(layer, streams, v))
                out = self._convolve(number, a, bias)
                streams.append(out if layer.add is None else out + streams[layer.add])
            return np.asarray(streams[-1].cpu().numpy())

    def _put(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _read(self, layer: Layer, streams: list[Tensor], v: NDArray[np.float64]) -> Tensor:
        x = torch.cat([streams[i] for i in layer.sources], dim=3)
        if layer.norm:
            rows = [self.graph.affine(layer.name, float(level)) for level in v]
            scale, offset = (torch.from_numpy(np.stack(t)) for t in zip(*rows, strict=True))
            return normalise(layer.norm, x, scale, offset)
        return attend(layer.attention, x, self.exp2) if layer.attention else x

    def _activations(self, layer: Layer, x: Tensor) -> Tensor:
        if layer.silu:
            index = x.clamp(-32768, 32767).add_(32768).long()
            x = self.silu[index] + (x - 32767).clamp_(min=0)
        a = (x + (1 << layer.shift >> 1) >> layer.shift).clamp_(-layer.limit, layer.limit)
        if layer.upsample:
            a = a.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        return a

    def _convolve(self, number: int, a: Tensor, bias: Tensor) -> Tensor:
        layer = self.graph.layers[number]
        kernel = self.graph.weight(layer).shape[1]
        (n, height, width, _), step = a.shape, layer.stride
        before = 0 if layer.trailing else kernel // 2
        around = (before, kernel - 1 - before)
        rows, columns = -(-height // step), -(-width // step)
        padded = [F.pad(part, (0, 0, *around, *around)) for part in self._split(a)]
        acc = bias[:, None, None].repeat(1, rows, columns, 1)
        band = rows if a.is_cuda else max(1, BAND // (n * columns))
        for top in range(0, rows, band):
            part = acc[:, top : top + band]
            part += self._sums(number, padded, top, part.shape).to(torch.int32)
        half = (1 << self.shifts[number]) >> 1
        return (acc + half) >> self.shifts[number]

    def _sums(self, number: int, padded: list[Tensor], top: int, shape: tuple[int, ...]) -> Tensor:
        """Sums of products, (N, H, W, C) float64 of this `shape`, whose first row is `top`."""
        step, (_, height, width, channels) = self.graph.layers[number].stride, shape
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for product in self.products[number]:
            seen = padded[product.part][:, top * step :]
            sums: Tensor | None = None
            for i, j, weight in product.taps:
                at = seen[:, i : i + height * step : step, j : j + width * step : step]
                flat = at.reshape(-1, at.shape[3])
                sums = flat @ weight if sums is None else sums.addmm_(flat, weight)
            if sums is not None:
                total = total + product.scale * sums.double()
        return total.expand(shape[0] * height * width, channels).reshape(shape)

    def _split(self, a: Tensor) -> list[Tensor]:
        """The parts of activations: all, or lower and upper signed bytes."""
        if self.dtype == "float64":
            return [a.double()]
        upper = a + 128 >> 8
        return [(a - (upper << 8)).float(), upper.float()]

    def _products(self, layer: Layer) -> list[Product]:
        weight = self.graph.weight(layer).astype(np.int64)
        if self.dtype == "float64":
            return self._exact(layer, weight, 0, layer.limit, 1.0)
        found: list[Product] = []
        upper = weight + 128 >> 8
        for bits, part in ((0, weight - (upper << 8)), (8, upper)):
            for number, limit in enumerate((min(layer.limit, 128), layer.limit + 128 >> 8)):
                scale = 2.0 ** (bits + 8 * number)
                found += self._exact(layer, part, number, limit, scale)
        return found

    def _exact(
        self, layer: Layer, weight: Int64, part: int, limit: int, scale: float
    ) -> list[Product]:
        """As few products as are exact with activations up to `limit`; none without weights."""
        room = EXACT[self.dtype]
        found: list[Product] = []
        reach = np.full(len(weight), room, np.int64)
        for i, j in np.ndindex(weight.shape[1:3]):
            tap = weight[:, i, j]
            most = np.abs(tap).sum(axis=1) * limit
            if not most.any():
                continue
            if most.max() >= room:
                raise CheckpointError(f"layer {layer.name} is too wide for {self.dtype}")
            reach = reach + most
            if reach.max() >= room:
                reach = most
                found.append(Product(part, scale, []))
            values = np.ascontiguousarray(tap.T).astype(self.dtype)
            found[-1].taps.append((i, j, self._put(values)))
        return found
