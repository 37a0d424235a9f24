"""A trained network as a teacher: what it makes of a turned picture, turned back.

The mean of a network's answers over the eight flips and turns of a picture is better than each of
them, and eight times as slow. A network can learn that mean from one of them at a time: the answers
differ from their mean by a few percent of D, x0 by all of D, so the gradients have far less noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffcodec.unet import UNet

TURNS = 8


def turned(x: Tensor, turn: int) -> Tensor:
    """(C, H, W), square, by one of TURNS: quarter turns, then a flip from left to right."""
    x = torch.rot90(x, turn % 4, (1, 2))
    return x.flip(2) if turn >= 4 else x


def turned_back(x: Tensor, turn: int) -> Tensor:
    """Inverse of `turned`."""
    x = x.flip(2) if turn >= 4 else x
    return torch.rot90(x, -(turn % 4), (1, 2))


class Teacher:
    """x0_hat of a network that does not learn, each picture turned at random."""

    def __init__(self, network: UNet) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, y: Tensor, v: Tensor, rng: torch.Generator) -> Tensor:
        """y: (N, 3, H, W) = x0 + n, square; v: (N,); returns x0_hat like y."""
        turns = torch.randint(TURNS, (len(y),), generator=rng).tolist()
        seen = torch.stack([turned(x, turn) for x, turn in zip(y, turns, strict=True)])
        with torch.no_grad(), torch.autocast(y.device.type, torch.bfloat16):
            x0_hat = self.network(seen.contiguous(memory_format=torch.channels_last), v)[:, :3]
        return torch.stack([turned_back(x, turn) for x, turn in zip(x0_hat, turns, strict=True)])
