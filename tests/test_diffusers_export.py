"""Networks of ours as folders of diffusers: the real library loads them and computes the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcodec.errors import CheckpointError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig, Recipe, TrainConfig
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.diffusers import load_folder, save_folder
from diffcodec.network.kinds import build
from diffcodec.theory.schedule import Schedule
from tests.command import invoke
from tests.diffusers_folders import diffusers, model, pipeline
from tests.exported import untrained

DDPM = NetworkConfig(
    16,
    (1, 2),
    blocks=1,
    attention=(8,),
    norm="group",
    window=16,
    predicts="eps",
    groups=4,
    eps=1e-6,
    middle="attention",
    downsampling="same",
    condition="timestep",
    freq_shift=1,
)
KINDS: dict[str, dict[str, Any]] = {
    "DDPM's": {},
    "velocities": {"predicts": "v", "betas": "cosine", "sigma2": "beta_tilde"},
    "images": {"predicts": "x0", "downsampling": "centred", "betas": "sigmoid"},
    "learned sigmas": {"sigma2": "learned"},
    "classes": {"classes": 3},
    "grey": {"image_channels": 1},
    "scale and shift": {"scale_shift": True},
    "nothing normalised in the middle": {"scale_shift": True, "middle": "bare_attention"},
    "no attention": {"attention": (), "middle": "none"},
    "the middle as its level": {"attention": (16,), "middle": "level"},
    "heads": {"head_width": 4},
    "groups as ever": {"groups": 0},
}
REFUSED: dict[str, dict[str, Any]] = {  # by the field that has to be named
    "predicts": {"predicts": "mu"},
    "condition": {"condition": "sigma"},
    "norm": {"norm": "none", "attention": (), "middle": "none", "groups": 0},
    "skips": {"skips": "add"},
    "activation": {"activation": "hard_swish"},
    "patch": {"patch": 2},
    "fourier": {"fourier": (7, 8)},
    "middle": {"middle": "level"},
}


def checkpoint(**fields: Any) -> Checkpoint:
    """A network of ours with random weights."""
    config = NetworkConfig(**{**vars(DDPM), **fields})
    objective = "hybrid" if config.sigma2 == "learned" else "simple"
    train = TrainConfig(
        objective, 4, steps=9, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16, dropout=0.1
    )
    if config.image_channels == 1:
        train = dataclasses.replace(train, grey=1.0)
    torch.manual_seed(0)
    network = build(config)
    weights = {k: w + 0.05 * torch.randn_like(w) for k, w in network.state_dict().items()}
    return Checkpoint(Recipe("ours", config, train), {k: w.numpy() for k, w in weights.items()})


@pytest.mark.parametrize("name", KINDS)
def test_the_library_computes_the_same(name: str, tmp_path: Path) -> None:
    one = checkpoint(**KINDS[name])
    save_folder(one, tmp_path / "f")
    loaded = diffusers.DDPMPipeline.from_pretrained(tmp_path / "f")
    network, config = loaded.unet.eval(), one.recipe.network
    assert network.config.dropout == 0.1 and loaded.scheduler.config.num_train_timesteps == 1000
    label = 2 if config.classes else None
    known = {} if label is None else {"class_labels": torch.tensor([label])}
    ours, schedule = NetworkDenoiser(one, label=label), Schedule.named(config.betas, 1000)
    x_t = torch.randn(1, config.image_channels, 16, 16)
    for t in (0, 500, 999):
        v = torch.tensor([schedule.v[t]]).float()
        told = None if label is None else known["class_labels"]
        with torch.inference_mode():
            found, wanted = ours.network.residual(x_t, v, told), network(x_t, t, **known).sample
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_there_and_back_it_is_the_same_network(name: str, tmp_path: Path) -> None:
    one = checkpoint(**KINDS[name])
    save_folder(one, tmp_path / "f")
    back = load_folder(tmp_path / "f")
    assert back.weights.keys() == one.weights.keys()
    assert all(np.array_equal(back.weights[k], w) for k, w in one.weights.items())
    assert back.recipe.train.dropout == 0.1
    y = np.random.default_rng(0).standard_normal((1, 16, 16)).astype(np.float32)
    label = 1 if one.recipe.network.classes else None
    mine, theirs = (NetworkDenoiser(c, label=label) for c in (one, back))
    assert np.array_equal(mine(y, 0.2), theirs(y, 0.2))


def test_a_folder_of_the_library_s_comes_back(tmp_path: Path) -> None:
    first = load_folder(pipeline(tmp_path / "theirs", model(), prediction_type="sample"))
    save_folder(first, tmp_path / "ours")
    assert load_folder(tmp_path / "ours").fingerprint == first.fingerprint


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_library_has_no_place_for_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"no place for network\.{name} = "):
        save_folder(checkpoint(**REFUSED[name]), tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_the_library_samples_with_it(tmp_path: Path) -> None:
    save_folder(checkpoint(), tmp_path / "f")
    loaded = diffusers.DDPMPipeline.from_pretrained(tmp_path / "f")
    loaded.set_progress_bar_config(disable=True)
    images = loaded(num_inference_steps=2, output_type="np").images
    assert images.shape == (1, 16, 16, 3) and np.isfinite(images).all()


# --- the command ---


def test_command(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "model.safetensors")
    folder = tmp_path / "new" / "f"
    told = invoke("export", "--diffusers", folder, tmp_path / "model.safetensors").stderr
    assert "DDPMPipeline" in told
    assert json.loads((folder / "model_index.json").read_text())["_class_name"] == "DDPMPipeline"
    again = invoke("export", "--diffusers", folder, tmp_path / "model.safetensors", code=1)
    assert "is not empty" in again.stderr
    invoke("export", "--diffusers", folder, tmp_path / "model.safetensors", "-f")


def test_command_refuses(tmp_path: Path) -> None:
    untrained().save(tmp_path / "ours.safetensors")
    told = invoke("export", "--diffusers", tmp_path / "f", tmp_path / "ours.safetensors", code=1)
    assert 'network.norm = "none"' in told.stderr and told.stderr.count("\n") == 1
    invoke("export", tmp_path / "ours.safetensors", code=2)
    invoke("export", tmp_path / "ours.safetensors", "--diffusers", "f", "--data", "x", code=2)
    assert not (tmp_path / "f").exists()
