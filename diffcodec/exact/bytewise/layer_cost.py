"""What the bytes of each layer cost alone: all other layers stay float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64, Progress
from diffcodec.exact.bytewise.alone import Alone
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.weights import bits_of, step_of
from diffcodec.exact.cost import SIGMAS_GREY
from diffcodec.exact.floats import FloatNetwork
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.walk import double

WORST = 8  # layers that the table has lines for


@dataclass(frozen=True)
class LayerCost:
    """How many dB of x0_hat's PSNR a layer costs at each of SIGMAS_GREY."""

    name: str
    db: tuple[float, ...]


def measure_layers(
    checkpoint: Checkpoint,
    graph: ByteGraph,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
) -> list[LayerCost]:
    """The cost of every layer on images (H, W, 3) of one size; progress(layers done, of)."""
    network, count = FloatNetwork(checkpoint, torch.float32), len(graph.layers)
    found = np.zeros((count, len(SIGMAS_GREY)))
    for i, sigma in enumerate(SIGMAS_GREY):
        alone = Alone(network, images, sigma)
        for k in range(count):
            found[k, i] = alone.cost(k, by_bytes(network, graph, k, alone.streams, alone.v))
            if progress:
                progress(i * count + k + 1, len(SIGMAS_GREY) * count)
    names = [layer.name for layer in graph.layers]
    return [LayerCost(name, tuple(own)) for name, own in zip(names, found.tolist(), strict=True)]


def table(costs: Sequence[LayerCost]) -> str:
    """The layers that cost most, and what all of them cost, as lines."""
    worst = sorted(costs, key=lambda cost: -sum(cost.db))[:WORST]
    every = LayerCost(f"all {len(costs)}", tuple(np.sum([cost.db for cost in costs], axis=0)))
    width = max(len(cost.name) for cost in (*worst, every))
    levels = "".join(f"{sigma:7g}" for sigma in SIGMAS_GREY)
    lines = [f"what a layer's bytes cost alone, in dB, at noise\n  {'':{width}}{levels}"]
    for cost in (*worst, every):
        lines.append(f"  {cost.name:{width}}" + "".join(f"{db:7.3f}" for db in cost.db))
    return "\n".join(lines)


def by_bytes(
    network: FloatNetwork, graph: ByteGraph, k: int, streams: Sequence[Tensor], v: Float64
) -> Tensor:
    """The output of layer k by its bytes, from float streams: (N, c_out, H, W)."""
    layer, tensors = graph.layers[k], graph.tensors
    a = network.activations(network.layers[k], streams, v)
    counts, zero = torch.round(a / _channels(step_of(graph, k))), tensors.get(f"{layer.name}.zero")
    if zero is not None:
        counts = torch.clamp(counts, _channels(-1.0 * zero), _channels(255.0 - zero))
    unit = 2.0 ** -bits_of(graph, layer)
    weight = graph.weight(layer) * unit[:, None, None, None]
    kernel = torch.from_numpy(weight.transpose(0, 3, 1, 2)).float()
    out = F.conv2d(counts, kernel, stride=layer.stride, padding=weight.shape[1] // 2)
    bias = np.stack([graph.biases(float(level))[k] for level in v]) * unit
    out = out + torch.from_numpy(bias).float()[:, :, None, None]
    out = double(out) if layer.upsample else out
    return out if layer.add is None else out + streams[layer.add]


def _channels(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(values).float()[:, None, None]
