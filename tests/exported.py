"""A float network too small to be good, and its integer network."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.exact.activation_ranges import measure_ranges, network_input
from diffcodec.exact.bytewise.export import to_bytes
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.export import export
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.reference import Reference
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import (
    Activation,
    Betas,
    NetworkConfig,
    Objective,
    Predicts,
    Recipe,
    Skips,
    TrainConfig,
)
from diffcodec.network.unet import UNet
from tests.synthetic import synthetic_image

LEVELS = (np.array([0.4, 3.0, 40.0, 900.0, 2000.0]) / 127.5) ** 2  # of `noisy`
TABLES = {"prior_mean": [0.1, 0.0, -0.1], "prior_variance": 0.3, "v": [1e-4, 1.0]}
TABLES |= {"mse": [1e-5, 0.2], "chains": {"6": [2.0, 1.0, 0.5, 0.2, 0.1, 0.05]}}


def untrained(
    patch: int = 1,
    blocks: int = 1,
    skips: Skips = "concat",
    norm: Literal["none", "group"] = "none",
    activation: Activation = "silu",
    attention: tuple[int, ...] = (),
    objective: Objective = "edm",
    **fields: Any,
) -> Checkpoint:
    """Random weights, everywhere: the layers that start at zero too. fields: of NetworkConfig."""
    fields = {"skips": skips, "activation": activation, **fields}
    network = NetworkConfig(8, (1, 2, 2), blocks, attention, norm, 16, patch, **fields)
    train = TrainConfig(
        objective, batch=4, steps=9, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16
    )
    torch.manual_seed(blocks)
    unet = UNet(network)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for fast, share in ((0, 0.0), (1, 0.1)):  # training makes it deaf to fast sinusoids
            unet.embed[0].weight[:, fast::4] *= share
    weights = {name: tensor.half().numpy() for name, tensor in unet.state_dict().items()}
    return Checkpoint(Recipe("tiny", network, train), weights, dict(TABLES), {"steps": 0})


# Of networks with groups and attention: as the first ones, as DDPM's, as improved DDPM's.
WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"attention": (8,)},
    "ddpm": {"attention": (8,), "predicts": "eps", "eps": 1e-6, "groups": 4, "head_width": 4}
    | {"middle": "attention", "downsampling": "same", "condition": "timestep", "freq_shift": 1},
    "shifts": {"patch": 2, "scale_shift": True, "middle": "bare_attention"},
}


def attending(form: str, **fields: Any) -> Checkpoint:
    """`untrained` with groups and attention, of a form in WINDOWS."""
    return untrained(norm="group", **{**WINDOWS[form], **fields})


def predicting(
    predicts: Predicts,
    betas: Betas = "linear",
    skips: Skips = "concat",
    activation: Activation = "silu",
) -> Checkpoint:
    """`untrained` whose output means something else."""
    checkpoint = untrained(1, 1, skips, activation=activation)
    network = replace(checkpoint.recipe.network, predicts=predicts, betas=betas)
    return replace(checkpoint, recipe=replace(checkpoint.recipe, network=network))


def images() -> list[NDArray[np.uint8]]:
    """Four of (16, 16, 3)."""
    return [synthetic_image(16, 16, 3, seed) for seed in range(200, 204)]


@lru_cache
def exported(patch: int = 1, blocks: int = 1, skips: Skips = "concat") -> Graph:
    """The integer network of `untrained`."""
    torch.set_num_threads(1)
    return export(untrained(patch, blocks, skips), images())


@lru_cache
def exported_windows(form: str) -> Graph:
    """The integer network of `attending`."""
    torch.set_num_threads(1)
    return export(attending(form), images())


@lru_cache
def exported_bytes(patch: int = 1, blocks: int = 1) -> ByteGraph:
    """The network of bytes of `untrained` with what bytes have a form for."""
    torch.set_num_threads(1)
    checkpoint = untrained(patch, blocks, "add", activation="hard_swish")
    network = FloatNetwork(checkpoint, torch.float32)
    return to_bytes(checkpoint, network.layers, measure_ranges(network, np.stack(images())))


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


# --- what they say ---


def noisy(patch: int, seed: int = 0, rows: int = 24) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """c_in y of an image (rows, 16) at every level, pixels unshuffled, and the levels."""
    rng = np.random.default_rng(seed)
    x0 = synthetic_image(rows, 16, 3, seed=300).transpose(2, 0, 1) / 127.5 - 1
    y = x0 + np.sqrt(LEVELS)[:, None, None, None] * rng.standard_normal((len(LEVELS), 3, rows, 16))
    checkpoint = untrained(patch)
    network = FloatNetwork(checkpoint, torch.float64)
    return network_input(network, y, LEVELS), LEVELS


def integers(graph: Graph, x: torch.Tensor, v: NDArray[np.float64]) -> NDArray[np.float64]:
    """F by the definition: (N, C, H, W)."""
    counts = np.rint(x.numpy() * 2**INPUT_FRACTION).clip(-32768, 32767).astype(np.int16)
    out = Reference(graph, np.float64)(counts.transpose(0, 2, 3, 1), v)
    return np.asarray(out.transpose(0, 3, 1, 2) / 2.0**graph.output)


def apart(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Relative error of each image."""
    axes = (1, 2, 3)
    return np.asarray(np.sqrt(((a - b) ** 2).mean(axis=axes) / (b**2).mean(axis=axes)))
