"""What the library calls a network's weights, and what they are called here; both ways.

The same numbers in the same order, but for three: attention has its three projections as one
convolution, by rows; linear layers of attention are convolutions of 1 x 1; and sines come before
cosines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.network.config import BETWEEN, NetworkConfig
from diffcodec.network.tensors import Tensors

RESNET = {
    "norm1.norm": "norm1",
    "conv1": "conv1",
    "embed": "time_emb_proj",
    "norm2.norm": "norm2",
    "conv2": "conv2",
}
QKV = ("to_q", "to_k", "to_v")
OLD = {  # names of attention's layers before diffusers 0.15
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "proj_attn": "to_out.0",
}


@dataclass(frozen=True)
class Layer:
    """A layer by both names; theirs: of several, whose rows follow each other here.

    linear: a matrix there and a convolution of 1 x 1 here. bias: whether it has one.
    """

    ours: str
    theirs: tuple[str, ...]
    linear: bool = False
    bias: bool = True

    @property
    def tensors(self) -> Iterator[tuple[str, list[str]]]:
        """Names of its tensors: ours, and theirs."""
        for kind in ("weight", "bias") if self.bias else ("weight",):
            yield f"{self.ours}.{kind}", [f"{name}.{kind}" for name in self.theirs]


def layers_of(config: NetworkConfig) -> Iterator[Layer]:
    """All layers with weights of a network that the library has."""
    yield Layer("embed.0", ("time_embedding.linear_1",))
    yield Layer("embed.2", ("time_embedding.linear_2",))
    if config.classes:
        yield Layer("classes", ("class_embedding",), bias=False)
    yield Layer("stem", ("conv_in",))
    levels, n = len(config.multipliers), config.blocks
    attends = [config.window >> i in config.attention for i in range(levels)]
    widths = [1, *config.multipliers]
    for i in range(levels):
        for j in range(n):
            skip = j == 0 and widths[i] != widths[i + 1]
            yield from _stage(f"down.{i * n + j}", f"down_blocks.{i}", j, skip, attends[i])
        if i < levels - 1:
            yield Layer(f"shrink.{i}", (f"down_blocks.{i}.downsamplers.0.conv",))
    yield from _middle(config)
    for i in range(levels):
        for j in range(n + 1):
            ours, theirs = f"up.{i * (n + 1) + j}", f"up_blocks.{i}"
            yield from _stage(ours, theirs, j, True, attends[levels - 1 - i])
        if i < levels - 1:
            yield Layer(f"grow.{i}", (f"up_blocks.{i}.upsamplers.0.conv",))
    yield Layer("norm.norm", ("conv_norm_out",))
    yield Layer("head", ("conv_out",))


def _stage(ours: str, theirs: str, j: int, skip: bool, attends: bool) -> Iterator[Layer]:
    """The j-th residual block of a level, and the attention after it."""
    yield from _block(f"{ours}.0", f"{theirs}.resnets.{j}", skip)
    if attends:
        yield from _attention(f"{ours}.1", f"{theirs}.attentions.{j}", True)


def _middle(config: NetworkConfig) -> Iterator[Layer]:
    yield from _block("middle.0.0", "mid_block.resnets.0", False)
    if config.middle in BETWEEN:
        normed = config.middle == "attention"
        yield from _attention("middle.0.1", "mid_block.attentions.0", normed)
    yield from _block("middle.1.0", "mid_block.resnets.1", False)


def _block(ours: str, theirs: str, skip: bool) -> Iterator[Layer]:
    known = {**RESNET, "skip": "conv_shortcut"} if skip else RESNET
    for name, other in known.items():
        yield Layer(f"{ours}.{name}", (f"{theirs}.{other}",))


def _attention(ours: str, theirs: str, normed: bool) -> Iterator[Layer]:
    if normed:
        yield Layer(f"{ours}.norm.norm", (f"{theirs}.group_norm",))
    yield Layer(f"{ours}.qkv", tuple(f"{theirs}.{name}" for name in QKV), linear=True)
    yield Layer(f"{ours}.out", (f"{theirs}.to_out.0",), linear=True)


def renewed(name: str) -> str:
    """A tensor's name as the library says it today."""
    layer, dot, kind = name.rpartition(".")
    place, _, last = layer.rpartition(".")
    return f"{place}.{OLD[last]}{dot}{kind}" if ".attentions." in name and last in OLD else name


def to_ours(config: NetworkConfig, theirs: Tensors, cosines_first: bool) -> Tensors:
    """All weights by our names. cosines_first: as flip_sin_to_cos says. KeyError: one is missing.

    ValueError: sizes that do not fit each other.
    """
    found = {}
    for layer in layers_of(config):
        for name, others in layer.tensors:
            whole = np.concatenate([theirs[other] for other in others])
            if layer.linear and name.endswith("weight"):
                whole = whole.reshape(*whole.shape[:2], 1, 1)
            found[name] = whole
    if cosines_first:
        found["embed.0.weight"] = _halves_swapped(found["embed.0.weight"])
    return found


def to_theirs(config: NetworkConfig, ours: Mapping[str, NDArray[Any]]) -> Tensors:
    """All weights by the library's names; sines come first."""
    found = {}
    for layer in layers_of(config):
        for name, others in layer.tensors:
            for other, part in zip(others, np.split(ours[name], len(others)), strict=True):
                matrix = layer.linear and name.endswith("weight")
                found[other] = part[:, :, 0, 0] if matrix else part
    return found


def _halves_swapped(weight: NDArray[Any]) -> NDArray[Any]:
    """(rows, 2 n) with the last n columns first."""
    return np.roll(weight, weight.shape[1] // 2, axis=1)
