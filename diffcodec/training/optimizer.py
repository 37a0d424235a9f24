"""What turns gradients into steps: Adam, or Muon for the convolutions and Adam for the rest.

Muon (Jordan et al. 2024) orthogonalises the momentum of every weight matrix. PyTorch's does so one
matrix at a time, and a small network then waits for hundreds of tiny products: here all matrices
of a shape are orthogonalised together. The first and the last convolution are Adam's.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a + b x^2 + c x^4, which drives x to about 1
ITERATIONS = 5


class Pace(Protocol):
    """What of a recipe's [train] decides about steps, whatever they minimise."""

    @property
    def optimizer(self) -> str:
        """ "adam" or "muon"."""

    @property
    def lr(self) -> float:
        """The highest learning rate."""

    @property
    def steps(self) -> int:
        """Of the whole run."""

    @property
    def warmup(self) -> int:
        """Steps in which it rises."""

    @property
    def cooldown(self) -> float:
        """The share of the run in which it falls."""


class Muon:
    """Convolutions (c_out, c_in, h, w) as matrices (c_out, h w c_in), by shape."""

    def __init__(self, convolutions: list[nn.Parameter]) -> None:
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for weight in convolutions:
            self.groups.setdefault(tuple(_matrix(weight).shape), []).append(weight)
        self.momenta = [
            torch.zeros(len(group), *shape, device=group[0].device)
            for shape, group in self.groups.items()
        ]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step with Nesterov's momentum, of the size that Adam's has (Liu et al. 2025)."""
        for momentum, (shape, group) in zip(self.momenta, self.groups.items(), strict=True):
            gradients = torch.stack([_matrix(_gradient(weight)) for weight in group])
            momentum.lerp_(gradients, 1 - MOMENTUM)
            update = orthogonal(gradients.lerp(momentum, MOMENTUM))
            size = 0.2 * max(shape) ** 0.5
            for weight, change in zip(group, update, strict=True):
                c_out, c_in, h, w = weight.shape
                weight.sub_(change.view(c_out, h, w, c_in).permute(0, 3, 1, 2), alpha=lr * size)


class Optimizer:
    """Adam, or Adam and Muon, as one; a step's learning rate is that of Adam for both."""

    def __init__(self, model: nn.Module, config: Pace) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        inner = [p for p in parameters if p.ndim == 4][1:-1] if config.optimizer == "muon" else []
        chosen = {id(p) for p in inner}
        rest = [p for p in parameters if id(p) not in chosen]
        self.parameters = parameters
        self.adam = torch.optim.Adam(rest, lr=config.lr, fused=rest[0].device.type == "cuda")
        self.muon = Muon(inner)

    def step(self, lr: float) -> None:
        """One step with the gradients that the parameters hold, which it then drops."""
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        self.muon.step(lr)
        for weight in self.parameters:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to resume."""
        return {"adam": self.adam.state_dict(), "muon": self.muon.momenta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was taken."""
        self.adam.load_state_dict(state["adam"])
        for momentum, kept in zip(self.muon.momenta, state["muon"], strict=True):
            momentum.copy_(kept)


def orthogonal(matrices: Tensor) -> Tensor:
    """U V^T of each matrix U S V^T (N, rows, columns), nearly: float32, computed in bfloat16."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = (x.mT if tall else x).float()
    return found


def _gradient(weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def _matrix(weight: Tensor) -> Tensor:
    """(c_out, c_in, h, w) -> (c_out, h w c_in)."""
    return weight.permute(0, 2, 3, 1).flatten(1)
