"""The U-Net: shapes, locality, windows, preconditioning, and images of any size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from diffcodec.errors import RecipeError
from diffcodec.network.config import NetworkConfig
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.noise import noise_level, timestep_embedding
from diffcodec.network.unet import UNet, normalisation
from diffcodec.network.windows import Attention, WindowNorm, from_windows, to_windows
from diffcodec.zoo import load_network

GROUP = NetworkConfig(8, (1, 2), blocks=1, attention=(4,), norm="group", window=8)
LOCAL = NetworkConfig(8, (1, 2), blocks=2, attention=(), norm="none", window=8, patch=2)
ADDED = dataclasses.replace(GROUP, multipliers=(1, 2, 3), blocks=2, skips="add")


def stirred(config: NetworkConfig) -> UNet:
    """A U-Net with every weight random, the zero-initialised ones too."""
    torch.manual_seed(0)
    unet = UNet(config).eval().requires_grad_(False)
    for weight in unet.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    return unet


@pytest.mark.parametrize("config", [GROUP, LOCAL, ADDED])
def test_shape_is_kept(config: NetworkConfig) -> None:
    y = torch.randn(2, 3, 16, 24)
    assert stirred(config)(y, torch.tensor([0.01, 2.0])).shape == y.shape


@pytest.mark.parametrize("config", [GROUP, LOCAL, ADDED])
def test_it_starts_as_the_linear_estimate(config: NetworkConfig) -> None:
    y = torch.randn(2, 3, 16, 16)
    v = torch.tensor([0.01, 2.0])
    wiener = 0.25 / (0.25 + v)[:, None, None, None] * y
    assert torch.allclose(UNet(config)(y, v), wiener, atol=1e-6)


@pytest.mark.parametrize("layer", [WindowNorm(8, 4), Attention(normalisation(GROUP, 8, 4), 8, 4)])
def test_statistics_and_attention_stay_inside_windows(layer: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    x = torch.randn(2, 8, 8, 12)
    tiles = [[x[:, :, i : i + 4, j : j + 4] for j in (0, 4, 8)] for i in (0, 4)]
    apart = torch.cat([torch.cat([layer(t) for t in row], dim=3) for row in tiles], dim=2)
    assert torch.allclose(layer(x), apart, atol=1e-5)
    assert not torch.allclose(layer(x[:, :, :, 2:6].repeat(1, 1, 1, 3)), apart, atol=1e-2)


def test_without_norm_far_pixels_do_not_matter() -> None:
    unet = stirred(LOCAL)
    y, v = torch.randn(1, 3, 16, 256), torch.tensor([0.1])
    other = y.clone()
    other[..., 200:] = 3.0
    assert torch.equal(unet(y, v)[..., :64], unet(other, v)[..., :64])


def test_windows_come_back() -> None:
    x = torch.arange(2 * 3 * 8 * 12.0).reshape(2, 3, 8, 12)
    assert to_windows(x, 4).shape == (12, 3, 4, 4)
    assert torch.equal(to_windows(x, 4)[1], x[0, :, :4, 4:8])
    assert torch.equal(from_windows(to_windows(x, 4), 2, 8, 12), x)


def test_embedding_tells_noise_levels_apart() -> None:
    e = timestep_embedding(torch.tensor([0.0, 1.0, 1000.0]), 16)
    assert e.shape == (3, 16) and torch.equal(e[0], torch.tensor([0.0] * 8 + [1.0] * 8))
    assert (e[0] - e[1]).abs().max() > 0.5


def test_noise_beyond_the_range_is_clamped() -> None:
    levels = noise_level(torch.tensor([1e-9, 1e3, 1e9]))
    assert levels.tolist() == [0.0, 1000.0, 1000.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"norm": "batch"}, "norm"),
        ({"window": 9}, "multiple"),
        ({"attention": (5,)}, "attention"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        dataclasses.replace(GROUP, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 1), (3, 13, 7), (1, 5, 30), (3, 16, 16)])
def test_denoiser_takes_any_size(tiny_float: str, shape: tuple[int, int, int]) -> None:
    denoiser = load_network(tiny_float)
    y = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x0_hat = denoiser(y, 0.3)
    assert x0_hat.shape == shape and x0_hat.dtype == np.float32
    assert np.abs(x0_hat).max() <= 1
    assert np.array_equal(x0_hat, denoiser(y, 0.3))


def test_batch_is_its_images(tiny_float: str) -> None:
    denoiser: NetworkDenoiser = load_network(tiny_float)
    y = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    v = np.array([0.01, 0.3, 4.0])
    together = denoiser.batch(y, v)
    for i in range(3):
        assert np.allclose(together[i], denoiser(y[i], float(v[i])), atol=1e-5)


def test_grey_is_seen_as_grey_with_independent_noise(tiny_float: str) -> None:
    from diffcodec.network.grey import rgb_state

    y = np.zeros((1, 1, 64, 64), np.float32)
    rgb = rgb_state(y, np.array([0.2]), slice(0, 64), slice(0, 64))
    assert np.abs(rgb.mean(axis=1)).max() < 1e-6
    # 3v in every channel needs variance v in y itself, which zeros lack: 3v (1 - 1/3) is left.
    assert rgb.var() == pytest.approx(0.4, rel=0.05)
