"""Float networks with groups and attention, their integer networks, and what is coded with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from diffcodec import image
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError, OptionError
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.export import export, float_network
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.overflow import prove
from diffcodec.exact.specialised import specialised
from diffcodec.exact.stored import load_integers
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.tables import measure_tables
from diffcodec.network.unet import UNet
from tests.command import invoke
from tests.exported import WINDOWS, apart, attending, exported_windows, images, integers, noisy
from tests.synthetic import synthetic_image

TOLERANCE = 5e-3  # relative; the fewer channels a network has, the less its roundings cancel


def inputs(checkpoint: Checkpoint) -> tuple[torch.Tensor, np.ndarray]:
    """An image of two windows at every level."""
    x, v = noisy(checkpoint.recipe.network.patch, rows=32)
    return x, v


def unet(checkpoint: Checkpoint, x: torch.Tensor, v: np.ndarray) -> np.ndarray:
    """F by torch's forward(), pixels unshuffled."""
    network, patch = UNet(checkpoint.recipe.network), checkpoint.recipe.network.patch
    network.load(checkpoint)
    with torch.inference_mode():
        pixels = torch.nn.functional.pixel_shuffle(x, patch).float()
        found = network.residual(pixels, torch.from_numpy(v).float())
    return np.asarray(torch.nn.functional.pixel_unshuffle(found, patch).numpy())


@pytest.mark.parametrize("form", WINDOWS)
def test_the_list_of_layers_says_what_the_unet_says(form: str) -> None:
    checkpoint = attending(form)
    x, v = inputs(checkpoint)
    with torch.inference_mode():
        walked = FloatNetwork(checkpoint, torch.float64)(x, v)
    assert apart(walked.numpy(), unet(checkpoint, x, v)).max() < 1e-5


@pytest.mark.parametrize("form", WINDOWS)
def test_integers_say_what_the_unet_says(form: str) -> None:
    checkpoint, graph = attending(form), exported_windows(form)
    x, v = inputs(checkpoint)
    wanted = unet(checkpoint, x, v)
    assert apart(integers(graph, x, v), wanted).max() < TOLERANCE
    assert graph.structure()["version"] == 3 and graph.stride == 16
    assert graph.parameters == checkpoint.parameters
    assert prove(graph).bits > 29
    for layer in graph.layers:  # each kind of window matters: without it all is different
        if layer.norm and layer.silu:
            name = f"{layer.name}.scale"
            wrong = dataclasses.replace(
                graph, tensors={**graph.tensors, name: graph.tensors[name] * 2}
            )
            if f"{name}_levels" not in graph.tensors:
                assert apart(integers(wrong, x, v), wanted).max() > 2 * TOLERANCE
            break


@pytest.mark.parametrize("form", WINDOWS)
def test_the_way_back(form: str) -> None:
    checkpoint, graph = attending(form), exported_windows(form)
    x, v = inputs(checkpoint)
    back = dataclasses.replace(checkpoint, weights=dict(float_network(graph)))
    assert apart(unet(back, x, v), unet(checkpoint, x, v)).max() < TOLERANCE


def test_the_file_comes_back(tmp_path: Path) -> None:
    graph = exported_windows("ddpm")
    graph.save(tmp_path / "net.safetensors")
    again = load_integers(tmp_path / "net.safetensors")
    assert again.structure() == graph.structure() and again.layers == graph.layers
    assert again.fingerprint == graph.fingerprint


def test_bytes_have_no_windows() -> None:
    checkpoint = attending("plain", skips="add", activation="hard_swish")
    with pytest.raises(CheckpointError, match=r"layer \S+ .*for which bytes have no form"):
        export(checkpoint, images(), bits=8)


# --- classes and variances ---


