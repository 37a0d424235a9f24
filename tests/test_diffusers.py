"""Folders of diffusers: the real library and this reader compute the same x0_hat."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcodec.network.config import Recipe
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.diffusers import load_folder
from diffcodec.network.diffusers.fields import Fields
from diffcodec.network.diffusers.names import layers_of
from diffcodec.network.diffusers.scheduler import Noise
from diffcodec.network.diffusers.unet import DEFAULTS, network_config
from diffcodec.network.kinds import build
from diffcodec.network.noise import timestep
from diffcodec.theory.chain import Tables
from diffcodec.theory.schedule import Schedule
from tests.diffusers_folders import AS_DDPM, blocks, diffusers, model, pipeline

TIMES = (0, 1, 10, 300, 700, 998, 999)  # as the library counts them
NAMES = {  # of betas, theirs and ours
    "linear": "linear",
    "scaled_linear": "quadratic",
    "squaredcos_cap_v2": "cosine",
    "sigmoid": "sigmoid",
}
DEEP = {"block_out_channels": (16, 16, 48), "layers_per_block": 2, **blocks(True, False, True)}
NETWORKS: dict[str, dict[str, Any]] = {
    "as DDPM's": AS_DDPM,
    "heads": {"attention_head_dim": 4},
    "three levels": DEEP,
    "no attention": {"add_attention": False, **blocks(False, False)},
    "attention in the middle only": blocks(False, False),
    "attention in the levels only": {"add_attention": False},
    "scale and shift": {"resnet_time_scale_shift": "scale_shift"},
    "scale and shift, normalised": {
        "resnet_time_scale_shift": "scale_shift",
        "attn_norm_num_groups": 4,
    },
    "grey": {"in_channels": 1, "out_channels": 1},
    "one level": {"block_out_channels": (16,), **blocks(True)},
    "a pair of sides": {"sample_size": (16, 16)},
}


def estimate(network: Any, x_t: torch.Tensor, t: int, abar: float, kind: str, **known: Any) -> Any:
    """x0_hat by the library's network and the formulas of its schedulers, in float64."""
    out = network(x_t.float(), t, **known).sample.double()[:, : x_t.shape[1]]
    if kind == "sample":
        x0_hat = out
    elif kind == "epsilon":
        x0_hat = (x_t - (1 - abar) ** 0.5 * out) / abar**0.5
    else:
        x0_hat = abar**0.5 * x_t - (1 - abar) ** 0.5 * out
    return x0_hat.clamp(-1, 1).numpy()


def compare(folder: Path, network: Any, kind: str, betas: str, label: int | None = None) -> None:
    """At some timesteps, the first and the last among them."""
    ours = NetworkDenoiser(load_folder(folder), label=label)
    known = {} if label is None else {"class_labels": torch.tensor([label])}
    schedule, channels = Schedule.named(NAMES[betas], 1000), network.config.in_channels
    rng = np.random.default_rng(0)
    x0 = rng.uniform(-0.5, 0.5, (1, channels, 16, 16))
    for t in TIMES:
        abar, v = float(schedule.alpha_bar[t]), float(schedule.v[t])
        y = (x0 + v**0.5 * rng.standard_normal(x0.shape)).astype(np.float32)
        x_t = torch.from_numpy(y.astype(np.float64) * abar**0.5)
        wanted = estimate(network, x_t, t, abar, kind, **known)
        # What eps says is divided by sqrt(alpha_bar), and with it the rounding of float32.
        np.testing.assert_allclose(ours.batch(y, v), wanted, atol=1e-5 * max(1.0, v**0.5))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_computes_the_same(name: str, tmp_path: Path) -> None:
    network = model(**NETWORKS[name])
    compare(pipeline(tmp_path / "f", network), network, "epsilon", "linear")


@pytest.mark.parametrize("betas", NAMES)
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_every_prediction_means_the_same(kind: str, betas: str, tmp_path: Path) -> None:
    network = model()
    folder = pipeline(tmp_path / "f", network, prediction_type=kind, beta_schedule=betas)
    compare(folder, network, kind, betas)


def test_the_library_s_own_step_agrees(tmp_path: Path) -> None:
    network, scheduler = model(), diffusers.DDPMScheduler()
    ours = NetworkDenoiser(load_folder(pipeline(tmp_path / "f", network)))
    x_t = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for t in (100, 500):
        abar = float(scheduler.alphas_cumprod[t])
        step = scheduler.step(network(x_t, t).sample, t, x_t).pred_original_sample
        y = (x_t / abar**0.5).numpy()
        np.testing.assert_allclose(ours.batch(y, (1 - abar) / abar), step.numpy(), atol=1e-4)


