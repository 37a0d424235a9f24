"""Muon for the convolutions, all of a shape at once; Adam for the rest, the first and the last."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from diffcodec.training.optimizer import Optimizer, orthogonal
from tests.mini_recipe import RECIPE

MUON = dataclasses.replace(RECIPE.train, optimizer="muon")


class Chain(nn.Sequential):
    """Convolutions of which some share a shape, channels last as in a training."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        sizes = ((3, 8, 3), (8, 8, 3), (8, 8, 3), (8, 16, 1), (16, 8, 3), (8, 3, 3))
        super().__init__(*(nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes))
        for weight in self.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(3, 8, 72), (2, 40, 16), (1, 5, 5)])
def test_singular_values_become_ones(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(1)
    matrices = torch.randn(shape)
    found = orthogonal(matrices)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    big = values > 0.1 * values[:, :1]  # tiny ones have further to go than five iterations
    along = torch.einsum("nrk,nrc,nkc->nk", left, found, right)
    assert found.dtype == torch.float32 and (along[big] > 0.6).all() and (along < 1.3).all()


def test_a_step_is_torchs_muon() -> None:
    ours, theirs = Chain(), Chain()
    optimizer = Optimizer(ours, MUON)
    inner = [layer.weight for layer in list(theirs)[1:-1]]
    matrices = [nn.Parameter(w.detach().permute(0, 2, 3, 1).reshape(len(w), -1)) for w in inner]
    reference = torch.optim.Muon(matrices, lr=1, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        torch.manual_seed(step)
        for weight in ours.parameters():
            weight.grad = torch.randn_like(weight)
        for matrix, layer in zip(matrices, list(ours)[1:-1], strict=True):
            matrix.grad = _rows(_gradient(layer.weight))
        for group in reference.param_groups:
            group["lr"] = 1e-3
        reference.step()
        optimizer.step(1e-3)
    for matrix, layer in zip(matrices, list(ours)[1:-1], strict=True):
        assert torch.allclose(_rows(layer.weight), matrix, atol=2e-4)
        assert all(weight.grad is None for weight in ours.parameters())


def test_the_first_and_the_last_convolution_are_adams() -> None:
    model = Chain()
    before = [weight.detach().clone() for weight in model.parameters()]
    for weight in model.parameters():
        weight.grad = torch.rand_like(weight) + 0.5
    Optimizer(model, MUON).step(1e-3)
    moved = [after - b for after, b in zip(model.parameters(), before, strict=True)]
    by_lr = [torch.allclose(m, torch.full_like(m, -1e-3), rtol=1e-3) for m in moved]
    # Adam's first step is lr for every number: weight and bias of both ends, the other biases.
    assert by_lr == [True, True, *[False, True] * 4, True, True]


def _rows(weight: Tensor) -> Tensor:
    return weight.detach().permute(0, 2, 3, 1).reshape(len(weight), -1)


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad
