"""Architectures by name: what network.kind in a recipe chooses from.

To add one, write a subclass of `Network` (architecture.py) and give it an entry here. Recipes need
no torch, so classes are imported when a network is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcodec.network.architecture import Network
    from diffcodec.network.config import NetworkConfig


def _unet() -> type[Network]:
    from diffcodec.network.unet import UNet

    return UNet


KINDS: dict[str, Callable[[], type[Network]]] = {"unet": _unet}


def build(config: NetworkConfig) -> Network:
    """An untrained network of the recipe's kind."""
    return KINDS[config.kind]()(config)