def test_betas_are_the_library_s() -> None:
    for theirs, ours in NAMES.items():
        scheduler = diffusers.DDPMScheduler(beta_schedule=theirs)
        wanted = scheduler.alphas_cumprod.double().numpy()
        np.testing.assert_allclose(Schedule.named(ours, 1000).alpha_bar, wanted, rtol=2e-4)


def test_timesteps_are_whole_at_their_noise_and_between_them_between() -> None:
    for name in NAMES.values():
        v = torch.from_numpy(Schedule.named(name, 1000).v.copy())
        found = timestep(v.float(), v.log())
        assert (found - torch.arange(1000.0)).abs().max() < 2e-4
        half = (v[1:] * v[:-1]).sqrt()
        assert torch.allclose(timestep(half, v.log()), torch.arange(999).double() + 0.5)
        assert timestep(torch.tensor([1e-9, 1e9]), v.log()).tolist() == [0.0, 999.0]


# --- classes, variances, tables ---


def test_a_class_is_told(tmp_path: Path) -> None:
    network = model(num_class_embeds=5)
    folder = pipeline(tmp_path / "f", network)
    for label in (0, 4):
        compare(folder, network, "epsilon", "linear", label)
    ours = NetworkDenoiser(load_folder(folder))
    y = np.zeros((3, 16, 16), np.float32)
    one, other = ours.of_class(1), ours.of_class(2)
    assert one.network is ours.network and (one.label, ours.label) == (1, None)
    assert not np.array_equal(one(y, 0.5), other(y, 0.5))
    assert np.array_equal(pickle.loads(pickle.dumps(one))(y, 0.5), one(y, 0.5))


def test_a_learned_variance_lies_where_the_library_says(tmp_path: Path) -> None:
    network = model(out_channels=6)
    folder = pipeline(tmp_path / "f", network, variance_type="learned_range")
    ours = NetworkDenoiser(load_folder(folder))
    schedule, t = Schedule.named("linear", 1000), 400
    y = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    x_t = torch.from_numpy(y * schedule.alpha_bar[t] ** 0.5).float()
    share = (network(x_t, t).sample[:, 3:].numpy() + 1) / 2
    np.testing.assert_allclose(ours.with_variance(y, schedule.v[t])[1], share, atol=1e-5)
    compare(folder, network, "epsilon", "linear")


@pytest.mark.parametrize(
    ("stated", "sigma2"),
    [("fixed_small", "beta_tilde"), ("fixed_large", "beta"), ("fixed_small_log", "beta_tilde")],
)
def test_a_fixed_variance_is_the_bound_s(stated: str, sigma2: str, tmp_path: Path) -> None:
    found = load_folder(pipeline(tmp_path / "f", model(), variance_type=stated))
    assert found.recipe.network.sigma2 == sigma2


def test_a_folder_is_ready_to_code_with(tmp_path: Path) -> None:
    small = load_folder(pipeline(tmp_path / "small", model()))
    large = load_folder(pipeline(tmp_path / "large", model(sample_size=128)))
    assert Tables.of(small.tables).prior_variance != Tables.of(large.tables).prior_variance
    assert Recipe.from_dict(small.recipe.to_dict()) == small.recipe
    assert small.recipe.name == "small" and small.recipe.train.crop == 16
    again = load_folder(tmp_path / "small")
    assert again.fingerprint == small.fingerprint != large.fingerprint
    other = load_folder(pipeline(tmp_path / "other", model(seed=1)))
    assert other.fingerprint != small.fingerprint


@pytest.mark.parametrize("shape", [(3, 5, 3), (1, 16, 16), (3, 40, 21)])
def test_images_of_any_size(shape: tuple[int, int, int], tmp_path: Path) -> None:
    ours = NetworkDenoiser(load_folder(pipeline(tmp_path / "f", model())))
    y = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert ours(y, 0.3).shape == shape and np.abs(ours(y, 0.3)).max() <= 1


GOOGLE = {  # config.json of google/ddpm-cifar10-32
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [128, 256, 256, 256],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-6,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}


def test_ddpm_s_own_recipe_is_what_google_published() -> None:
    recipe = Recipe.load(Path(__file__).parent.parent / "recipes" / "ddpm-cifar10.toml")
    fields = Fields(Path("config.json"), GOOGLE, DEFAULTS)
    assert network_config(fields, Noise("eps", "linear", "beta")) == recipe.network
    with torch.device("meta"):
        real = diffusers.UNet2DModel.from_config(GOOGLE)
        ours = build(recipe.network)
    counts = [sum(weight.numel() for weight in net.parameters()) for net in (real, ours)]
    assert counts == [35_746_307] * 2
    theirs = {
        name for layer in layers_of(recipe.network) for _, all in layer.tensors for name in all
    }
    assert theirs == set(real.state_dict())
