"""Recipes: fields that do not fit together are refused by name, in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from diffcodec.errors import CheckpointError, RecipeError
from diffcodec.exact.listing import layers_of
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Predicts, Recipe
from diffcodec.network.kinds import build
from tests.mini_recipe import RECIPE

LEARNED = "network.sigma2='learned'"

REFUSED = {  # settings, and the field that has to be named
    ("network.kind='resnet'",): "network.kind",
    ("network.norm='batch'",): "network.norm",
    ("network.predicts='score'",): "network.predicts",
    ("network.sigma2='big'",): "network.sigma2",
    ("network.betas='warmup'",): "network.betas",
    ("network.fourier=[8, 7]",): "network.fourier",
    ("network.fourier=[9]",): "network.fourier",
    ("network.fourier=[7.5]",): "network.fourier",
    ("network.channels=7",): "network.channels",
    ("network.patch=3",): "network.patch",
    ("network.channels=1000000",): "network.channels",
    ("network.multipliers=[1, 100000000000000000000]",): "network.multipliers",
    ("network.blocks=10000",): "network.blocks",
    ("network.multipliers=[]",): "network.multipliers",
    ("network.classes=100000",): "network.classes",
    ("network.sigma_data=1e200",): "network.sigma_data",
    ("network.sigma_data=nan",): "network.sigma_data",
    ("network.window=15",): "network.window",
    ("network.attention=[5]",): "network.attention",
    ("train.objective='l2'",): "train.objective",
    ("train.optimizer='sgd'",): "train.optimizer",
    ("train.sampling='loss'",): "train.sampling",
    ("network.image_channels=2",): "network.image_channels",
    ("network.image_channels=1",): "train.grey",
    ("network.groups=5",): "network.groups",
    ("network.groups=-8",): "network.groups",
    ("network.head_width=3",): "network.head_width",
    ("network.head_width=-1",): "network.head_width",
    ("network.eps=0.0",): "network.eps",
    ("network.middle='both'",): "network.middle",
    ("network.downsampling='pooled'",): "network.downsampling",
    ("network.condition='snr'",): "network.condition",
    ("network.freq_shift=4",): "network.freq_shift",
    ("network.classes=-1",): "network.classes",
    ("network.norm='none'", "network.scale_shift=true"): "network.scale_shift",
    ("train.dropout=1.0",): "train.dropout",
    ("train.batch=0",): "train.batch",
    ("train.lr=0.0",): "train.lr",
    ("train.sigma_min=2000.0",): "train.sigma_min",
    ("train.ema=1.0",): "train.ema",
    ("train.cooldown=1.5",): "train.cooldown",
    ("train.grey=-0.1",): "train.grey",
    ("train.colours=1.5",): "train.colours",
    ("train.sigma_centre=-1.0",): "train.sigma_centre",
    ("train.sigma_spread=0.0",): "train.sigma_spread",
    ("network.activation='relu'",): "network.activation",
    ("train.scale=0.5",): "train.scale",
    ("train.tile=8",): "train.tile",
    ("train.timesteps=1",): "train.timesteps",
    ("train.timesteps=50",): "train.timesteps",  # edm knows none
    ("train.sampling='importance'",): "train.sampling",
    ("train.objective='vlb'", "train.sampling='importance'"): "train.sampling",
    (LEARNED,): "network.sigma2",  # edm does not train it
    (LEARNED, "train.objective='simple'"): "network.sigma2",
    ("train.objective='hybrid'",): "network.sigma2",
    ("train.crop=24",): "train.crop",  # windows of 16 pixels
}


@pytest.mark.parametrize("settings", REFUSED, ids=lambda s: " ".join(s))
def test_what_does_not_fit_is_named(settings: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError) as refusal:
        RECIPE.override(settings)
    assert REFUSED[settings] in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_does_fit_is_taken() -> None:
    for settings in (
        {"network.sigma2": "learned", "train.objective": "hybrid", "train.sampling": "importance"},
        {"network.sigma2": "learned", "train.objective": "nelbo", "train.timesteps": 50},
        {"network.sigma2": "beta_tilde", "train.objective": "nelbo", "network.betas": "cosine"},
        {"network.predicts": "mu", "train.objective": "simple", "network.fourier": [7, 8]},
        {"network.predicts": "eps", "train.objective": "vlb"},
        {"network.predicts": "x0", "train.objective": "simple"},
        {"network.predicts": "v", "train.objective": "simple"},
        {"network.condition": "timestep", "network.groups": 4, "network.head_width": 4},
        {"network.image_channels": 1, "train.grey": 1.0, "train.dropout": 0.1},
    ):
        assert _set(RECIPE, {k: repr(v) for k, v in settings.items()})


def test_a_recipe_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    text = (Path(__file__).parent.parent / "recipes" / "cifar10.toml").read_text("utf-8")
    path.write_text(text.replace('objective = "edm"', 'objective = "hybrid"'))
    with pytest.raises(RecipeError, match=r"network\.sigma2"):
        Recipe.load(path)


def test_lists_that_are_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("name = " + "[" * 5000)
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        Recipe.load(path)
    with pytest.raises(RecipeError, match=r"train\.tile"):
        RECIPE.override(("train.tile=" + "[" * 5000,))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"network.sigma2": "'learned'", "train.objective": "'nelbo'"}, "network.sigma2"),
        ({"network.fourier": "[7]"}, "network.fourier"),
    ],
)
def test_what_has_no_integers_is_not_exported(settings: dict[str, str], named: str) -> None:
    plain = {"network.norm": "'none'", "network.attention": "[]"}
    recipe = _set(RECIPE, {**plain, **settings})
    with pytest.raises(CheckpointError, match=named):
        layers_of(_untrained(recipe))
    for predicts in get_args(Predicts):
        assert layers_of(_untrained(_set(RECIPE, {**plain, "network.predicts": repr(predicts)})))


def _untrained(recipe: Recipe) -> Checkpoint:
    state = build(recipe.network).state_dict()
    return Checkpoint(recipe, {name: weight.numpy() for name, weight in state.items()})


def _set(recipe: Recipe, settings: dict[str, str]) -> Recipe:
    return recipe.override(tuple(f"{name}={value}" for name, value in settings.items()))
