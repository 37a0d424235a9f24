"""Integer networks that predict eps, x0, v or mu: the coefficients, what they cost, their files."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from diffcodec import image
from diffcodec.bitstream.types import Float32, Float64
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.exact.activation_ranges import Activations, importance, measure_ranges
from diffcodec.exact.bytewise.export import to_bytes
from diffcodec.exact.coefficients import coefficients
from diffcodec.exact.denoiser import ExactDenoiser, shuffle, unshuffle
from diffcodec.exact.export import Bits, export, to_integers
from diffcodec.exact.floats import FloatNetwork, meaning_of
from diffcodec.exact.reference import Reference
from diffcodec.exact.shapes import check_own
from diffcodec.exact.stored import AnyGraph, load_integers
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Betas, NetworkConfig, Predicts
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.prediction import Prediction
from diffcodec.network.tables import measure_tables
from diffcodec.theory.schedule import Schedule
from tests.command import invoke
from tests.exact_network import build
from tests.exported import images, predicting, untrained
from tests.synthetic import synthetic_image

KINDS: tuple[tuple[Predicts, Betas], ...] = (
    ("preconditioned", "linear"),
    ("eps", "linear"),
    ("x0", "linear"),
    ("v", "linear"),
    ("mu", "linear"),
    ("mu", "cosine"),
)
of_every_kind = pytest.mark.parametrize(("predicts", "betas"), KINDS)
OTHERS: tuple[tuple[Predicts, Betas], ...] = (("mu", "quadratic"), ("mu", "sigmoid"))
of_all_betas = pytest.mark.parametrize(("predicts", "betas"), KINDS + OTHERS)
# From below DDPM's first timestep to far beyond its last one, and the timesteps' own, which count
# as those between them.
SIGMAS_GREY = np.geomspace(0.4, 20000.0, 12)
TOLERANCE = 3e-3  # of the output, relative, as in test_exact_export.py
BYTES = 0.5


@lru_cache
def graph_of(predicts: Predicts, betas: Betas = "linear", bits: Bits = 16) -> AnyGraph:
    """With what both kinds of integers have a form for."""
    torch.set_num_threads(1)
    checkpoint = predicting(predicts, betas, "add", "hard_swish")
    layers = FloatNetwork(checkpoint, torch.float32).layers
    made = to_integers if bits == 16 else to_bytes
    return made(checkpoint, layers, ranges_of(predicts, betas))


@lru_cache
def ranges_of(predicts: Predicts, betas: Betas) -> dict[str, Activations]:
    network = FloatNetwork(predicting(predicts, betas, "add", "hard_swish"), torch.float32)
    return measure_ranges(network, np.stack(images()[:2]))


def config(predicts: Predicts, betas: Betas = "linear") -> NetworkConfig:
    return dataclasses.replace(untrained().recipe.network, predicts=predicts, betas=betas)


def chain(betas: Betas) -> list[float]:
    """v_1 .. v_1000 as the documents have them; cosines are decimals (test_formats.py)."""
    if betas == "cosine":
        return [float(v) for v in Schedule.named("cosine").v]
    abar, found = 1.0, []
    low, high = (math.sqrt(end) for end in (0.0001, 0.02))
    for t in range(1, 1001):
        if betas == "quadratic":
            w = low + (t - 1) * ((high - low) / 999) if t < 1000 else high
            beta = w * w
        elif betas == "sigmoid":
            share = float(1 / (1 + (6 - Decimal(12 * (t - 1)) / 999).exp()))
            beta = 0.0001 + (0.02 - 0.0001) * share
        else:
            beta = 0.0001 + (t - 1) * ((0.02 - 0.0001) / 999) if t < 1000 else 0.02
        abar *= 1 - beta
        found.append((1 - abar) / abar)
    return found


def by_the_document(predicts: Predicts, betas: Betas, v: float) -> tuple[float, float, float]:
    """FORMAT-network.md, section 5, number by number; sigma_data is 1/2."""
    if predicts == "preconditioned":
        return 0.25 / (v + 0.25), math.sqrt(v * 0.25 / (v + 0.25)), 1 / math.sqrt(v + 0.25)
    c_in = 1 / math.sqrt(1 + v)
    if predicts == "eps":
        return 1, -math.sqrt(v), c_in
    if predicts == "x0":
        return 0, 1, c_in
    if predicts == "v":
        return 1 / (1 + v), -math.sqrt(v / (1 + v)), c_in
    levels = [0.0, *chain(betas)]
    if v <= levels[1]:
        u = 0.0
    elif v > levels[1000]:
        u = v * (levels[999] / levels[1000])
    else:
        t = next(t for t in range(1, 1001) if v <= levels[t])
        share = (v - levels[t - 1]) / (levels[t] - levels[t - 1])
        u = levels[t - 2] + share * (levels[t - 1] - levels[t - 2])
    r = u / v
    return -(r / (1 - r)), math.sqrt(1 + u) / (1 - r), c_in


# --- coefficients ---


def noises(betas: Betas) -> Float64:
    own = [chain(betas)[t - 1] for t in (1, 2, 3, 40, 500, 999, 1000)]
    between = [1.0001 * own[0], 0.5 * (own[0] + own[1]), 1.5 * own[6], 0.1 * own[0]]
    return np.array([*own, *between, *(SIGMAS_GREY / 127.5) ** 2, 1e9])


@of_all_betas
def test_coefficients_are_what_the_document_says(predicts: Predicts, betas: Betas) -> None:
    v = noises(betas)
    wanted = np.array([by_the_document(predicts, betas, float(noise)) for noise in v]).T
    found = coefficients(config(predicts, betas), v)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == (len(v), 1, 1, 1) and ours.dtype == np.float64
        assert np.array_equal(ours.ravel(), theirs)


@of_all_betas
def test_coefficients_are_those_of_training(predicts: Predicts, betas: Betas) -> None:
    v, network = noises(betas), config(predicts, betas)
    trained = Prediction(network)(torch.from_numpy(v))
    for ours, theirs in zip(coefficients(network, v), trained, strict=True):
        assert theirs.dtype == torch.float64
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-13)


def test_inputs_are_of_unit_scale() -> None:
    v = noises("linear")
    for predicts in get_args(Predicts):
        _, _, c_in = coefficients(config(predicts), v)
        most = 2.0 if predicts == "preconditioned" else 1.0
        assert (c_in > 0).all() and (c_in <= most).all()


def test_errors_of_outputs_count_as_in_bits() -> None:
    """D / v; preconditioned networks stay as they were."""
    for v in (1e-4, 0.3, 60.0):
        assert importance(config("preconditioned"), v) == math.sqrt(1 + 0.25 / v)
        assert importance(config("eps"), v) == pytest.approx(1, rel=1e-12)
        assert importance(config("x0"), v) == pytest.approx(1 / v, rel=1e-12)
        assert importance(config("v"), v) == pytest.approx(1 / (1 + v), rel=1e-12)
    assert importance(config("mu"), 1e-5) == pytest.approx(1e5, rel=1e-12)  # there it is x0


# --- x0_hat ---


def noisy(channels: int, v: float) -> Any:
    x0 = synthetic_image(16, 24, channels, seed=300).transpose(2, 0, 1) / 127.5 - 1
    noise = np.random.default_rng(1).standard_normal(x0.shape)
    return (x0 + math.sqrt(v) * noise).astype(np.float32)


def size(checkpoint: Checkpoint, y: Float32, v: float) -> float:
    """How large c_out F is."""
    noise = np.array([v if len(y) == 3 else 3 * v])
    _, c_out, c_in = coefficients(checkpoint.recipe.network, noise)
    x = torch.from_numpy(np.broadcast_to(c_in * y, (1, 3, *y.shape[1:])).copy())
    with torch.inference_mode():
        F = FloatNetwork(checkpoint, torch.float64)(x, noise)
    return abs(float(c_out[0, 0, 0, 0])) * float(F.square().mean().sqrt())


@of_every_kind
def test_x0_hat_is_the_formula(predicts: Predicts, betas: Betas) -> None:
    graph = graph_of(predicts, betas)
    denoiser = ExactDenoiser(graph, threads=1)
    for v in (1e-5, 0.04, 30.0, 4e4):
        y = noisy(3, v)
        c_skip, c_out, c_in = coefficients(config(predicts, betas), np.array([v]))
        x = np.rint(c_in * y.astype(np.float64) * 4096).clip(-32768, 32767).astype(np.int16)
        out = Reference(graph)(unshuffle(x, 1), np.array([v]))  # type: ignore[arg-type]
        F = shuffle(out, 1) * 2.0**-graph.output
        wanted = np.clip(c_skip * y.astype(np.float64) + c_out * F, -1, 1).astype(np.float32)
        assert np.array_equal(denoiser(y, v), wanted[0])


@of_every_kind
@pytest.mark.parametrize("channels", [1, 3])
def test_integers_say_what_floats_say(predicts: Predicts, betas: Betas, channels: int) -> None:
    checkpoint = predicting(predicts, betas, "add", "hard_swish")
    exact, floats = ExactDenoiser(graph_of(predicts, betas), 1), NetworkDenoiser(checkpoint)
    inside = 0
    for v in (SIGMAS_GREY / 127.5) ** 2:
        y = noisy(channels, v)
        found, wanted = exact(y, float(v)), floats(y, float(v))
        assert math.sqrt(np.mean((found - wanted) ** 2)) < TOLERANCE * size(checkpoint, y, float(v))
        inside += int((np.abs(wanted) < 1).sum())
    assert inside > 0.1 * len(SIGMAS_GREY) * y.size  # not all of it is cut off


@of_every_kind
def test_bytes_cost_what_they_cost_preconditioned_networks(
    predicts: Predicts, betas: Betas
) -> None:
    """Beside what the output is; these networks are narrow, and their errors large."""
    exact = ExactDenoiser(graph_of(predicts, betas, 8), 1)
    checkpoint = predicting(predicts, betas, "add", "hard_swish")
    floats = NetworkDenoiser(checkpoint)
    for sigma in (1.0, 5.0, 25.0, 100.0):
        y, v = noisy(3, (sigma / 127.5) ** 2), (sigma / 127.5) ** 2
        error = math.sqrt(np.mean((exact(y, v) - floats(y, v)) ** 2))
        assert error < BYTES * size(checkpoint, y, v)


def test_far_out_states_stay_in_range() -> None:
    for predicts, betas in KINDS:
        denoiser = ExactDenoiser(graph_of(predicts, betas), threads=1)
        for value in (1e30, -1e30, 0.0):
            for v in (1e-9, 1e9):
                x0_hat = denoiser(np.full((3, 4, 4), value, np.float32), v)
                assert np.isfinite(x0_hat).all() and np.abs(x0_hat).max() <= 1


# --- the file ---


@of_every_kind
def test_files_say_what_they_predict(predicts: Predicts, betas: Betas, tmp_path: Path) -> None:
    for bits in (16, 8):
        graph = graph_of(predicts, betas, bits)  # type: ignore[arg-type]
        stated = {k: v for k, v in graph.structure().items() if k in ("predicts", "betas")}
        wanted = {} if predicts == "preconditioned" else {"predicts": predicts}
        assert stated == (wanted if betas == "linear" else {**wanted, "betas": betas})
        graph.save(tmp_path / "net.safetensors")
        loaded = load_integers(tmp_path / "net.safetensors")
        assert (loaded.predicts, loaded.betas) == (predicts, betas)
        assert loaded.fingerprint == graph.fingerprint


def test_what_is_predicted_is_in_the_fingerprint() -> None:
    graph = build("unit")
    assert graph.fingerprint.hex() == "94f0008f40bc7a09"  # as before there was a choice
    kinds = {
        dataclasses.replace(graph, predicts=predicts, betas=betas).fingerprint
        for predicts, betas in KINDS
    }
    assert len(kinds) == len(KINDS) and graph.fingerprint in kinds


def test_betas_count_for_mu_alone() -> None:
    assert meaning_of(predicting("eps", "cosine"))["betas"] == "linear"
    assert meaning_of(predicting("mu", "cosine"))["betas"] == "cosine"


@pytest.mark.parametrize(
    "change",
    [{"predicts": "score"}, {"predicts": ["eps"]}, {"predicts": "mu", "betas": "tanh"}],
)
def test_other_predictions_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    graph = dataclasses.replace(build("unit"), **change)
    with pytest.raises(CheckpointError, match=r"which (this program does not know|it cannot be)"):
        check_own(graph)
    path = tmp_path / "net.safetensors"
    graph.save(path)
    with pytest.raises(CheckpointError, match=r"which (this program does not know|it cannot be)"):
        ExactDenoiser(load_integers(path))


@pytest.mark.parametrize("change", [{"sigma2": "learned"}, {"fourier": (7,)}])
def test_what_has_no_integers_is_refused_whatever_it_predicts(change: dict[str, Any]) -> None:
    for predicts in get_args(Predicts):
        checkpoint = predicting(predicts)
        network = dataclasses.replace(checkpoint.recipe.network, **change)
        train = dataclasses.replace(checkpoint.recipe.train, objective="nelbo")
        recipe = dataclasses.replace(checkpoint.recipe, network=network, train=train)
        (field,) = change
        with pytest.raises(CheckpointError, match=rf"network\.{field}"):
            export(dataclasses.replace(checkpoint, recipe=recipe), images())


# --- coding ---


def saved(graph: AnyGraph, path: Path) -> None:
    """The file of a network with tables."""
    known = [synthetic_image(16, 16, 3, seed) for seed in range(100, 104)]
    graph.with_tables(measure_tables(ExactDenoiser(graph, 1), known)).save(path)


@pytest.fixture(scope="module", params=[16, 8])
def coder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an eps-network with tables."""
    path = tmp_path_factory.mktemp("network") / "eps.safetensors"
    saved(graph_of("eps", "linear", request.param), path)
    return path


