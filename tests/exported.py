"""A float network too small to be good, and its integer network."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.exact.export import export
from diffcodec.exact.graph import Graph, Layer
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Activation, NetworkConfig, Recipe, Skips, TrainConfig
from diffcodec.network.unet import UNet
from tests.synthetic import synthetic_image

TABLES = {"prior_mean": [0.1, 0.0, -0.1], "prior_variance": 0.3, "v": [1e-4, 1.0]}
TABLES |= {"mse": [1e-5, 0.2], "chains": {"6": [1.0, 0.1]}}


def untrained(
    patch: int = 1,
    blocks: int = 1,
    skips: Skips = "concat",
    norm: Literal["none", "group"] = "none",
    activation: Activation = "silu",
) -> Checkpoint:
    """Random weights, everywhere: the layers that start at zero too."""
    network = NetworkConfig(
        8, (1, 2, 2), blocks, (), norm, 16, patch, skips=skips, activation=activation
    )
    train = TrainConfig("edm", batch=4, steps=9, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16)
    torch.manual_seed(blocks)
    unet = UNet(network)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for fast, share in ((0, 0.0), (1, 0.1)):  # training makes it deaf to fast sinusoids
            unet.embed[0].weight[:, fast::4] *= share
    weights = {name: tensor.half().numpy() for name, tensor in unet.state_dict().items()}
    return Checkpoint(Recipe("tiny", network, train), weights, dict(TABLES), {"steps": 0})


def images() -> list[NDArray[np.uint8]]:
    """Four of (16, 16, 3)."""
    return [synthetic_image(16, 16, 3, seed) for seed in range(200, 204)]


@lru_cache
def exported(patch: int = 1, blocks: int = 1, skips: Skips = "concat") -> Graph:
    """The integer network of `untrained`."""
    torch.set_num_threads(1)
    return export(untrained(patch, blocks, skips), images())


def plain(weights: list[NDArray[np.int16]], patch: int, limit: int) -> Graph:
    """Layers one after the other that cut their input; all but the first add it to the output."""
    layers = []
    tensors = {"silu": np.zeros(65536, np.int16), "levels": np.array([1e-3, 1.0])}
    for i, weight in enumerate(weights):
        add = i if i else None
        layers.append(Layer(f"layer{i}", (i,), silu=False, shift=0, limit=limit, add=add))
        tensors[f"layer{i}.weight"] = weight
        tensors[f"layer{i}.bias"] = np.zeros(len(weight), np.int32)
        tensors[f"layer{i}.shift"] = np.zeros(len(weight), np.uint8)
    return Graph(tuple(layers), tensors, patch, patch, 0.5, 11, 14, {})
