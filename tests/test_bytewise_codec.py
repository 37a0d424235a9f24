"""Images are coded with networks of bytes as with any others, by the library and by commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffcodec import image, selftest, zoo
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.exact.backends import BACKENDS, open_backend
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.network.tables import measure_tables
from diffcodec.zoo import load_graph
from tests.command import invoke
from tests.exported import exported_bytes
from tests.synthetic import synthetic_image


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny network of bytes with tables."""
    images = [synthetic_image(16, 16, 3, seed) for seed in range(100, 116)]
    graph = exported_bytes(2)
    path = tmp_path_factory.mktemp("network") / "bytes.safetensors"
    graph.with_tables(measure_tables(ExactDenoiser(graph, 1), images)).save(path)
    return path


@pytest.mark.usefixtures("steps_pay")
@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16, 1), (13, 21, 3), (9, 14, 1)])
def test_every_pixel_comes_back_whatever_evaluates(
    network: Path, shape: tuple[int, int, int]
) -> None:
    pixels = synthetic_image(*shape, seed=5)
    names = "numpy", "torch8", "cpu"
    codecs = [Codec.from_pretrained(network, 1, backend=name) for name in names]
    files = [codec.encode(pixels, chain="12") for codec in codecs]
    assert len(set(files)) == 1
    for data, codec in zip(files, reversed(codecs), strict=True):
        decoded = codec.decode(data)
        assert decoded.lossless and decoded.steps and np.array_equal(decoded.pixels, pixels)
    cuts = [codec.decode(files[0][: len(files[0]) // 2]).pixels for codec in codecs]
    assert all(np.array_equal(cut, cuts[0]) for cut in cuts)


@pytest.mark.usefixtures("steps_pay")
def test_commands(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = synthetic_image(24, 20, 3, seed=6)
    image.save(pixels, Path("a.png"))
    model = ("-m", network)
    invoke("encode", "a.png", *model)
    invoke("decode", "a.dfc", "b.png", *model, "--backend", "torch8")
    assert np.array_equal(image.load(Path("b.png")), pixels)
    told = json.loads(invoke("info", "a.dfc", *model, "--json").stdout)
    assert told["fingerprint"] == load_graph(network).fingerprint.hex()
    assert told["complete"] and told["steps_total"] > 0
    invoke("truncate", "a.dfc", "c.dfc", *model, "--bytes", 300)
    shown = [
        invoke("decode", "c.dfc", "-", *model, "--backend", name).stdout_bytes
        for name in ("cpu", "integers", "torch8")
    ]
    assert len(set(shown)) == 1
    bounds = [
        json.loads(
            invoke("nll", "a.png", *model, "--chain", "ddpm:5", "--json", "--backend", name).stdout
        )["nelbo"]
        for name in ("cpu", "numpy", "torch8")
    ]
    assert bounds[0] == bounds[1] == bounds[2]


def test_archives(network: Path, tmp_path: Path, small_rgb: Pixels, small_grey: Pixels) -> None:
    (tmp_path / "set").mkdir()
    for name, pixels in (("a", small_rgb), ("b", small_grey)):
        image.save(pixels, tmp_path / "set" / f"{name}.png")
    model, archive = ("-m", network), tmp_path / "set.dfa"
    invoke("archive", tmp_path / "set", archive, *model, "--network", "always")
    assert "a.png" in invoke("list", archive).stdout
    invoke("extract", archive, "-o", tmp_path / "out", *model, "--backend", "torch8")
    for name, pixels in (("a", small_rgb), ("b", small_grey)):
        assert np.array_equal(image.load(tmp_path / "out" / f"{name}.png"), pixels)


def test_the_selftest_tries_it(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (selftest, zoo):
        monkeypatch.setattr(module, "shipped_networks", lambda: [("bytes", network)])
    checks = json.loads(invoke("selftest", "--json").stdout)["checks"]
    own = {check["backend"]: check for check in checks if check["subject"] == "bytes"}
    assert list(own) == list(BACKENDS)
    for name in ("numpy", "integers", "torch8"):
        assert own[name]["passes"] is True
    for name in ("torch64", "torch32"):
        assert own[name]["reason"] == "it is for networks of 16 bits" and not own[name]["available"]


def test_its_own_conformance_is_what_it_states() -> None:
    graph = exported_bytes()
    assert set(graph.facts["conformance"]) == {"quick", "full"}
    open_backend(graph, "integers")
    assert {layer.activation for layer in graph.layers} == {"none", "hard_swish"}
