"""Networks of every kind that are too small to be good, with tables that somebody measured."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from diffcodec.exact.attention import Attention, exp2_table
from diffcodec.exact.bytewise.graph import ByteGraph, ByteLayer
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.normalisation import Norm
from diffcodec.exact.stored import AnyGraph, load_integers
from diffcodec.golden import NETWORK
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.network.tensors import Tensors

LEVELS = np.array([0.001, 0.1, 10.0])  # noise variances
WIDTH = 4  # channels
DDPM: dict[str, Any] = {  # as folders of diffusers have it
    "name": "small",
    "network": {
        "channels": 8,
        "multipliers": [1, 2],
        "blocks": 1,
        "attention": [4],
        "norm": "group",
        "window": 8,
        "predicts": "eps",
        "groups": 4,
        "eps": 1e-6,
        "middle": "attention",
        "downsampling": "same",
        "condition": "timestep",
        "freq_shift": 1,
    },
    "train": {
        "objective": "simple",
        "batch": 4,
        "steps": 9,
        "lr": 1e-3,
        "warmup": 1,
        "cooldown": 0.5,
        "ema": 0.9,
        "crop": 8,
    },
}


@cache
def golden_facts() -> dict[str, Any]:
    """Of the golden network: recipe, tables and card."""
    return load_integers(NETWORK).facts


def integers() -> list[AnyGraph]:
    """Of 16 bits, of bytes, and of 16 bits with windows."""
    return [_plain(), _bytes(), _windows()]


def _plain() -> Graph:
    layers = (
        Layer("first", (0,), False, 3, 2047),
        Layer("down", (1,), True, 2, 2047, stride=2),
        Layer("up", (2,), False, 2, 2047, upsample=True),
        Layer("last", (3, 1), True, 2, 2047, add=0),
    )
    widths = (3, WIDTH, WIDTH, WIDTH + WIDTH), (WIDTH, WIDTH, WIDTH, 3)
    return _graph(layers, _convolutions(layers, *widths), stride=2)


def _windows() -> Graph:
    """Normalisation, then attention, in windows of 2 x 2 pixels."""
    norm = Norm(groups=2, window=2, shift=0, limit=40000, eps=400, gain=16)
    attention = Attention(2, 2, 2500, 2000, 3000, shift=9, finer=1)
    layers = (
        Layer("first", (0,), False, 3, 2047),
        Layer("read", (1,), False, 2, 2047, norm=norm),
        Layer("attend", (2,), False, 2, 2047, add=1, attention=attention),
        Layer("last", (3,), True, 2, 2047, add=0),
    )
    widths = (3, WIDTH, WIDTH, WIDTH), (WIDTH, 3 * WIDTH, WIDTH, 3)
    tensors = _convolutions(layers, *widths)
    scale = np.full(WIDTH, 1 << 32, np.int64)
    tensors |= {"read.scale": scale, "read.offset": np.arange(WIDTH, dtype=np.int64) << 20}
    tensors |= {"read.scale_levels": np.zeros((len(LEVELS), WIDTH), np.int64)}
    tensors["exp2"] = exp2_table()
    return _graph(layers, tensors, stride=2)


def _convolutions(
    layers: tuple[Layer, ...], inner: tuple[int, ...], outer: tuple[int, ...]
) -> Tensors:
    rng, tensors = np.random.default_rng(0), dict[str, Any]()
    for layer, c_in, c_out in zip(layers, inner, outer, strict=True):
        weight = rng.integers(-40, 41, (c_out, 3, 3, c_in)).astype(np.int16)
        tensors[f"{layer.name}.weight"] = weight
        tensors[f"{layer.name}.bias"] = rng.integers(-999, 1000, c_out).astype(np.int32)
        tensors[f"{layer.name}.shift"] = np.full(c_out, 7, np.uint8)
    tensors["first.levels"] = np.zeros((len(LEVELS), outer[0]), np.int32)
    x = np.arange(-32768, 32768) / 2.0**11
    tensors["silu"] = np.rint(x / (1 + np.exp(-x)) * 2**11).astype(np.int16)
    return tensors | {"levels": LEVELS}


def _graph(layers: tuple[Layer, ...], tensors: Tensors, stride: int) -> Graph:
    return Graph(
        layers=layers,
        tensors=tensors,
        patch=1,
        stride=stride,
        sigma_data=0.5,
        fraction=11,
        output=11,
        facts=golden_facts(),
    )


def _bytes() -> ByteGraph:
    layers = (
        ByteLayer("first", "none", 11, wide=True),
        ByteLayer("down", "hard_swish", 11, stride=2),
        ByteLayer("up", "relu", 11, upsample=True, add=1),
        ByteLayer("last", "none", 11),
    )
    rng, tensors = np.random.default_rng(0), dict[str, Any](levels=LEVELS)
    for layer, c_in, c_out in zip(
        layers, (3, WIDTH, WIDTH, WIDTH), (WIDTH, WIDTH, WIDTH, 3), strict=True
    ):
        k, kind = (1 if layer.upsample else 3), np.int16 if layer.wide else np.int8
        weight = rng.integers(-60, 61, (c_out, k, k, c_in)).astype(kind)
        tensors[f"{layer.name}.weight"] = weight
        tensors[f"{layer.name}.bias"] = rng.integers(-999, 1000, c_out).astype(np.int32)
        tensors[f"{layer.name}.shift"] = np.full(c_out, 7, np.uint8)
        if layer.name != "first":
            tensors[f"{layer.name}.scale"] = np.full(c_in, 600, np.int16)
            tensors[f"{layer.name}.zero"] = np.full(c_in, 128, np.uint8)
    tensors["down.levels"] = np.zeros((len(LEVELS), WIDTH), np.int32)
    return ByteGraph(
        layers=layers,
        tensors=tensors,
        patch=1,
        stride=2,
        sigma_data=0.5,
        output=11,
        facts=golden_facts(),
        predicts="eps",
    )


def floats(recipe: dict[str, Any]) -> Checkpoint:
    """The untrained network of a recipe."""
    import torch

    from diffcodec.network.kinds import build

    torch.manual_seed(0)
    made = Recipe.from_dict(recipe)
    weights = {name: w.numpy() for name, w in build(made.network).state_dict().items()}
    return Checkpoint(made, weights, golden_facts()["tables"], {"steps": 0})
