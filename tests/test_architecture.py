"""Architectures by name: a walk is what a network computes and what it exports."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from diffcodec.errors import CheckpointError, RecipeError
from diffcodec.exact.activation_ranges import Activations, network_input
from diffcodec.exact.export import export, float_network, to_integers
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.listing import layers_of
from diffcodec.exact.reference import Reference
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig, Recipe, Skips, TrainConfig
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.kinds import KINDS, build
from diffcodec.network.walk import Stream, Walker
from tests.exported import images

TRAIN = TrainConfig("edm", batch=4, steps=9, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16)
LEVELS = (np.array([0.4, 3.0, 40.0, 900.0, 2000.0]) / 127.5) ** 2


def random(network: NetworkConfig) -> Checkpoint:
    """Weights that do not depend on the machine, nor on the order in which torch draws them."""
    rng = np.random.default_rng(5)
    weights = {
        name: rng.normal(0, 0.5 / weight[0].numel() ** 0.5, weight.shape).astype(np.float16)
        for name, weight in build(network).state_dict().items()
    }
    return Checkpoint(Recipe("random", network, TRAIN), weights)


# --- the U-Net's integers are those that it always had ---


@pytest.mark.parametrize(
    ("patch", "skips", "fingerprint"),
    [
        (1, "concat", "44f9f5398b8ffe77"),
        (2, "concat", "356ee23c883ce9c5"),
        (1, "add", "f3eda6ecd01936be"),
    ],
)
def test_the_same_weights_give_the_same_integers(
    patch: int, skips: Skips, fingerprint: str
) -> None:
    network = NetworkConfig(8, (1, 2, 3), 2, (), "none", window=16, patch=patch, skips=skips)
    checkpoint = random(network)
    layers = layers_of(checkpoint)
    measured = {
        layer.name: Activations(3.0 + i, moments=np.eye(layer.weight[0].size))
        for i, layer in enumerate(layers)
    }
    assert to_integers(checkpoint, layers, measured).fingerprint.hex() == fingerprint


# --- another architecture, as one class ---


class Plain(Network):
    """Convolutions one after the other (as DnCNN, Zhang et al. 2017), with the noise level."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        c = config.channels
        widths = [self.c_in, *[c] * config.blocks, self.c_out]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.shift = nn.Linear(4 * c, c)

    def walk(self, to: Walker[Stream], x: Stream) -> Stream:
        first, *middle, last = self.convs
        h = to.conv(first, x, embed=self.shift)  # type: ignore[arg-type]
        for conv in middle:
            h = to.conv(conv, h, silu=True)  # type: ignore[arg-type]
        return to.conv(last, h, silu=True, float32=self.float32)  # type: ignore[arg-type]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setitem(KINDS, "plain", lambda: Plain)
    return random(NetworkConfig(8, (1,), 3, (), "none", window=8, patch=2, kind="plain"))


def test_another_architecture_is_chosen_by_its_name(plain: Checkpoint) -> None:
    assert isinstance(NetworkDenoiser(plain).network, Plain)
    known = plain.recipe.to_dict()
    assert known["network"]["kind"] == "plain" and Recipe.from_dict(known) == plain.recipe
    unet = dataclasses.replace(plain.recipe.network, kind="unet")
    assert "kind" not in dataclasses.replace(plain.recipe, network=unet).to_dict()["network"]
    with pytest.raises(RecipeError, match=r'network\.kind is "none"; there is unet or plain'):
        dataclasses.replace(unet, kind="none")


def test_another_architecture_is_exported(plain: Checkpoint) -> None:
    graph = export(plain, images())
    assert [layer.name for layer in graph.layers] == [f"convs.{i}" for i in range(4)]
    assert graph.parameters == plain.parameters
    assert graph.parameters == sum(p.numel() for p in build(plain.recipe.network).parameters())
    rng = np.random.default_rng(0)
    y = rng.normal(0, 0.5, (5, 3, 12, 16)) + np.sqrt(LEVELS)[:, None, None, None]
    x = network_input(FloatNetwork(plain, torch.float64), y, LEVELS)
    counts = np.rint(x.numpy() * 2**INPUT_FRACTION).astype(np.int16).transpose(0, 2, 3, 1)
    out = Reference(graph, np.float64)(counts, LEVELS).transpose(0, 3, 1, 2) / 2.0**graph.output
    network = build(plain.recipe.network)
    for weights in (plain, dataclasses.replace(plain, weights=dict(float_network(graph)))):
        network.load(weights)
        with torch.inference_mode():
            pixels = nn.functional.pixel_shuffle(x, 2).float()
            wanted = network.residual(pixels, torch.from_numpy(LEVELS).float())
        wanted = nn.functional.pixel_unshuffle(wanted, 2).numpy()
        assert np.square(out - wanted).mean() < 1e-5 * np.square(wanted).mean()


@pytest.mark.parametrize(
    "change", [{"bias": False}, {"padding": 0}, {"dilation": 2}, {"groups": 8}, {"stride": (1, 2)}]
)
def test_convolutions_without_an_integer_form_are_refused(
    plain: Checkpoint, change: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(Plain):
        def __init__(self, config: NetworkConfig) -> None:
            super().__init__(config)
            self.convs[1] = nn.Conv2d(8, 8, 3, **{"padding": 1, **change})

    monkeypatch.setitem(KINDS, "plain", lambda: Other)
    with pytest.raises(CheckpointError, match="random has no exact form"):
        layers_of(random(plain.recipe.network))
