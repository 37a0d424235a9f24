"""A float U-Net, its integer network, and the proof that the integers never overflow."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from diffcodec.errors import CheckpointError
from diffcodec.exact.export import export, float_network
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.layer_export import HEADROOM
from diffcodec.exact.overflow import ROOM, accumulator, activation, prove
from diffcodec.exact.reference import Reference
from diffcodec.exact.rounding import Rounding
from diffcodec.exact.stored import load_integers
from diffcodec.network.config import Recipe, Skips
from diffcodec.network.unet import UNet
from tests.command import invoke
from tests.exact_network import build
from tests.exported import apart, exported, images, integers, noisy, plain, untrained
from tests.synthetic import synthetic_image

TOLERANCE = 3e-3  # relative; the fewer channels a network has, the less its roundings cancel


def altered(graph: Graph, name: str, tensor: NDArray[Any]) -> Graph:
    return dataclasses.replace(graph, tensors={**graph.tensors, name: tensor})


FORMS: list[tuple[int, int, Skips]] = [
    (1, 1, "concat"),
    (2, 1, "concat"),
    (1, 2, "concat"),
    (2, 1, "add"),
    (1, 2, "add"),
]


@pytest.mark.parametrize(("patch", "blocks", "skips"), FORMS)
def test_the_walk_is_the_unet(patch: int, blocks: int, skips: Skips) -> None:
    checkpoint = untrained(patch, blocks, skips)
    unet = UNet(checkpoint.recipe.network)
    unet.load_state_dict({k: torch.from_numpy(w).float() for k, w in checkpoint.weights.items()})
    x, v = noisy(patch)
    with torch.inference_mode():
        walked = FloatNetwork(checkpoint, torch.float64)(x, v)
        pixels = torch.nn.functional.pixel_shuffle(x, patch).float()
        wanted = unet.residual(pixels, torch.from_numpy(v).float())
    walked = torch.nn.functional.pixel_shuffle(walked, patch)
    assert apart(walked.numpy(), wanted.numpy()).max() < 1e-5
    names = {layer.name for layer in FloatNetwork(checkpoint, torch.float32).layers}
    assert names == {
        k.removesuffix(".bias") for k in checkpoint.weights if ".bias" in k and "embed" not in k
    }


@pytest.mark.parametrize(("patch", "blocks", "skips"), FORMS)
def test_integers_say_what_the_unet_says(patch: int, blocks: int, skips: Skips) -> None:
    checkpoint, graph = untrained(patch, blocks, skips), exported(patch, blocks, skips)
    x, v = noisy(patch)
    with torch.inference_mode():
        wanted = FloatNetwork(checkpoint, torch.float64)(x, v)
    assert apart(integers(graph, x, v), wanted.numpy()).max() < TOLERANCE


def test_hard_swish_is_another_table() -> None:
    checkpoint = untrained(activation="hard_swish")
    x, v = noisy(1)
    with torch.inference_mode():
        wanted = FloatNetwork(checkpoint, torch.float64)(x, v)
    graph = export(checkpoint, images())
    assert apart(integers(graph, x, v), wanted.numpy()).max() < TOLERANCE
    unet = UNet(checkpoint.recipe.network)
    unet.load_state_dict({k: torch.from_numpy(w).float() for k, w in checkpoint.weights.items()})
    with torch.inference_mode():
        same = unet.residual(x.float(), torch.from_numpy(v).float())
        other = FloatNetwork(untrained(), torch.float64)(x, v)  # SiLU's
    assert apart(same.numpy(), wanted.numpy()).max() < 1e-5
    assert apart(other.numpy(), wanted.numpy()).min() > 3 * TOLERANCE


def test_the_tolerance_is_small() -> None:
    """One channel of any layer scaled wrongly does not pass."""
    graph = exported()
    x, v = noisy(1)
    x, v = x[:2], v[:2]
    right = integers(graph, x, v)
    for layer in graph.layers[::3]:
        name = f"{layer.name}.shift"
        wrong = graph.tensors[name].copy()
        wrong[0] += 1
        assert apart(integers(altered(graph, name, wrong), x, v), right).max() > 2 * TOLERANCE


def test_the_way_back() -> None:
    checkpoint, graph = untrained(), exported()
    state = float_network(graph)
    unet = UNet(Recipe.from_dict(graph.facts["recipe"]).network)
    unet.load_state_dict({k: torch.from_numpy(w) for k, w in state.items()}, strict=True)
    for name in state:
        if "embed" in name:
            assert np.array_equal(state[name], checkpoint.weights[name].astype(np.float32))
    x, v = noisy(1)
    with torch.inference_mode():
        F = unet.residual(x.float(), torch.from_numpy(v).float()).numpy()
    assert apart(integers(graph, x, v), F).max() < TOLERANCE


def test_a_file_has_had_this_fingerprint_since_weights_had_16_bits() -> None:
    assert build("unit").fingerprint.hex() == "94f0008f40bc7a09"


def test_facts_are_carried_over(tmp_path: Path) -> None:
    checkpoint = untrained()
    exported().save(tmp_path / "net.safetensors")
    graph = load_integers(tmp_path / "net.safetensors")
    assert graph.facts["tables"] == checkpoint.tables and graph.facts["card"] == checkpoint.card
    assert Recipe.from_dict(graph.facts["recipe"]) == checkpoint.recipe
    assert graph.facts["trained"] == checkpoint.fingerprint.hex()
    assert (graph.patch, graph.stride, graph.sigma_data) == (1, 4, 0.5)


def test_int16_is_used_up_and_leaves_room() -> None:
    graph = exported()
    x, v = noisy(1)
    reference = Reference(graph, np.float64)
    seen: dict[str, int] = {}
    plain = reference._activations

    def watched(layer: Layer, streams: list[Any]) -> Any:
        a = plain(layer, streams)
        seen[layer.name] = max(seen.get(layer.name, 0), int(np.abs(a).max()))
        return a

    reference._activations = watched  # type: ignore[method-assign]
    reference((x.numpy() * 4096).astype(np.int16).transpose(0, 2, 3, 1), v)
    for layer in graph.layers[1:]:
        assert seen[layer.name] < layer.limit <= 32767
        assert layer.shift == 0 or layer.limit > 32767 // 2 - 1
        assert seen[layer.name] < 1.2 * layer.limit / HEADROOM
    assert prove(graph).bits > 29


@pytest.mark.parametrize("change", [{"classes": 10}, {"image_channels": 1}, {"fourier": (7,)}])
def test_other_networks_are_refused(change: dict[str, Any]) -> None:
    checkpoint = untrained()
    network = dataclasses.replace(checkpoint.recipe.network, **change)
    train = dataclasses.replace(checkpoint.recipe.train, grey=1.0)
    recipe = dataclasses.replace(checkpoint.recipe, network=network, train=train)
    (field,) = change
    with pytest.raises(CheckpointError, match=rf"tiny has no exact form: .*network.{field}"):
        export(dataclasses.replace(checkpoint, recipe=recipe), images())


def test_weights_that_do_not_fit_are_refused() -> None:
    checkpoint = untrained()
    del checkpoint.weights["up.3.0.conv2.weight"]
    with pytest.raises(CheckpointError, match="do not fit its recipe"):
        export(checkpoint, images())
    checkpoint = untrained()
    checkpoint.weights["head.weight"][1, 2, 0, 1] = np.inf
    with pytest.raises(CheckpointError, match="weights that are not numbers"):
        export(checkpoint, images())
    checkpoint = untrained()
    checkpoint.weights["down.0.0.conv1.bias"] = np.full(8, 1e9, np.float32)
    with pytest.raises(CheckpointError, match=r"down\.0\.0\.conv1 are too large"):
        export(checkpoint, images())


# --- the proof ---


def test_the_bound_is_reached_and_never_passed() -> None:
    graph = exported()
    for layer in graph.layers:
        weight = graph.weight(layer).astype(np.int64)
        least, most = activation(layer, int(graph.tensors["silu"].min()))
        low, high = accumulator(graph, layer, (least, most))
        worst = np.where(weight > 0, most, least)  # the activations that add up most
        bias = graph.tensors[f"{layer.name}.bias"].astype(np.int64)
        rows = graph.tensors.get(f"{layer.name}.levels", np.zeros((1, len(bias)), np.int64))
        half = (1 << graph.tensors[f"{layer.name}.shift"].astype(np.int64)) >> 1
        top = (weight * worst).sum(axis=(1, 2, 3)) + np.maximum(bias + rows.max(axis=0), 0) + half
        assert np.array_equal(top, high)
        worst = np.where(weight > 0, least, most)
        bottom = (weight * worst).sum(axis=(1, 2, 3)) + np.minimum(bias + rows.min(axis=0), 0)
        assert np.array_equal(bottom, low)
        assert max(high.max(), -low.min()) < ROOM


def test_bounds_are_data() -> None:
    graph = exported()
    told = json.loads(json.dumps(prove(graph).to_dict()))
    assert [row["name"] for row in told["layers"]] == [layer.name for layer in graph.layers]
    assert told["accumulator_bits"] == max(row["accumulator_bits"] for row in told["layers"])
    assert all(row["accumulator"] < 2**31 for row in told["layers"])
    assert all(row["stream"] < 2**31 and row["activation"] < 2**15 for row in told["layers"])


def test_a_broken_bound_is_named() -> None:
    graph = exported()
    weight = graph.tensors["down.1.0.conv2.weight"].copy()
    weight[5] = 32767
    with pytest.raises(CheckpointError, match=r"layer down\.1\.0\.conv2 .* its sums in channel 5"):
        prove(altered(graph, "down.1.0.conv2.weight", weight))
    weight = np.full((3, 1, 1, 3), 16000, np.int16)  # each layer adds 1.5e9
    prove(plain([weight], 1, 32767))
    with pytest.raises(CheckpointError, match=r"layer layer1 .* its output in channel 0"):
        prove(plain([weight, weight], 1, 32767))


def test_altered_integers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    exported().save(path)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="was altered"):
        load_integers(path)


@pytest.mark.parametrize(
    ("name", "tensor", "complaint"),
    [
        ("silu", np.zeros(65535, np.int16), "table of SiLU"),
        ("levels", np.array([1.0, 1.0]), "do not increase"),
        ("levels", np.array([0.5, np.nan]), "do not increase"),
        ("levels", np.array([1.0]), "no noise levels"),
        ("head.bias", np.zeros(3, np.int64), "layer head .* no proper bias"),
        ("head.bias", np.zeros(4, np.int32), "layer head .* no proper bias"),
        ("head.shift", np.full(3, 31, np.uint8), "layer head .* shifts by"),
        ("head.weight", np.zeros((3, 3, 3, 9), np.int16), "sources of layer head"),
        ("head.weight", np.zeros((3, 5, 5, 8), np.int16), "layer head .* kernel 5 x 5"),
        ("head.weight", np.zeros((3, 3, 3, 9), np.int8), "sources of layer head"),
        ("head.weight", np.zeros((3, 3, 3, 8), np.uint8), "layer head .* no proper weight"),
        ("head.weight", np.zeros((3, 3, 3, 8), np.int32), "layer head .* no proper weight"),
        ("head.bias", np.zeros(3, np.int8), "layer head .* no proper bias"),
        ("down.0.0.conv1.levels", np.zeros((2, 8), np.int32), "no proper levels"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    name: str, tensor: NDArray[Any], complaint: str
) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        prove(altered(exported(), name, tensor))


@pytest.mark.parametrize(
    ("number", "change", "complaint"),
    [
        (0, {"sources": (1,)}, "layer stem .* reads streams"),
        (0, {"sources": ()}, "layer stem .* reads streams"),
        (1, {"limit": 32768}, "clips at 32768"),
        (1, {"shift": 16}, "shifts by 16"),
        (2, {"add": 0}, "output of layer down.0.0.conv2"),
        (2, {"add": 9}, "layer down.0.0.conv2 .* reads streams"),
        (2, {"upsample": True}, "output of layer down.0.0.conv2"),
        (3, {"stride": 1}, "output of layer grow.1"),
        (3, {"stride": 3}, "has stride 3"),
        (-1, {"stride": 2}, "does not yield an image"),
    ],
)
def test_layers_that_do_not_fit_are_refused(
    number: int, change: dict[str, Any], complaint: str
) -> None:
    graph = exported()
    layers = list(graph.layers)
    layers[number] = dataclasses.replace(layers[number], **change)
    with pytest.raises(CheckpointError, match=complaint):
        prove(dataclasses.replace(graph, layers=tuple(layers)))


@pytest.mark.parametrize(
    "change", [{"stride": 2}, {"patch": 0}, {"sigma_data": 0.0}, {"layers": ()}]
)
def test_sizes_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        prove(dataclasses.replace(exported(), **change))


# --- rounding ---


def test_rounding_is_to_the_nearest_where_inputs_are_independent() -> None:
    weight = np.random.default_rng(0).normal(0, 5, (4, 150))
    rounded = Rounding(np.eye(150))(weight, 9)
    assert np.array_equal(rounded, np.rint(weight).clip(-9, 9))
    assert np.array_equal(Rounding(np.zeros((150, 150)))(weight, 9), rounded)


def test_rounding_together_changes_the_output_less() -> None:
    rng = np.random.default_rng(1)
    inputs = np.cumsum(rng.normal(size=(4000, 150)), axis=1) / 5  # neighbours are alike
    moments = inputs.T @ inputs / len(inputs)
    weight = rng.normal(0, 5, (4, 150))
    errors = [
        np.square(inputs @ (w - weight).T).mean()
        for w in (Rounding(moments)(weight, 99), np.rint(weight))
    ]
    assert errors[0] < errors[1] / 10


# --- the command ---


run = partial(invoke, "export")


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcodec.cli.export.PIXELS", 1 << 10)
    untrained().save(tmp_path / "model.safetensors")
    Image.fromarray(synthetic_image(24, 24, 3, seed=5)).save(tmp_path / "a.png")
    told = run(tmp_path / "model.safetensors", "--data", tmp_path / "a.png").stderr
    written = tmp_path / "model.exact.safetensors"
    graph = load_integers(written)
    assert graph.fingerprint.hex() in told and f"{written.stat().st_size:,} bytes" in told
    assert "sums stay below 2^31" in told
    assert all(f"dB at noise {sigma}" in told for sigma in (5, 25, 100))
    again = run(tmp_path / "model.safetensors", "--data", tmp_path / "a.png", code=1)
    assert "exists" in again.stderr


def test_command_refuses(tmp_path: Path) -> None:
    grey = untrained()
    network = dataclasses.replace(grey.recipe.network, image_channels=1)
    train = dataclasses.replace(grey.recipe.train, grey=1.0)
    recipe = dataclasses.replace(grey.recipe, network=network, train=train)
    grey = dataclasses.replace(grey, recipe=recipe)
    grey.save(tmp_path / "grey.safetensors")
    bare = dataclasses.replace(untrained(), tables={})
    bare.save(tmp_path / "bare.safetensors")
    untrained().save(tmp_path / "model.safetensors")
    for name, complaint in (
        ("grey", "network.image_channels"),
        ("bare", "diffcodec calibrate"),
        ("model", "does not exist"),
        ("missing", "no network file"),
    ):
        refused = run(tmp_path / f"{name}.safetensors", "--data", tmp_path / "none", code=1)
        assert complaint in refused.stderr and refused.stderr.count("\n") == 1
