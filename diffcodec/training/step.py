"""Algorithm 1 of DDPM: draw x0, a noise level and eps; step on the weighted error.

Which noise levels, and which error, is the recipe's objective (diffcodec.training.objective).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from diffcodec.theory.units import GREY
from diffcodec.training.dropout import seed_dropout
from diffcodec.training.run import Run

NOISE = 0x6E6F6973  # separates the seed of a step's noise from that of its other draws


class Step:
    """One optimisation step; compiled on CUDA, where that pays.

    The CPU runs ahead of a GPU, and would wait for it to see a loss: there `check` looks later.
    """

    def __init__(self, run: Run, world: int) -> None:
        self.run = run
        residual: Any = run.model
        if run.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            residual = torch.compile(residual, dynamic=False)
        if world > 1:
            residual = DistributedDataParallel(residual)
        self.network = residual
        self.unseen = torch.zeros(2, device=run.device)  # sums of losses and gradients

    def __call__(self, crops: Tensor, rng: torch.Generator, lr: float) -> Tensor:
        """The loss; on a CPU it raises as `check` does, before a weight is spoilt."""
        run, objective = self.run, self.run.objective
        x0 = crops[:, : run.recipe.network.image_channels].float() / GREY - 1
        x0 = x0.contiguous(memory_format=torch.channels_last)
        draw = objective.draw(len(x0), rng).to(run.device)
        noise = torch.Generator(run.device)
        noise.manual_seed(rng.initial_seed() ^ NOISE)
        eps = torch.randn(x0.shape, generator=noise, device=run.device)
        if run.recipe.train.dropout:
            seed_dropout(rng.initial_seed())
        y = x0 + draw.v.sqrt()[:, None, None, None] * eps  # eq. 4 in x0 units
        with torch.autocast(run.device.type, torch.bfloat16):
            out = self.network(y, draw.v)
            target = run.answer(y, draw.v)
        losses = objective.losses(x0, out, draw, target)
        loss = (draw.weight * losses).mean()
        torch.autograd.backward(loss)
        gradient = torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        self.unseen += torch.stack([loss.detach(), gradient.detach()])
        if run.device.type == "cpu":
            self.check()
        run.optimizer.step(lr)
        objective.remember(draw, losses)
        return loss.detach()

    def check(self) -> None:
        """Raises FloatingPointError if a loss or a gradient since the last check is not finite."""
        for name, found in zip(("loss", "gradient"), self.unseen.tolist(), strict=True):
            if not math.isfinite(found):
                raise FloatingPointError(
                    f"the {name} is {found} at step {self.run.step}; lower train.lr and run again "
                    "to resume from the last checkpoint"
                )
        self.unseen.zero_()