@pytest.mark.usefixtures("steps_pay")
@pytest.mark.parametrize("shape", [(13, 21, 3), (9, 14, 1)])
@pytest.mark.parametrize("steps", ["12", "ddpm:10", "cosine:10"])
def test_every_pixel_comes_back_whatever_evaluates(
    coder: Path, shape: tuple[int, int, int], steps: str
) -> None:
    pixels = synthetic_image(*shape, seed=5)
    torch_too = "torch64" if load_integers(coder).VERSION == 1 else "torch8"
    codecs = [
        Codec.from_pretrained(coder, 1, backend=name)
        for name in ("numpy", torch_too, "integers", "cpu")
    ]
    files = [codec.encode(pixels, chain=steps) for codec in codecs]
    assert len(set(files)) == 1
    for data, codec in zip(files, reversed(codecs), strict=True):
        decoded = codec.decode(data)
        assert decoded.lossless and decoded.steps and np.array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize("predicts", ["x0", "v", "mu"])
@pytest.mark.usefixtures("steps_pay")
def test_the_others_code_too(predicts: Predicts, tmp_path: Path) -> None:
    saved(graph_of(predicts), tmp_path / "net.safetensors")
    pixels = synthetic_image(11, 12, 3, seed=7)
    codec = Codec.from_pretrained(tmp_path / "net.safetensors", 1)
    decoded = codec.decode(codec.encode(pixels, chain="12"))
    assert decoded.steps and np.array_equal(decoded.pixels, pixels)


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the trained network to pixels: export, encode, decode, archive, schedule, nll."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("diffcodec.cli.export.PIXELS", 1 << 10)
    monkeypatch.setattr("diffcodec.cli.export.LAYER_PIXELS", 1 << 8)
    pixels = synthetic_image(24, 20, 3, seed=6)
    image.save(pixels, "a.png")
    predicting("v", "linear", "add", "hard_swish").save(tmp_path / "v.safetensors")
    invoke("export", "v.safetensors", "--data", "a.png")
    told = invoke(
        "export", "v.safetensors", "--data", "a.png", "--bits", "8", "-o", "8.safetensors"
    )
    assert "dB at noise 25" in told.stderr
    model = ("-m", "s.safetensors")
    invoke("schedule", "8.safetensors", "--data", "a.png", "--chain", "8", "-o", model[1])
    for network in (model, ("-m", "v.exact.safetensors")):
        invoke("encode", "a.png", "a.dfc", *network, "--chain", "ddpm:8", "-f")
        invoke("decode", "a.dfc", "b.png", *network, "-f")
        assert np.array_equal(image.load("b.png"), pixels)
    invoke("archive", "a.png", "a.dfa", *model)
    invoke("extract", "a.dfa", "-o", "out", *model)
    assert np.array_equal(image.load("out/a.png"), pixels)
    for network in ("v.safetensors", "v.exact.safetensors", "8.safetensors"):
        invoke("nll", "a.png", "-m", network, "--chain", "ddpm:5", "--json")
