"""A float network as the integer one evaluates it: layer by layer, with what goes in and out.

Also what an integer network keeps of it besides its layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64
from diffcodec.exact.integers import TRAINED
from diffcodec.exact.listing import FloatLayer, layers_of
from diffcodec.network.activation import activation
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Betas
from diffcodec.network.grids import without_grids
from diffcodec.network.walk import double
from diffcodec.network.windows import from_windows, to_windows

# Of a layer: what it reads, what goes into the convolution, and what comes out.
Observer = Callable[[FloatLayer, Tensor, Tensor, Tensor], None]


def facts_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What an integer network knows about the one that it was made from."""
    return {
        "recipe": checkpoint.recipe.to_dict(),
        "tables": checkpoint.tables,
        "card": checkpoint.card,
        "trained": checkpoint.fingerprint.hex(),
    }


def meaning_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """How x0_hat follows from what an integer network yields: fields of it."""
    config = checkpoint.recipe.network
    betas: Betas = config.betas if config.predicts == "mu" else "linear"
    return {"predicts": config.predicts, "sigma_data": config.sigma_data, "betas": betas}


def embedding_of(checkpoint: Checkpoint, layers: Sequence[FloatLayer]) -> dict[str, NDArray[Any]]:
    """All weights but those of the layers, in float16: only training needs them again."""
    names = {layer.name for layer in layers}
    return {
        TRAINED + name: weight.astype(np.float16)
        for name, weight in without_grids(checkpoint.weights).items()
        if name.rpartition(".")[0] not in names
    }


class FloatNetwork:
    """Evaluates the layers in floating point: F of the prediction, and what leads to it."""

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
        self.config, self.dtype = checkpoint.recipe.network, dtype
        self.layers = layers_of(checkpoint)
        self.activation = activation(self.config.activation)

    def __call__(self, x: Tensor, v: Float64, observe: Observer | None = None) -> Tensor:
        """x: (N, C, H, W), pixels already unshuffled; v: (N,); observe: told of every layer."""
        return self.streams([x.to(self.dtype)], v, observe)[-1]

    def streams(
        self, known: list[Tensor], v: Float64, observe: Observer | None = None
    ) -> list[Tensor]:
        """All streams, from the first ones of them on, which are known: at least the input."""
        streams = list(known)
        for layer in self.layers[len(known) - 1 :]:
            x = torch.cat([streams[i] for i in layer.sources], dim=1)
            a = self._activations(layer, x, v)
            out = self.output(layer, a, streams, v)
            if observe:
                observe(layer, x, a, out)
            streams.append(out)
        return streams

    def activations(self, layer: FloatLayer, streams: Sequence[Tensor], v: Float64) -> Tensor:
        """What goes into a layer's convolution, before it is enlarged: (N, c_in, H, W)."""
        return self._activations(layer, torch.cat([streams[i] for i in layer.sources], dim=1), v)

    def output(self, layer: FloatLayer, a: Tensor, streams: Sequence[Tensor], v: Float64) -> Tensor:
        """A layer's stream, from its activations: (N, c_out, H, W)."""
        out = self._convolve(layer, double(a) if layer.upsample else a, v)
        return out if layer.add is None else out + streams[layer.add]

    def _activations(self, layer: FloatLayer, x: Tensor, v: Float64) -> Tensor:
        if layer.attention is not None:
            x = layer.attention.mixed(x)
        if layer.norm is not None:
            x = self._normalised(layer, x, v)
        return self.activation(x) if layer.silu else x

    def _normalised(self, layer: FloatLayer, x: Tensor, v: Float64) -> Tensor:
        assert layer.norm is not None
        n, _, height, width = x.shape
        x = F.group_norm(
            to_windows(x, layer.norm.window), layer.norm.norm.num_groups, eps=layer.norm.norm.eps
        )
        scale, offset = (torch.from_numpy(t).to(self.dtype) for t in layer.affine(v))
        return from_windows(x, n, height, width) * scale[..., None, None] + offset[..., None, None]

    def _convolve(self, layer: FloatLayer, a: Tensor, v: Float64) -> Tensor:
        weight, bias = (torch.from_numpy(t).to(self.dtype) for t in (layer.weight, layer.bias))
        weight, edge = weight.permute(0, 3, 1, 2), weight.shape[1] // 2
        if layer.trailing:
            a, edge = F.pad(a, (0, 2 * edge, 0, 2 * edge)), 0
        out = F.conv2d(a, weight, bias, stride=layer.stride, padding=edge)
        if layer.level is None:
            return out
        return out + torch.from_numpy(layer.level(v)).to(self.dtype)[:, :, None, None]
