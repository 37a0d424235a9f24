"""DDPM's own network: its layers one by one, what they are told, and that it learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diffcodec.errors import OptionError, RecipeError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig, Recipe
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.kinds import build
from diffcodec.network.noise import timestep_embedding
from diffcodec.network.same import SameConv2d
from diffcodec.network.tables import survey
from diffcodec.network.unet import UNet
from diffcodec.network.windows import Attention, WindowNorm
from diffcodec.theory.schedule import Schedule
from diffcodec.training.train import train
from tests.mini_recipe import RECIPE, weights

PAPER = Recipe.load(Path(__file__).parent.parent / "recipes" / "ddpm-cifar10.toml")
SETTINGS = ("channels=8", "multipliers=[1, 2]", "groups=4", "blocks=1", "attention=[8]")
MINI = PAPER.override(
    (
        *(f"network.{setting}" for setting in (*SETTINGS, "window=16")),
        *(f"train.{setting}" for setting in ("batch=8", "steps=60", "warmup=5", "lr=3e-3")),
        *(f"train.{setting}" for setting in ("crop=16", "tile=0", "ema=0.9")),
    )
)


def stirred(config: NetworkConfig) -> UNet:
    """Every weight random, the zero-initialised ones too."""
    torch.manual_seed(0)
    network = UNet(config).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    return network


def checkpoint(network: UNet, recipe: Recipe) -> Checkpoint:
    return Checkpoint(recipe, {k: w.numpy() for k, w in network.state_dict().items()})


def test_the_recipe_is_the_paper_s() -> None:
    network = build(PAPER.network)
    assert sum(weight.numel() for weight in network.parameters()) == 35_746_307
    assert [type(layer) for layer in network.shrink] == [SameConv2d] * 3  # type: ignore[union-attr]
    attends = {
        name.rpartition(".")[0]
        for name, layer in network.named_modules()
        if isinstance(layer, Attention)
    }
    # Two on the way down at 16 x 16, three on the way up, and one in the middle.
    assert attends == {"down.2", "down.3", "middle.0", "up.6", "up.7", "up.8"}
    norms = [layer for layer in network.modules() if isinstance(layer, WindowNorm)]
    assert {(layer.norm.num_groups, layer.norm.eps) for layer in norms} == {(32, 1e-6)}


def test_new_fields_leave_the_fingerprints_of_networks_that_lack_them() -> None:
    known = RECIPE.to_dict()["network"]
    assert list(known)[-2:] == ["patch", "sigma_data"]
    assert Recipe.from_dict(PAPER.to_dict()) == PAPER
    assert PAPER.to_dict()["network"]["condition"] == "timestep"


# --- layers ---


def test_same_padding_is_zeros_below_and_to_the_right() -> None:
    torch.manual_seed(0)
    layer, x = SameConv2d(2, 3), torch.randn(1, 2, 6, 4)
    padded = torch.zeros(1, 2, 7, 5)
    padded[:, :, :6, :4] = x
    assert torch.equal(layer(x), F.conv2d(padded, layer.weight, layer.bias, stride=2))
    assert layer(x).shape == (1, 3, 3, 2)
    centred = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
    assert not torch.allclose(layer(x), centred, atol=1e-2)


def test_heads_attend_each_to_their_own_channels() -> None:
    torch.manual_seed(0)
    layer = Attention(torch.nn.Identity(), 8, 4, heads=2).requires_grad_(False)
    torch.nn.init.normal_(layer.qkv.weight, std=0.5)
    layer.out.weight.copy_(torch.eye(8)[:, :, None, None])
    x = torch.randn(1, 8, 4, 4)
    q, k, v = layer.qkv(x).flatten(2)[0].chunk(3)  # each (8, 16)
    heads = []
    for rows in (slice(0, 4), slice(4, 8)):
        shares = torch.softmax(q[rows].T @ k[rows] / 2, dim=1)  # sqrt(4) channels
        heads.append((shares @ v[rows].T).T)
    wanted = x + torch.cat(heads).reshape(1, 8, 4, 4)
    assert torch.allclose(layer(x), wanted, atol=1e-5)


def test_groups_are_normalised_inside_windows() -> None:
    layer = WindowNorm(6, 4, groups=3, eps=1e-3)
    x = torch.randn(1, 6, 8, 4)
    part = x[0, 2:4, 4:, :]
    wanted = (part - part.mean()) / (part.var(correction=0) + 1e-3).sqrt()
    assert torch.allclose(layer(x)[0, 2:4, 4:, :], wanted, atol=1e-5)


def test_the_last_frequency_is_where_the_shift_puts_it() -> None:
    t = torch.tensor([7.0])
    last = timestep_embedding(t, 16, freq_shift=1)[0, 7]
    assert last == pytest.approx(np.sin(7e-4), rel=1e-4)
    assert timestep_embedding(t, 16)[0, 7] != pytest.approx(np.sin(7e-4), rel=1e-2)


def test_layers_are_told_the_timestep() -> None:
    network, schedule = stirred(MINI.network), Schedule.named("linear", 1000)
    v = torch.tensor(schedule.v[[0, 499, 999]])
    told = network.double().embed(v)
    wanted = timestep_embedding(torch.tensor([0.0, 499.0, 999.0]).double(), 8, freq_shift=1)
    for layer in network.embed:
        wanted = layer(wanted)
    assert torch.allclose(told, F.silu(wanted), atol=1e-8)
    low, high = network.embed.range
    beyond = network.embed(torch.tensor([low / 9, high * 9]).double())
    assert torch.allclose(beyond, told[[0, 2]], atol=1e-8)


def test_scale_and_shift_are_of_what_the_norm_yields() -> None:
    network = stirred(dataclasses.replace(MINI.network, scale_shift=True))
    y, v = torch.randn(2, 3, 16, 16), torch.tensor([0.1, 3.0])
    before = network(y, v)
    for block in network.modules():
        if hasattr(block, "embed") and block is not network:
            block.embed.weight.zero_()
            block.embed.bias.zero_()
    plain = network(y, v)
    assert not torch.allclose(before, plain, atol=1e-3)
    for block in network.modules():
        if hasattr(block, "embed") and block is not network:
            block.embed.bias[: len(block.embed.bias) // 2] = 1.0  # the scale: twice the norm
            block.norm2.norm.weight /= 2
            block.norm2.norm.bias /= 2
    assert torch.allclose(network(y, v), plain, atol=1e-5)


# --- classes and grey images ---


def test_classes() -> None:
    recipe = dataclasses.replace(MINI, network=dataclasses.replace(MINI.network, classes=3))
    denoiser = NetworkDenoiser(checkpoint(stirred(recipe.network), recipe))
    y = np.zeros((3, 16, 16), np.float32)
    assert denoiser.classes == 3 and denoiser.label is None
    with pytest.raises(OptionError, match=r"name one of 0\.\.2"):
        denoiser(y, 0.5)
    found = [denoiser.of_class(label)(y, 0.5) for label in range(3)]
    assert not np.allclose(found[0], found[1]) and not np.allclose(found[1], found[2])
    for label in (-1, 3):
        with pytest.raises(OptionError, match="has no class"):
            denoiser.of_class(label)
    plain = NetworkDenoiser(checkpoint(stirred(MINI.network), MINI))
    with pytest.raises(OptionError, match="knows no classes"):
        plain.of_class(0)
    assert plain.of_class(None).label is None


def test_classes_are_not_trained_here(image_folder: Path, tmp_path: Path) -> None:
    recipe = MINI.override(("network.classes=3",))
    with pytest.raises(RecipeError, match=r"network\.classes = 3 cannot be trained"):
        train(recipe, image_folder, tmp_path, quiet=True)


def test_a_network_of_grey_images(image_folder: Path, tmp_path: Path) -> None:
    recipe = MINI.override(("network.image_channels=1", "train.grey=1.0", "train.steps=2"))
    run = train(recipe, image_folder, tmp_path, quiet=True)
    denoiser = NetworkDenoiser(run.checkpoint())
    assert denoiser.channels == (1,)
    assert denoiser(np.zeros((1, 20, 9), np.float32), 0.5).shape == (1, 20, 9)
    with pytest.raises(OptionError, match="knows grey images only"):
        denoiser(np.zeros((3, 16, 16), np.float32), 0.5)
    x0 = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    tables, _ = survey(denoiser, x0, seed=0)
    grey = np.rint((x0.mean(axis=1) + 1) * 127.5) / 127.5 - 1
    assert tables.prior_mean == pytest.approx([grey.mean()] * 3, abs=1e-6)


# --- training ---


def test_it_learns(image_folder: Path, tmp_path: Path) -> None:
    train(MINI, image_folder, tmp_path, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 50 and lines[0]["loss"] < 0.9  # 1 is what knowing nothing costs


def test_what_is_dropped_is_drawn_again_when_a_run_resumes(
    image_folder: Path, tmp_path: Path
) -> None:
    recipe = MINI.override(("train.steps=4", "train.dropout=0.5"))
    train(recipe, image_folder, tmp_path / "a", quiet=True)
    for _ in range(2):
        train(recipe, image_folder, tmp_path / "b", minutes=1e-9, quiet=True)
    train(recipe, image_folder, tmp_path / "b", quiet=True)
    train(recipe.override(("train.dropout=0.0",)), image_folder, tmp_path / "c", quiet=True)
    one, same, other = (weights(tmp_path / name) for name in "abc")
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_training_alone_drops(image_folder: Path, tmp_path: Path) -> None:
    recipe = MINI.override(("train.steps=1", "train.dropout=0.5"))
    run = train(recipe, image_folder, tmp_path, quiet=True)
    y, v = torch.randn(1, 3, 16, 16), torch.tensor([0.1])
    with torch.no_grad():
        run.model.head.weight.normal_()  # type: ignore[union-attr,operator]
        for block in run.model.modules():
            if hasattr(block, "conv2"):
                block.conv2.weight.normal_()
        assert not torch.allclose(run.model(y, v), run.model(y, v))
        assert torch.equal(run.ema(y, v), run.ema(y, v))
        plain = build(recipe.network)
        plain.load_state_dict(run.model.state_dict())
        assert torch.equal(plain(y, v), plain(y, v))
