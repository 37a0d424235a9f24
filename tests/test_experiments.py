"""Measurements without a test of their own: they run, and write what their tables read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from diffcodec.bitstream.butterfly import BUTTERFLY
from diffcodec.bitstream.trellis import Trellis
from diffcodec.eval.experiments import (
    adaptive_choices,
    bitsback_benchmark,
    coder_benchmark,
    exact_cost,
    exact_settings,
    exact_speed,
    local_variance,
    lossless,
    step_codes,
)
from diffcodec.eval.publish.tables import choices, coders, exactness
from diffcodec.exact.backends import instruction_sets
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.exact.stored import AnyGraph
from diffcodec.image import save
from diffcodec.network.checkpoint import Checkpoint
from tests.exported import exported, exported_bytes, untrained
from tests.measured import measured
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three of (16, 16, 3)."""
    folder = tmp_path / "set"
    folder.mkdir()
    for seed in range(3):
        save(synthetic_image(16, 16, 3, seed), folder / f"{seed}.png")
    return folder


def test_local_variance(tiny_network: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "local-variance.json"
    result, text = measured(local_variance.main, tiny_network, images, "--crop", 8, out=out)
    assert result["dataset"]["images"] == 3 and len(result["pixels"]) == 3
    assert "of their bits saved" in text and "saved at most" in choices.local_variance(tmp_path)


@pytest.mark.parametrize("bits", [16, 8])
def test_exact_cost(bits: int, images: Path, tmp_path: Path) -> None:
    files = tmp_path / "float.safetensors", tmp_path / "exact.safetensors"
    networks: tuple[Checkpoint, AnyGraph] = untrained(), exported()
    if bits == 8:
        networks = untrained(skips="add", activation="hard_swish"), exported_bytes()
    for network, path in zip(networks, files, strict=True):
        network.save(path)
    ask = [*files, "--data", images, "--steps", 5]
    result, text = measured(exact_cost.main, *ask, out=tmp_path / "cost.json")
    assert result["difference_bpd"] == pytest.approx(result["exact_bpd"] - result["float_bpd"])
    assert result["images"] == 3 and "(3 images, T = 5)" in text
    done = CliRunner().invoke(exact_cost.main, [*map(str, ask), "--stride", "9"])
    assert done.exit_code == 1 and done.output.startswith("Error: the stride must lie between 1")


KINDS = [pytest.param(exported, marks=pytest.mark.slow), exported_bytes]


@pytest.mark.parametrize("make", KINDS, ids=["16 bits", "bytes"])
def test_exact_settings(
    make: Callable[[], AnyGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make()
    monkeypatch.setattr(exact_settings, "ENVIRONMENTS", exact_settings.ENVIRONMENTS[-2:-1])
    network.save(tmp_path / "exact.safetensors")
    ask = [exact_settings.main, tmp_path / "exact.safetensors"]
    result, text = measured(*ask, out=tmp_path / "exact-settings.json")
    sets = len(instruction_sets(network))
    paths = sets + (3 if network.VERSION == 1 else 2)
    assert result["counts"]["exact"] == {"settings": 2 * 3 * paths, "distinct": 1}
    assert result["counts"]["file"] == {"settings": 4, "distinct": 1}
    assert ("float" in result["counts"]) == (network.VERSION == 1)
    assert "exact: " in text and "| **1** |" in exactness.settings(tmp_path)


def test_exact_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of both kinds take turns."""
    monkeypatch.setattr(exact_speed, "CASES", ((2, 16, 16),))
    monkeypatch.setattr(exact_speed, "LARGE", (1, 40, 24))
    networks = exported(), exported_bytes(2)
    for network in networks:
        network.save(tmp_path / f"{network.VERSION}.safetensors")
    files = [tmp_path / f"{network.VERSION}.safetensors" for network in networks]
    ask = [*files, "--large", "--rounds", 2, "--threads", 1, "--threads", 2]
    result, text = measured(exact_speed.main, *ask, out=tmp_path / "exact-speed.json")
    records = result["records"]
    assert [(r["version"], r["threads"], r["pictures"]) for r in records] == [
        (version, threads, n) for version in (1, 2) for threads in (1, 2) for n in (2, 1)
    ]
    for r in records:
        network = networks[r["version"] - 1]
        kernels = {f"compiled, {isa}" for isa in instruction_sets(network)}
        if r["pictures"] == 1:
            assert set(r["paths"]) == kernels - {"compiled, portable"}
        else:
            torch = "int8, torch" if r["version"] == 2 else "float64, torch"
            assert set(r["paths"]) == kernels | {"float32 torch", "float64, numpy", torch}
        pixels = r["pictures"] * r["height"] * r["width"]
        assert r["products"] == pytest.approx(pixels * macs_per_pixel(network))
    shown = exactness.speed(tmp_path)
    assert "2 x 16 x 16, 2 threads" in text and "int8 torch" in shown and "1 x 24x40" in shown
    wrong = dataclasses.replace(networks[0], facts={**networks[0].facts, "conformance": {}})
    monkeypatch.setattr(exact_speed, "open_backend", lambda *_: lambda x, v: x)
    with pytest.raises(RuntimeError, match="one is wrong"):
        exact_speed.measure([wrong], (1, 16, 16), 1, 1)


def test_coders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitsback_benchmark, "SIGMAS", (4.0,))
    result, text = measured(
        bitsback_benchmark.main, "--symbols", 20_000, out=tmp_path / "bitsback.json"
    )
    assert {"push_ns", "pop_ns", "bits"} <= set(result["coders"][0]) and "loss_bits" in text
    assert "constriction Categorical" in coders.stack(tmp_path)
    codes = (Trellis(8), Trellis(8, BUTTERFLY))
    monkeypatch.setattr(coder_benchmark, "CODES", codes)
    monkeypatch.setattr(coder_benchmark, "IN_NUMPY", codes)
    monkeypatch.setattr(coder_benchmark, "DIMS_PER_BIT", (4,))
    monkeypatch.setattr(coder_benchmark, "LENGTHS", (64, 4096))
    monkeypatch.setattr(coder_benchmark, "ROTATED", (3072,))
    result, text = measured(coder_benchmark.main, "--bits", 64, out=tmp_path / "coder.json")
    assert len(result["cells"]) == 4 and "4096 b" in text and result["theory_percent"]["64"] > 1
    assert "| butterfly:8 | 4 | " in coders.coder(tmp_path)


def test_step_codes(
    tiny_network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_steps(monkeypatch)
    for name in ("kodak", "cifar10"):
        out = tmp_path / f"step-codes-{name}.json"
        ask = ["--count", 1, "--code", "butterfly:8", "--code", "trellis:8"]
        result, text = measured(step_codes.main, tiny_network, images, *ask, out=out)
    first, second = result["rows"]
    assert first["overhead_percent"] < second["overhead_percent"] and "butterfly:8" in text
    assert first["noise_variance"]["mean"] == pytest.approx(1, abs=0.1)
    assert first["noise_kurtosis"]["mean"] == pytest.approx(3, abs=0.3)
    assert "cut_loss_db_from_0_bpp" in first
    assert " | butterfly:8 | " in coders.step_codes(tmp_path)


def test_lossless(tiny_network: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "lossless-kodak.json"
    ask = ["--setting", "fast", "--setting", "default:none", "--setting", "default:0.6:gaussian"]
    result, text = measured(lossless.main, tiny_network, images, *ask, out=out)
    rows = result["rows"]
    assert [row["setting"] for row in rows] == [
        "fast adaptive",
        "default none adaptive",
        "default 0.6 gaussian",
    ]
    assert rows[1]["steps"] == 0 and rows[1]["encode_seconds"]["network"] == 0
    assert all(row["bytes"] == pytest.approx(row["bpd"] * 3 * 768 / 8, abs=1) for row in rows)
    assert "default 0.6 gaussian" in text and len(rows[0]["bpd_per_image"]) == 3


def test_adaptive_choices(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported().save(tmp_path / "exact.safetensors")
    monkeypatch.setattr(adaptive_choices, "SWITCHES", (3.0,))
    network = tmp_path / "exact.safetensors"
    result, text = measured(adaptive_choices.main, network, images, out=tmp_path / "a.json")
    rows = {row["part"]: row for row in result["rows"]}
    assert rows["all of it"]["none"] < rows["no trained start"]["none"]
    assert rows["one Gaussian (ideal)"]["none"] is None and "no grid of colours" in text
