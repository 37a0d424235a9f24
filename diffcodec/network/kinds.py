"""Architectures by name: what network.kind in a recipe chooses from.

To add one, write a subclass of `Network` (architecture.py) and give it an entry here. Recipes need
no torch, so classes are imported when a network is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcodec.network.architecture import Network
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.network.config import NetworkConfig


def _unet() -> type[Network]:
    from diffcodec.network.unet import UNet

    return UNet


KINDS: dict[str, Callable[[], type[Network]]] = {"unet": _unet}


def build(config: NetworkConfig) -> Network:
    """An untrained network of the recipe's kind."""
    return KINDS[config.kind]()(config)


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Of the weights by name; this takes no memory, whatever sizes the recipe states."""
    import torch

    with torch.device("meta"):
        return {name: tuple(w.shape) for name, w in build(config).state_dict().items()}


def trained(checkpoint: Checkpoint) -> Network:
    """The network with its weights; raises CheckpointError where these are not the recipe's."""
    from diffcodec.network.grids import without_grids

    weights = without_grids(checkpoint.weights)
    stated = shapes(checkpoint.recipe.network)
    if {name: weight.shape for name, weight in weights.items()} != stated:
        raise checkpoint.misfit()
    network = build(checkpoint.recipe.network)
    network.load(checkpoint)
    return network
