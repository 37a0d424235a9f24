"""Training that sees the bytes: what a network yields when its layers multiply bytes by bytes.

The integer network of bytes (diffcodec.exact.bytewise) rounds what goes into a convolution to 256
levels a channel, and its weights to 8 bits. Here floats are rounded to the same numbers, and
gradients pass as if they had not been (Bengio et al. 2013, "straight-through"), so that weights
learn to live with it. Streams stay float; the first layer, which is wide, is left as it is.

Training begins at the integer network that the float one would be exported to: rounding its weights
to the nearest bytes costs decibels, rounding them well tenths (diffcodec.exact.rounding). Its grids
(diffcodec.network.grids) stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.exact.bytewise.export import export_bytes
from diffcodec.exact.bytewise.graph import PAIR
from diffcodec.exact.bytewise.rounded_layer import BYTE
from diffcodec.exact.bytewise.weights import byte_weights
from diffcodec.exact.floats import FloatNetwork
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.grids import Grid, Grids
from diffcodec.network.walk import Evaluation

HIGHEST = 255  # of the bytes


def on_grids(checkpoint: Checkpoint, images: NDArray[np.uint8]) -> Checkpoint:
    """A network with weights on grids, as its export with images (N, H, W, 3) has them.

    Raises CheckpointError, naming the layer, for what bytes have no form for.
    """
    network = FloatNetwork(checkpoint, torch.float32)
    graph = export_bytes(checkpoint, network, images)
    return Checkpoint(checkpoint.recipe, byte_weights(graph), checkpoint.tables, checkpoint.card)


def quantize(network: Network, grids: Grids) -> None:
    """Let forward() yield from now on what bytes of these grids would, by layer."""
    device = next(network.parameters()).device
    modules = dict(network.named_modules())
    rounders = {modules[name]: Rounder(grid, device) for name, grid in grids.items()}
    network.evaluation = partial(Quantized, rounders)


def rounded(weights: Mapping[str, Tensor], grids: Grids) -> dict[str, Tensor]:
    """A state_dict whose weights are those that `quantize` multiplies with."""
    found = dict(weights)
    for name, grid in grids.items():
        weight = weights[f"{name}.weight"]
        own = Rounder(grid, weight.device)
        found[f"{name}.weight"] = own.weights(weight) / own.step
    return found


class Rounder:
    """Rounds what goes into a convolution, and its weights, to the numbers of a grid."""

    def __init__(self, grid: Grid, device: torch.device) -> None:
        low, high = (end[:, None, None] for end in torch.from_numpy(grid.range).to(device))
        self.step = (high - low) / HIGHEST  # (c_in, 1, 1), as the next two
        self.least = (low / self.step).round()
        self.most = self.least + HIGHEST
        bits = torch.from_numpy(grid.bits).to(device).float()
        self.unit = torch.exp2(-bits)[:, None, None, None]

    def activations(self, a: Tensor) -> Tensor:
        """(N, c_in, H, W) in steps: whole numbers so small that bfloat16 has them."""
        return straight(torch.clamp(a.float() / self.step, self.least, self.most))

    def weights(self, weight: Tensor) -> Tensor:
        """What steps are multiplied with, (c_out, c_in, k, k): whole multiples of the unit."""
        counts = straight(torch.clamp(weight * (self.step / self.unit), -BYTE, BYTE))
        return within_pairs(counts) * self.unit


def within_pairs(counts: Tensor) -> Tensor:
    """Whole weights (c_out, c_in, k, k), the second of each two neighbours cut as exports do."""
    first, second = counts[:, : counts.shape[1] // 2 * 2 : 2], counts[:, 1::2]
    room = first.detach()
    cut = torch.clamp(second, -PAIR - room.clamp(max=0), PAIR - room.clamp(min=0))
    both = torch.stack([first, cut], dim=2).flatten(1, 2)
    return torch.cat([both, counts[:, both.shape[1] :]], dim=1)


def straight(x: Tensor) -> Tensor:
    """x rounded to whole numbers, with the gradient of x."""
    return x + (x.round() - x).detach()


class Quantized(Evaluation):
    """Walks as Evaluation does, and multiplies bytes where a convolution has a grid."""

    def __init__(
        self,
        rounders: Mapping[nn.Module, Rounder],
        embedding: Tensor,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(embedding, activation)
        self.rounders = rounders

    def convolve(self, layer: nn.Conv2d, h: Tensor, float32: bool) -> Tensor:
        """As Evaluation's. Streams are sums of float32 even if autocast has bfloat16 products."""
        own = self.rounders.get(layer)
        if own is None:
            return super().convolve(layer, h, float32=True)
        weight, edge = own.weights(layer.weight), cast(int, layer.padding[0])
        return F.conv2d(own.activations(h), weight, layer.bias, layer.stride, edge).float()