def test_integers_are_for_one_class() -> None:
    checkpoint = attending("ddpm", classes=3)
    y = noisy(1, rows=16)[0][:1].numpy().astype(np.float32)
    for label in (0, 2):
        alone = NetworkDenoiser(specialised(checkpoint, label)).batch(y, 0.1)
        assert np.allclose(alone, NetworkDenoiser(checkpoint, label=label).batch(y, 0.1), atol=1e-5)
    assert not np.allclose(alone, NetworkDenoiser(checkpoint, label=0).batch(y, 0.1), atol=1e-3)
    for label in (None, 3):
        with pytest.raises(OptionError, match=r"its integers are for one: name it, 0\.\.2"):
            specialised(checkpoint, label)
    with pytest.raises(OptionError, match="knows no classes"):
        specialised(attending("ddpm"), 0)


def test_a_learned_variance_is_left_out() -> None:
    checkpoint = attending("ddpm", sigma2="learned", objective="hybrid")
    alone = specialised(checkpoint)
    y = noisy(1, rows=16)[0][:1].numpy().astype(np.float32)
    wanted = NetworkDenoiser(checkpoint).batch(y, 0.1)
    assert np.allclose(NetworkDenoiser(alone).batch(y, 0.1), wanted, atol=1e-6)
    assert np.abs(ExactDenoiser(export(alone, images()), 1).batch(y, 0.1) - wanted).max() < 0.02
    with pytest.raises(CheckpointError, match=r"network\.sigma2"):
        export(checkpoint, images())


# --- coding ---


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network with tables."""
    path, graph = tmp_path_factory.mktemp("network") / "net.safetensors", exported_windows("ddpm")
    known = [synthetic_image(16, 16, 3, seed) for seed in range(100, 104)]
    graph.with_tables(measure_tables(ExactDenoiser(graph, 1), known)).save(path)
    return path


@pytest.mark.usefixtures("steps_pay")
@pytest.mark.parametrize("shape", [(16, 16, 3), (13, 21, 3), (9, 14, 1)])
def test_every_pixel_comes_back_whatever_evaluates(
    coder: Path, shape: tuple[int, int, int]
) -> None:
    pixels = synthetic_image(*shape, seed=5)
    backends = ("numpy", "torch64", "torch32", "cpu")
    codecs = [Codec.from_pretrained(coder, 1, backend=name) for name in backends]
    files = [codec.encode(pixels, chain="12") for codec in codecs]
    assert len(set(files)) == 1
    for data, codec in zip(files, reversed(codecs), strict=True):
        decoded = codec.decode(data)
        assert decoded.lossless and decoded.steps and np.array_equal(decoded.pixels, pixels)


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the trained network to pixels: export, schedule, encode, decode, archive, nll."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("diffcodec.cli.export.PIXELS", 1 << 10)
    monkeypatch.setattr("diffcodec.cli.training_set.PIXELS", 2 * 16**2)
    monkeypatch.setattr("diffcodec.eval.likelihood.step_counts.LENGTHS", (10, 12))
    pixels = synthetic_image(24, 20, 3, seed=6)
    image.save(pixels, "a.png")
    attending("ddpm", classes=2).save(tmp_path / "net.safetensors")
    refused = invoke("export", "net.safetensors", "--data", "a.png", code=1)
    assert "its integers are for one: name it, 0..1" in refused.stderr
    told = invoke("export", "net.safetensors", "--data", "a.png", "--class", "1")
    assert "dB at noise 25" in told.stderr
    model = ("-m", "s.safetensors")
    invoke("schedule", "net.exact.safetensors", "--data", "a.png", "--chain", "8", "-o", model[1])
    for network in (model, ("-m", "net.exact.safetensors")):
        invoke("encode", "a.png", "a.dfc", *network, "--chain", "ddpm:8", "-f")
        invoke("decode", "a.dfc", "b.png", *network, "-f")
        assert np.array_equal(image.load("b.png"), pixels)
    invoke("archive", "a.png", "a.dfa", *model)
    invoke("extract", "a.dfa", "-o", "out", *model)
    assert np.array_equal(image.load("out/a.png"), pixels)
    invoke("nll", "a.png", "-m", "net.exact.safetensors", "--chain", "ddpm:5", "--json")
