"""Training for bytes: it sees what the integers say, and what it reached is what is exported."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffcodec.errors import CheckpointError, RecipeError
from diffcodec.exact.activation_ranges import measure_ranges
from diffcodec.exact.bytewise.export import to_bytes
from diffcodec.exact.bytewise.graph import PAIR, ByteGraph
from diffcodec.exact.bytewise.layer_cost import LayerCost, by_bytes, measure_layers, table
from diffcodec.exact.bytewise.narrowing import SHARES, narrowed
from diffcodec.exact.bytewise.proof import pairs
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.bytewise.weights import byte_grids, byte_weights
from diffcodec.exact.cost import SIGMAS_GREY, measure_cost
from diffcodec.exact.export import export
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.listing import layers_of
from diffcodec.exact.stored import load_integers
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.network.grids import grids_in, without_grids
from diffcodec.network.kinds import build
from diffcodec.training.quantized import Rounder, quantize, within_pairs
from diffcodec.training.run import start
from diffcodec.training.step import Step
from diffcodec.training.train import train
from diffcodec.zoo import load_weights
from tests.command import invoke
from tests.exported import apart, exported_bytes, images, noisy, untrained
from tests.synthetic import synthetic_image

CPU = torch.device("cpu")
BYTES = ("train.quantize='int8'", "train.target='start'", "train.objective='psnr'")


@lru_cache
def floats() -> Checkpoint:
    """A float network that bytes have a form for."""
    return untrained(1, 1, "add", activation="hard_swish")


def recipe(*settings: str) -> Recipe:
    """Its recipe."""
    return floats().recipe.override(settings)


def trained_for_bytes() -> Checkpoint:
    """What the integers of `floats` say, with their grids."""
    return dataclasses.replace(floats(), weights=byte_weights(exported_bytes()))


# --- the same numbers ---


def test_what_training_sees_is_what_the_integers_say() -> None:
    x, v = noisy(1)
    network = build(recipe().network)
    network.load(trained_for_bytes())
    with torch.inference_mode():
        plain = network.residual(x.float(), torch.from_numpy(v).float()).numpy()
        quantize(network, byte_grids(exported_bytes()))
        seen = network.residual(x.float(), torch.from_numpy(v).float()).numpy()
    counts = np.rint(x.numpy() * 2**INPUT_FRACTION).clip(-32768, 32767).astype(np.int16)
    said = ByteReference(exported_bytes())(counts.transpose(0, 2, 3, 1), v)
    said = said.transpose(0, 3, 1, 2) / 2.0 ** exported_bytes().output
    assert apart(seen, said).max() < apart(plain, said).max() / 2  # streams round as well


def test_layers_round_as_the_integers_do() -> None:
    graph, (x, v) = exported_bytes(), noisy(1)
    network, reference = FloatNetwork(floats(), torch.float32), ByteReference(exported_bytes())
    weights, grids = trained_for_bytes().weights, byte_grids(graph)
    with torch.inference_mode():
        streams = network.streams([x.float()], v)
    for k, layer in enumerate(graph.layers[1:], 1):
        own, unit = Rounder(grids[layer.name], CPU), 2.0 ** graph.read(k)
        stream = torch.round(streams[k] * unit)
        a = stream / unit if layer.activation == "none" else network.activation(stream / unit)
        seen = own.activations(a).numpy()
        said = np.stack(
            [reference.activations(k, s.transpose(1, 2, 0)) for s in stream.numpy().astype(int)]
        ).transpose(0, 3, 1, 2)
        assert np.abs(seen - said).max() <= 1 and (seen == said).mean() > 0.95
        found = own.weights(torch.from_numpy(weights[f"{layer.name}.weight"])) / own.unit
        assert np.array_equal(found.numpy().transpose(0, 2, 3, 1), graph.weight(layer))


def test_gradients_pass_where_nothing_is_cut() -> None:
    (grid, *_) = byte_grids(exported_bytes()).values()
    own = Rounder(grid, CPU)
    low, high = (torch.from_numpy(end)[:, None, None] for end in grid.range)
    for share, wanted in ((0.3, 1.0), (1.2, 0.0), (-0.2, 0.0)):
        a = (low + share * (high - low)).requires_grad_()
        q = own.activations(a)
        assert torch.equal(q, q.round()) and (q.max() - q.min()) <= 255
        (gradient,) = torch.autograd.grad(q.sum(), a)
        torch.testing.assert_close(gradient * own.step, torch.full_like(gradient, wanted))


def test_neighbours_add_up_to_what_integers_allow() -> None:
    counts = torch.randint(-127, 128, (9, 7, 3, 3)).float()
    found = within_pairs(counts)
    kept = found.numpy().transpose(0, 2, 3, 1)
    assert pairs(kept).max() == PAIR < pairs(counts.numpy().transpose(0, 2, 3, 1)).max()
    fits = (counts[:, 0:6:2] + counts[:, 1::2]).abs() <= PAIR
    assert torch.equal(found[:, 1::2][fits], counts[:, 1::2][fits])
    assert torch.equal(found[:, ::2], counts[:, ::2])


def test_every_weight_learns(tmp_path: Path) -> None:
    run = start(recipe(*BYTES), tmp_path, CPU, trained_for_bytes())
    out = run.model(torch.randn(2, 3, 16, 16), torch.tensor([0.01, 1.0]))
    torch.autograd.backward(out.square().sum())
    for name, weight in run.model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


# --- runs ---


def test_a_run_keeps_its_grids_to_the_end(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffcodec.training.train.PIXELS", 1 << 10)
    whole = recipe(*BYTES, "train.steps=4", "train.lr=1e-4")
    train(whole, image_folder, tmp_path / "a", first=floats(), quiet=True)
    for minutes in (1e-9, None):  # stops after one step
        train(whole, image_folder, tmp_path / "b", first=floats(), minutes=minutes, quiet=True)
    one, other = (Checkpoint.load(tmp_path / run / "model.safetensors") for run in "ab")
    assert one.weights.keys() == other.weights.keys()
    assert all(np.array_equal(t, other.weights[name]) for name, t in one.weights.items())
    grids, layers = grids_in(one.weights), layers_of(one)
    assert set(grids) == {layer.name for layer in layers[1:]}
    assert one.parameters == floats().parameters
    graph = export(one, images(), bits=8)
    assert isinstance(graph, ByteGraph)
    for name, grid in byte_grids(graph).items():
        assert np.array_equal(grid.bits, grids[name].bits)
        np.testing.assert_allclose(grid.range, grids[name].range, rtol=0.01, atol=0.01)
        kept, back = one.weights[f"{name}.weight"], byte_weights(graph)[f"{name}.weight"]
        np.testing.assert_allclose(kept, back, rtol=0.01, atol=1e-6)  # what training multiplied


def test_weights_are_exported_as_training_saw_them() -> None:
    checkpoint = trained_for_bytes()
    again = export(checkpoint, images(), bits=8)
    for layer in again.layers:
        here, there = again.weight(layer), exported_bytes().weight(layer)
        assert np.array_equal(here, there) or layer.wide


def test_the_target_teaches_and_the_images_weigh(tmp_path: Path) -> None:
    crops = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    means = []
    for target in ("image", "start"):
        run = start(recipe(*BYTES, f"train.target='{target}'"), tmp_path, CPU, trained_for_bytes())
        if target == "start":
            run.target = run.ema  # the same weights, not rounded
        loss = Step(run, 1)(crops, torch.Generator().manual_seed(1), 0.0)
        assert run.objective.errors is not None
        means.append((float(loss), run.objective.errors.means.clone()))
    assert torch.equal(means[0][1], means[1][1]) and 0 < means[1][0] < 0.1 * means[0][0]


@pytest.mark.parametrize(
    ("settings", "named"), [(BYTES[:1], r"train\.quantize"), (BYTES[1:], r"train\.target")]
)
def test_what_needs_a_network_to_start_from_says_so(
    settings: tuple[str, ...], named: str, image_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=f"{named}.*--from"):
        train(recipe(*settings), image_folder, tmp_path, quiet=True)


@pytest.mark.parametrize(
    "setting",
    ["network.skips='concat'", "network.activation='silu'", "network.norm='group'"],
)
def test_what_bytes_have_no_form_for_is_not_trained(setting: str) -> None:
    assert recipe(BYTES[0])
    with pytest.raises(RecipeError, match=setting.partition("=")[0]):
        recipe(BYTES[0], setting)


# --- the way back, and refusals ---


def test_the_way_back(tmp_path: Path) -> None:
    exported_bytes().save(tmp_path / "net.safetensors")
    back = load_weights(tmp_path / "net.safetensors")
    network, (x, v) = build(back.recipe.network), noisy(1)
    network.load(back)
    with torch.inference_mode():
        found = network.residual(x.float(), torch.from_numpy(v).float()).numpy()
        wanted = FloatNetwork(floats(), torch.float64)(x, v).numpy()
    assert apart(found, wanted)[:3].max() < 0.12  # of levels that were measured
    measured = measure_ranges(FloatNetwork(back, torch.float32), np.stack(images()))
    graph = to_bytes(back, layers_of(back), measured)
    for layer in graph.layers:
        assert np.array_equal(graph.weight(layer), exported_bytes().weight(layer)) or layer.wide


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (untrained(1, 1, "concat", activation="hard_swish"), r"layer \S+ reads other streams"),
        (untrained(1, 1, "add"), r"layer down\S+ reads SiLU"),
    ],
)
def test_what_has_no_form_is_refused(made: Checkpoint, named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        export(made, images(), bits=8)


# --- ranges ---


def test_ranges_are_narrowed_where_that_costs_less() -> None:
    network = FloatNetwork(floats(), torch.float32)
    measured = measure_ranges(network, np.stack(images()))
    name = network.layers[1].name
    wide = {**measured, name: dataclasses.replace(measured[name], low=measured[name].low - 500.0)}
    found, same = narrowed(network, wide, images()), narrowed(network, measured, images())
    np.testing.assert_allclose(found[name].low, 0.65 * wide[name].low)
    for layer, own in same.items():
        shares = (own.high / np.maximum(measured[layer].high, 1e-9))[measured[layer].high > 0]
        assert np.allclose(shares, shares.max())
        assert any(np.isclose(shares.max(), share) for share in SHARES)


# --- what layers cost ---


def test_layers_cost_about_what_the_network_costs() -> None:
    costs = measure_layers(floats(), exported_bytes(), images())
    assert [cost.name for cost in costs] == [layer.name for layer in exported_bytes().layers]
    every = np.sum([cost.db for cost in costs], axis=0)
    whole = [c.float_db - c.exact_db for c in measure_cost(floats(), exported_bytes(), images())]
    np.testing.assert_allclose(every, whole, atol=0.1)


def test_a_layer_by_bytes_rounds_little() -> None:
    network, graph, (x, v) = FloatNetwork(floats(), torch.float32), exported_bytes(), noisy(1)
    with torch.inference_mode():
        streams = network.streams([x.float()], v)
        for k in range(len(graph.layers)):
            own = by_bytes(network, graph, k, streams, v)
            assert own.shape == streams[k + 1].shape
            assert apart(own.numpy(), streams[k + 1].numpy())[:3].max() < 0.1


def test_the_table_names_the_worst() -> None:
    count = len(SIGMAS_GREY)
    told = table([LayerCost(f"layer{k}", (k / 100,) * count) for k in range(10)]).splitlines()
    assert "layer9" in told[2] and "layer2" in told[9] and len(told) == 11
    assert "all 10" in told[10] and "0.450" in told[10]


def test_the_command_makes_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcodec.cli.export.PIXELS", 1 << 10)
    network, picture = tmp_path / "model.safetensors", tmp_path / "a.png"
    floats().save(network)
    Image.fromarray(synthetic_image(24, 24, 3, seed=5)).save(picture)
    told = invoke("export", "--bits", 8, network, "--data", picture).stderr
    graph = load_integers(tmp_path / "model.exact.safetensors")
    assert isinstance(graph, ByteGraph) and graph.fingerprint.hex() in told
    assert "sums stay below 2^31" in told and f"all {len(graph.layers)}" in told
    refused = invoke("export", "--bits", 4, network, "--data", picture, code=2)
    assert "--bits" in refused.stderr
    untrained(skips="add").save(tmp_path / "silu.safetensors")
    refused = invoke(
        "export", "--bits", 8, tmp_path / "silu.safetensors", "--data", picture, code=1
    )
    assert "reads SiLU" in refused.stderr and refused.stderr.count("\n") == 1


def test_grids_are_no_weights() -> None:
    kept = without_grids(trained_for_bytes().weights)
    assert kept.keys() == floats().weights.keys()
