"""Float networks in the codec: what they code comes back, however they are evaluated here."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import diffcodec.pillow
from diffcodec import BitstreamError, CheckpointError, Codec, OptionError, api, image
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.main import main
from diffcodec.decoded import ASTRAY
from diffcodec.zoo.floats import FloatDenoiser
from tests.float_networks import float_network
from tests.synthetic import synthetic_image
from tests.test_processes import forks, in_a_fork

Invoke = Callable[..., Result]
STEPS = {"switch": 6.0, "chain": "12"}


@pytest.fixture
def codec(steps_pay: None) -> Codec:
    """With GroupNorm and attention."""
    return Codec.of_float(float_network(), threads=2)


@pytest.fixture
def told(steps_pay: None) -> Codec:
    """That has to know one of four classes."""
    return Codec.of_float(float_network(classes=4))


@pytest.fixture
def run(
    tmp_path: Path, small_rgb: Pixels, steps_pay: None, monkeypatch: pytest.MonkeyPatch
) -> Invoke:
    """`diffcodec ARGS` in a folder with photo.png and the networks mini and told."""
    monkeypatch.chdir(tmp_path)
    image.save(small_rgb, Path("photo.png"))
    float_network().save(Path("mini.safetensors"))
    float_network(classes=4).save(Path("told.safetensors"))

    def invoke(*args: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, args)
        assert result.exit_code == code, (result.stderr, result.exception)
        return result

    return invoke


# --- the same numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 3), (40, 70, 3), (24, 20, 1)])
def test_files_are_exact_and_progressive(
    codec: Codec, height: int, width: int, channels: int
) -> None:
    pixels = synthetic_image(height, width, channels, seed=5)
    data = codec.encode(pixels, **STEPS)  # type: ignore[arg-type]
    decoded = codec.decode(data)
    assert decoded.header.promised and decoded.lossless and decoded.steps > 0
    assert np.array_equal(decoded.pixels, pixels)
    cuts = list(codec.progressive(data))
    assert cuts[-1].lossless and not any(cut.damage for cut in cuts)


def test_threads_processes_and_what_went_before_change_no_bit(
    codec: Codec, small_rgb: Pixels
) -> None:
    data = codec.encode(small_rgb, **STEPS)  # type: ignore[arg-type]
    other = Codec.of_float(float_network(), threads=1)
    before = torch.get_num_threads()
    y = np.random.default_rng(0).normal(0, 1, (3, 160, 160)).astype(np.float32)
    alone = codec.denoiser(y, 0.5)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert np.array_equal(other.denoiser(y, 0.5), alone)  # large enough for several
            assert other.encode(small_rgb, **STEPS) == data  # type: ignore[arg-type]
            assert torch.get_num_threads() == threads
            assert other.decode(data).lossless
        with torch.autocast("cpu", torch.bfloat16):
            assert other.decode(data).lossless
        with ThreadPoolExecutor(4) as pool:
            assert all(shown.lossless for shown in pool.map(codec.decode, [data] * 8))
    finally:
        torch.set_num_threads(before)


@forks
def test_a_forked_child_and_copies_do_the_same(codec: Codec, small_rgb: Pixels) -> None:
    data = codec.encode(small_rgb, **STEPS)  # type: ignore[arg-type]
    assert in_a_fork(lambda: codec.decode(data).lossless)
    sent = pickle.loads(pickle.dumps(codec))
    assert isinstance(sent.denoiser, FloatDenoiser) and sent.promised
    for other in (sent, copy.copy(codec), copy.deepcopy(codec)):
        assert other.encode(small_rgb, **STEPS) == data  # type: ignore[arg-type]


def test_floats_in_another_order_are_noticed_and_the_steps_are_shown(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In doubles every sum is rounded otherwise, and the image is as good."""
    pixels = synthetic_image(64, 64, 3, seed=6)
    data = codec.encode(pixels, **STEPS)  # type: ignore[arg-type]
    lossy = codec.decode(data[: codec.open(data).step_ends[-1]])
    network = codec.denoiser.network.network  # type: ignore[attr-defined]
    module = copy.deepcopy(network).double()
    monkeypatch.setattr(
        codec.denoiser.network,  # type: ignore[attr-defined]
        "network",
        lambda state, noise, label: module(state.double(), noise.double(), label).float(),
    )
    elsewhere = codec.decode(data)
    assert elsewhere.damage == (ASTRAY,) and not elsewhere.lossless
    assert np.abs(elsewhere.pixels.astype(int) - lossy.pixels).max() <= 1


