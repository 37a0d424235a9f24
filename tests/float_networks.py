"""Float networks too small to be good, with GroupNorm, attention and perhaps classes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.kinds import build
from diffcodec.network.tables import measure_tables
from tests.mini_recipe import RECIPE
from tests.synthetic import synthetic_image


@lru_cache
def float_network(**fields: Any) -> Checkpoint:
    """Random weights, measured on synthetic images; fields: of [network], besides mini's."""
    torch.set_num_threads(1)
    network = replace(RECIPE.network, **fields)
    torch.manual_seed(0)
    module = build(network)
    with torch.no_grad():
        for parameter in module.parameters():  # the last layers start at zero
            parameter.add_(0.02 * torch.randn_like(parameter))
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    train = replace(RECIPE.train, grey=1.0 if network.image_channels == 1 else RECIPE.train.grey)
    recipe = replace(RECIPE, network=network, train=train)
    made = Checkpoint(recipe, weights, {}, {"steps": 0})
    denoiser = NetworkDenoiser(made, label=0 if network.classes else None)
    channels = network.image_channels
    images = [synthetic_image(16, 16, channels, seed) for seed in range(100, 108)]
    return made.with_tables(measure_tables(denoiser, images))
