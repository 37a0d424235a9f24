"""A network's own answers to turned pictures as the target: the turns, their mean, the training."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diffcodec.checkpoint import Checkpoint
from diffcodec.config import RecipeError
from diffcodec.network import NetworkDenoiser
from diffcodec.run import start
from diffcodec.teacher import TURNS, Teacher, turned, turned_back
from diffcodec.train import train
from diffcodec.unet import UNet
from tests.test_train import RECIPE, folder, weights

__all__ = ["folder"]
TAUGHT = RECIPE.override(("train.teacher=1.0", "train.steps=80", "network.attention=[]"))


class Ramp(nn.Module):
    """x0_hat = y, and more of something from left to right."""

    def forward(self, y: Tensor, v: Tensor) -> Tensor:
        return y + torch.arange(y.shape[3], dtype=y.dtype)


def test_turns_are_eight_and_can_be_undone() -> None:
    x = torch.arange(3 * 5 * 5, dtype=torch.float32).reshape(3, 5, 5)
    pictures = [turned(x, turn) for turn in range(TURNS)]
    assert len({tuple(picture.flatten().tolist()) for picture in pictures}) == TURNS
    for turn, picture in enumerate(pictures):
        assert torch.equal(turned_back(picture, turn), x)


def test_the_mean_of_the_answers_knows_no_direction() -> None:
    teacher = Teacher(cast(UNet, Ramp()))
    y, rng = torch.zeros(4000, 3, 4, 4), torch.Generator().manual_seed(0)
    answers = teacher(y, torch.ones(len(y)), rng)
    assert {tuple(answer[0, 0].tolist()) for answer in answers} == {
        (0.0, 1.0, 2.0, 3.0),
        (3.0, 2.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (3.0, 3.0, 3.0, 3.0),
    }
    np.testing.assert_allclose(answers.mean(dim=0), 1.5, atol=0.1)


def answers(checkpoint: Checkpoint, y: np.ndarray) -> np.ndarray:
    """(8, 3, 16, 16): what a network makes of y in every direction, turned back."""
    network = NetworkDenoiser(checkpoint)
    state = torch.from_numpy(y)
    made = (network(turned(state, turn).numpy(), 0.25) for turn in range(TURNS))
    return np.stack([turned_back(torch.from_numpy(x), turn) for turn, x in enumerate(made)])


def test_a_network_learns_the_mean_of_its_answers(folder: Path, tmp_path: Path) -> None:
    before = train(
        RECIPE.override(("network.attention=[]",)), folder, tmp_path / "first", quiet=True
    ).checkpoint()
    after = train(TAUGHT, folder, tmp_path / "taught", first=before, quiet=True).checkpoint()
    y = np.random.default_rng(5).normal(0, 0.7, (3, 16, 16)).astype(np.float32)
    taught, own = answers(after, y), answers(before, y)
    mean = own.mean(axis=0)
    assert np.mean((taught - mean) ** 2) < 0.6 * np.mean((own - mean) ** 2)


def test_resuming_with_a_teacher_is_the_uninterrupted_run(folder: Path, tmp_path: Path) -> None:
    recipe = TAUGHT.override(("train.steps=6",))
    first = start(recipe.override(("train.teacher=0.0",)), tmp_path, torch.device("cpu"))
    known = first.checkpoint()
    train(recipe, folder, tmp_path / "a", first=known, quiet=True)
    train(recipe, folder, tmp_path / "b", first=known, minutes=1e-9, quiet=True)
    train(recipe, folder, tmp_path / "b", first=known, quiet=True)
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_teacher_must_be_there_and_the_objective_suit_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="give --from"):
        start(TAUGHT, tmp_path, torch.device("cpu"))
    with pytest.raises(RecipeError, match="about x0 itself"):
        TAUGHT.override(("train.objective=nelbo",))
    with pytest.raises(RecipeError, match="share of 0 to 1"):
        TAUGHT.override(("train.teacher=1.5",))