def test_a_network_that_says_no_numbers_is_one_sentence(run: Invoke) -> None:
    checkpoint = float_network()
    name = next(name for name in checkpoint.weights if name.endswith("conv1.weight"))
    weights = {**checkpoint.weights, name: np.full_like(checkpoint.weights[name], np.nan)}
    dataclasses.replace(checkpoint, weights=weights).save(Path("nan.safetensors"))
    for command in (("encode", "photo.png", "--switch", "6"), ("nll", "photo.png", "--chain", "6")):
        said = run(*command, "-m", "nan.safetensors", code=1).stderr
        assert "mini says what is no number at noise variance" in said
    assert not Path("photo.dfc").exists()


# --- classes and channels -----------------------------------------------------------------------


def test_a_file_says_its_class_to_the_decoder(told: Codec, small_rgb: Pixels) -> None:
    files = [told.encode(small_rgb, label=label, **STEPS) for label in (0, 3)]  # type: ignore[arg-type]
    assert files[0][8:] != files[1][8:]
    for label, data in zip((0, 3), files, strict=True):
        decoded = told.decode(data)
        assert decoded.lossless and decoded.header.label == label
        assert pickle.loads(pickle.dumps(told)).decode(data).lossless
    network = told.denoiser.of_class(2)  # type: ignore[attr-defined]
    assert network.network.network is told.denoiser.network.network  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (None, "has to know the image's class: name one of 0 to 3"),
        (4, "knows classes 0 to 3, and 4 is none"),
        (-1, "and -1 is none"),
        (True, "and True is none"),
        ("1", "and 1 is none"),
    ],
)
def test_classes_that_there_are_not(
    told: Codec, small_rgb: Pixels, label: int | None, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        told.encode(small_rgb, label=label)


def test_what_knows_no_classes_is_told_none(codec: Codec, small_rgb: Pixels) -> None:
    with pytest.raises(OptionError, match="mini knows no classes: leave the class out"):
        codec.encode(small_rgb, label=0)


def test_a_files_class_has_to_fit_its_network(told: Codec, codec: Codec, small_rgb: Pixels) -> None:
    data = told.encode(small_rgb, label=1, **STEPS)  # type: ignore[arg-type]
    codec.fingerprint = told.fingerprint
    with pytest.raises(BitstreamError, match="does not fit its network: mini knows no classes"):
        codec.decode(data)
    plain = codec.encode(small_rgb, **STEPS)  # type: ignore[arg-type]
    with pytest.raises(BitstreamError, match="does not fit its network: mini has to know"):
        told.decode(plain)


def test_a_network_of_grey_images_takes_no_others(small_rgb: Pixels, small_grey: Pixels) -> None:
    codec = Codec.of_float(float_network(image_channels=1))
    with pytest.raises(OptionError, match="a network of grey images, not of RGB"):
        codec.encode(small_rgb)
    assert codec.decode(codec.encode(small_grey)).lossless
    clear = np.concatenate([small_grey, small_grey[::-1]], axis=2)
    assert np.array_equal(codec.decode(codec.encode(clear)).pixels, clear)


# --- the command line ---------------------------------------------------------------------------


def test_the_command_line_says_what_is_promised(run: Invoke, small_rgb: Pixels) -> None:
    model = ("-m", "mini.safetensors")
    said = run("encode", "photo.png", *model, "--switch", "6")
    assert "lossless on this machine and its libraries" in said.stderr
    lines = run("info", "photo.dfc", *model).stdout
    assert "image    lossless on the machine and libraries that made it" in lines
    assert f"({float_network().fingerprint.hex()}), floats" in lines and "class" not in lines
    facts = json.loads(run("info", "photo.dfc", *model, "--json").stdout)
    assert (facts["promised"], facts["exact_anywhere"], facts["label"]) == (True, False, None)
    run("decode", "photo.dfc", "back.png", *model, "--strict", "--threads", "1")
    assert np.array_equal(image.load(Path("back.png")), small_rgb)
    said = run("encode", "photo.png", "plain.dfc", *model, "--switch", "none")
    assert "lossless on every machine" in said.stderr
    facts = json.loads(run("info", "plain.dfc", *model, "--json").stdout)
    assert (facts["promised"], facts["exact_anywhere"]) == (True, True)
    without = run("info", "plain.dfc").stdout  # which cannot know that no state is needed
    assert "image    lossless on the machine and libraries that made it, at least\n" in without
    assert json.loads(run("info", "plain.dfc", "--json").stdout)["exact_anywhere"] is None
    cut = run("encode", "photo.png", "cut.dfc", *model, "--steps", "3")
    assert cut.stderr.endswith("step 3 of 12\n")


def test_other_numbers_are_one_sentence(run: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ("-m", "mini.safetensors")
    run("encode", "photo.png", *model, "--switch", "6")
    evaluate = FloatDenoiser.__call__
    monkeypatch.setattr(
        FloatDenoiser, "__call__", lambda self, y, v: evaluate(self, y, v) * np.float32(1 + 1e-4)
    )
    said = run("decode", "photo.dfc", *model, "-f", "-o", "shown.png")
    assert f"photo.dfc: {ASTRAY}" in said.stderr and "Traceback" not in said.stderr
    assert said.stderr.splitlines()[-1].endswith(" of 12")
    record = json.loads(run("decode", "photo.dfc", "-o", "a.png", *model, "--json").stdout)
    assert record["damage"] == [ASTRAY] and not record["lossless"]
    refused = run("decode", "photo.dfc", "-o", "strict.png", *model, "--strict", code=1)
    assert refused.stderr == f"diffcodec: photo.dfc: {ASTRAY}\n"
    assert not Path("strict.png").exists()


def test_class_on_the_command_line(run: Invoke) -> None:
    model = ("-m", "told.safetensors")
    assert "name one of 0 to 3" in run("encode", "photo.png", *model, code=1).stderr
    run("encode", "photo.png", *model, "--class", "2", "--switch", "6")
    assert "class    2" in run("info", "photo.dfc", *model).stdout
    run("decode", "photo.dfc", "back.png", *model, "--strict")
    bound = ("nll", "photo.png", *model, "--chain", "6", "--json")
    assert "name one of 0 to 3" in run(*bound, code=1).stderr
    told = [json.loads(run(*bound, "--class", label).stdout) for label in ("1", "2")]
    assert told[0]["nelbo"]["bpd"] != told[1]["nelbo"]["bpd"]
    for network in ("mini.safetensors", "photo"):
        said = run("nll", "photo.png", "-m", network, "--class", "1", code=1)
        assert "no classes" in said.stderr
    measured = ("eval", "photo.png", *model, "--no-peers", "--chain", "6")
    assert "name one of 0 to 3" in run(*measured, code=1).stderr
    assert "1 of 1 exact" in run(*measured, "--class", "1").stdout


def test_workers_get_a_path(run: Invoke, small_rgb: Pixels) -> None:
    Path("set").mkdir()
    for name in ("a", "b"):
        image.save(small_rgb, Path(f"set/{name}.png"))
    model = ("-m", "mini.safetensors")
    said = run("encode", "set", "-o", "coded", *model, "-j", "2", "--switch", "6")
    assert "encoded 2 of 2 images" in said.stderr
    said = run("decode", "coded", "-o", "back", *model, "-j", "2", "--strict")
    assert "2 lossless" in said.stderr
    assert np.array_equal(image.load(Path("back/b.png")), small_rgb)


def test_pillow_opens_them(run: Invoke, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    run("encode", "photo.png", "-m", "told.safetensors", "--class", "1", "--switch", "6")
    monkeypatch.setattr(diffcodec.pillow, "NETWORKS", ["mini.safetensors", "told.safetensors"])
    with Image.open("photo.dfc") as opened:
        assert np.array_equal(np.asarray(opened), small_rgb)
        opened.save("again.dfc", model="told.safetensors", label=3)
    assert api.info(Path("again.dfc").read_bytes())["label"] == 3


def test_without_torch_it_is_one_sentence(
    run: Invoke, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("encode", "photo.png", "-m", "mini.safetensors", "--switch", "6")
    monkeypatch.delitem(sys.modules, "diffcodec.zoo.floats")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match="mini is a float network, and torch is not inst"):
        Codec.from_pretrained("mini.safetensors")
    run("info", "photo.dfc", "-m", "mini.safetensors")
    run("truncate", "photo.dfc", "cut.dfc", "-m", "mini.safetensors", "--steps", "2")


def test_cuda_is_refused_where_there_is_none() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="no CUDA device"):
            Codec.of_float(float_network(), backend="cuda")
