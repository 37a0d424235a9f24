"""The U-Net as the list of layers that an integer network is, still with float weights.

The walk follows `UNet.residual`: layers come in the order in which they are evaluated, each named
as torch names the convolution, and streams are numbered as in diffcodec.exact.graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64
from diffcodec.errors import CheckpointError
from diffcodec.network.config import NetworkConfig, Recipe
from diffcodec.network.unet import SIGMA_RANGE, UNet

Weights = Mapping[str, NDArray[Any]]
Observer = Callable[["FloatLayer", Tensor], None]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A convolution as diffcodec.exact.graph.Layer, in float64.

    weight: (c_out, k, k, c_in); bias: (c_out,); block: the residual block whose noise embedding
    is added to the bias, by name.
    """

    name: str
    sources: tuple[int, ...]
    silu: bool
    weight: Float64
    bias: Float64
    upsample: bool = False
    stride: int = 1
    add: int | None = None
    block: str | None = None


class _Walk:
    """The layers so far."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.layers = weights, list[FloatLayer]()

    def conv(self, name: str, sources: tuple[int, ...], **about: Any) -> int:
        """Append a layer; the number of its stream."""
        weight = self.weights[f"{name}.weight"].astype(np.float64).transpose(0, 2, 3, 1)
        bias = self.weights[f"{name}.bias"].astype(np.float64)
        about.setdefault("silu", False)
        self.layers.append(FloatLayer(name, sources, weight=weight, bias=bias, **about))
        return len(self.layers)

    def block(self, name: str, sources: tuple[int, ...]) -> int:
        """A residual block."""
        if f"{name}.skip.weight" in self.weights:
            skip = self.conv(f"{name}.skip", sources)
        else:
            (skip,) = sources  # a block that joins two streams always has fewer channels
        h = self.conv(f"{name}.conv1", sources, silu=True, block=name)
        return self.conv(f"{name}.conv2", (h,), silu=True, add=skip)


def layers_of(recipe: Recipe, weights: Weights) -> list[FloatLayer]:
    """The layers of a U-Net without normalisation and attention; raises CheckpointError."""
    config = recipe.network
    if config.norm != "none" or config.attention:
        raise CheckpointError(
            f"{recipe.name} has no exact form: only networks of convolutions alone do; train one "
            'with norm = "none" and attention = []'
        )
    _check_output(recipe)
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in UNet(config).state_dict().items()}
    if {name: weight.shape for name, weight in weights.items()} != wanted:
        raise CheckpointError(
            f"the weights of {recipe.name} do not fit its recipe; get the original file again"
        )
    if not all(np.isfinite(weight).all() for weight in weights.values()):
        raise CheckpointError(
            f"{recipe.name} has weights that are not numbers; train it again, at a lower rate"
        )
    return _walk(config, weights)


def _check_output(recipe: Recipe) -> None:
    """What the integer network and the codec around it have no place for, by name."""
    config, found = recipe.network, None
    if config.predicts != "preconditioned":
        found = f'network.predicts = "{config.predicts}" instead of "preconditioned"'
    elif config.sigma2 == "learned":
        found = 'network.sigma2 = "learned" instead of "beta"'
    elif config.fourier:
        found = "network.fourier, sines that are not integers, instead of []"
    if found:
        raise CheckpointError(
            f"{recipe.name} has no exact form: its recipe has {found}; such networks are measured "
            "(diffcodec nll), the codec does not run on them"
        )


def _walk(config: NetworkConfig, weights: Weights) -> list[FloatLayer]:
    walk, levels, add = _Walk(weights), len(config.multipliers), config.skips == "add"
    h = walk.conv("stem", (0,))
    skips = [h]
    for i in range(levels * config.blocks):
        h = walk.block(f"down.{i}.0", (h,))
        skips.append(h)
        level, last = divmod(i, config.blocks)
        if last == config.blocks - 1 and level < levels - 1:
            h = walk.conv(f"shrink.{level}", (h,), stride=2)
            skips.append(h)
    joined = [skips[j * (config.blocks + 1) - 1] for j in range(1, levels)]  # what add joins
    for i in range(2):
        h = walk.block(f"middle.{i}.0", (h,))
    for i in range(levels * (config.blocks + 1)):
        h = walk.block(f"up.{i}.0", (h,) if add else (h, skips.pop()))
        level, last = divmod(i, config.blocks + 1)
        if last == config.blocks and level < levels - 1:
            skip = joined.pop() if add else None
            h = walk.conv(f"grow.{level}", (h,), upsample=True, add=skip)
    walk.conv("head", (h,), silu=True)
    return walk.layers


def embedding(weights: Weights, block: str, channels: int, v: Float64) -> Float64:
    """What a block adds to its first convolution at noise variances v (L,): (L, c_out)."""
    w = {k: a.astype(np.float64) for k, a in weights.items() if "embed" in k}
    low, high = np.log(SIGMA_RANGE)
    t = np.clip((np.log(v) / 2 - low) / (high - low), 0, 1) * 1000
    half = channels // 2
    angles = t[:, None] * np.exp(-math.log(10000.0) * np.arange(half) / half)
    h = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    h = _silu(h @ w["embed.0.weight"].T + w["embed.0.bias"])
    h = _silu(h @ w["embed.2.weight"].T + w["embed.2.bias"])
    return np.asarray(h @ w[f"{block}.embed.weight"].T + w[f"{block}.embed.bias"])


def _silu(x: Float64) -> Float64:
    return np.asarray(x / (1 + np.exp(-x)))


class FloatNetwork:
    """Evaluates the layers in floating point: F of the preconditioning, and what leads to it."""

    def __init__(self, recipe: Recipe, weights: Weights, dtype: torch.dtype) -> None:
        self.recipe, self.weights, self.dtype = recipe, weights, dtype
        self.layers = layers_of(recipe, weights)

    def __call__(self, x: Tensor, v: Float64, observe: Observer | None = None) -> Tensor:
        """x: (N, C, H, W), pixels already unshuffled; v: (N,); observe(layer, activation)."""
        streams = [x.to(self.dtype)]
        for layer in self.layers:
            a = torch.cat([streams[i] for i in layer.sources], dim=1)
            a = F.silu(a) if layer.silu else a
            if observe:
                observe(layer, a)
            if layer.upsample:
                a = F.interpolate(a, scale_factor=2.0, mode="nearest")
            out = self._convolve(layer, a, v)
            streams.append(out if layer.add is None else out + streams[layer.add])
        return streams[-1]

    def _convolve(self, layer: FloatLayer, a: Tensor, v: Float64) -> Tensor:
        weight = torch.from_numpy(layer.weight.transpose(0, 3, 1, 2)).to(self.dtype)
        bias = torch.from_numpy(layer.bias).to(self.dtype)
        out = F.conv2d(a, weight, bias, stride=layer.stride, padding=weight.shape[-1] // 2)
        if layer.block is None:
            return out
        level = embedding(self.weights, layer.block, self.recipe.network.channels, v)
        return out + torch.from_numpy(level).to(self.dtype)[:, :, None, None]
