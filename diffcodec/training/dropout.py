"""Dropout in residual blocks, between the activation and the last convolution, as DDPM has it.

Training alone knows of it: what the network computes later has no trace of it. The draws of a step
depend on its number, so that a run resumes to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.errors import RecipeError
from diffcodec.network.architecture import Network
from diffcodec.network.unet import ResidualBlock
from diffcodec.network.walk import Evaluation

DROPOUT = 0x64726F70  # separates the seed of a step's dropout from that of its other draws


def drop(network: Network, share: float) -> None:
    """Let forward() set this share of the activations to zero from now on, and scale the others.

    Raises RecipeError for a network without residual blocks.
    """
    layers = {block.conv2: share for block in network.modules() if isinstance(block, ResidualBlock)}
    if not layers:
        raise RecipeError("train.dropout is about residual blocks, which network.kind has not")
    network.evaluation = partial(Dropping, layers)


def seed_dropout(seed: int) -> None:
    """Of all devices, for the step whose draws have this seed."""
    torch.manual_seed(seed ^ DROPOUT)


class Dropping(Evaluation):
    """Walks as Evaluation does, and drops a share of what goes into some of the layers."""

    def __init__(
        self,
        shares: dict[nn.Conv2d, float],
        embedding: Tensor,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(embedding, activation)
        self.shares = shares

    def convolve(self, layer: nn.Conv2d, h: Tensor, float32: bool) -> Tensor:
        """As Evaluation's, of h in which some numbers are 0."""
        share = self.shares.get(layer, 0.0)
        return super().convolve(layer, F.dropout(h, share) if share else h, float32)
