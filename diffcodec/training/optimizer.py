"""What turns gradients into steps: Adam, or Muon for the convolutions and Adam for the rest.

Muon (Jordan et al. 2024) orthogonalises the momentum of every weight matrix. PyTorch's takes
matrices, so it is given each convolution as a view of (c_out, 9 c_in) on the same memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diffcodec.network.config import TrainConfig


class Optimizer:
    """Adam, or Adam and Muon, as one; a step's learning rate is that of Adam for both."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        use_muon = config.optimizer == "muon"
        self.convolutions = [p for p in parameters if use_muon and p.ndim == 4]
        rest = [p for p in parameters if not (use_muon and p.ndim == 4)]
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=config.lr)]
        self.matrices = [nn.Parameter(_matrix(p.detach())) for p in self.convolutions]
        if self.matrices:
            muon = torch.optim.Muon(
                self.matrices, lr=config.lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
            )
            self.optimizers.append(muon)

    def step(self, lr: float) -> None:
        """One step with the gradients that the parameters hold, which it then drops."""
        for weight, matrix in zip(self.convolutions, self.matrices, strict=True):
            assert weight.grad is not None
            matrix.grad = _matrix(weight.grad)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for weight in self.convolutions:
            weight.grad = None

    def state_dict(self) -> list[dict[str, Any]]:
        """What `load_state_dict` needs to resume."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Resume where `state_dict` was taken."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def _matrix(weight: Tensor) -> Tensor:
    """(c_out, c_in, h, w) -> (c_out, h w c_in): a view if the memory is channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
