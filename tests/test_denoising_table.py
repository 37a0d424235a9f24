"""Denoising of whole images: closed forms, the rate they imply, the command, its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from diffcodec import image
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.experiments import denoising_table
from diffcodec.eval.likelihood.denoising import implied_rate
from diffcodec.eval.publish.measurements import COMMANDS
from diffcodec.eval.publish.tables import networks
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.theory.denoiser import GaussianDenoiser
from diffcodec.theory.units import GREY
from tests.exact_network import build
from tests.exported import plain
from tests.measured import measured
from tests.synthetic import synthetic_image

SPREAD = 40.0  # grey levels
SOURCE = GaussianDenoiser(0.0, (SPREAD / GREY) ** 2)


def gaussian_image(height: int, width: int, seed: int) -> NamedImage:
    """Independent Gaussian pixels, as SOURCE draws them, rounded."""
    x = GREY + SPREAD * np.random.default_rng(seed).standard_normal((height, width, 3))
    return NamedImage(f"{seed}", np.rint(x.clip(0, 255)).astype(np.uint8))


def summary() -> dict[str, Any]:
    """Of images of two sizes."""
    shapes = [(90, 120), (120, 90), (64, 64)]
    images = [gaussian_image(*shape, i) for i, shape in enumerate(shapes)]
    return denoising_table.summarise([denoising_table.measure(SOURCE, 0, one) for one in images])


def test_errors_and_rates_are_those_of_the_source() -> None:
    found = summary()
    rows = {row["sigma_grey"]: row for row in found["denoising"]}
    assert list(rows) == sorted(map(float, denoising_table.SIGMAS), reverse=True)
    for sigma, row in rows.items():
        v = (sigma / GREY) ** 2
        assert row["rmse_grey"] == pytest.approx(GREY * SOURCE.mse(v) ** 0.5, rel=0.02)
        # White: all of D's bend lies between two levels, where it is taken as a power.
        assert row["rate_bpd"] == pytest.approx(SOURCE.information_bpd(v), rel=0.05, abs=1e-5)
    # Rounded pixels are a twelfth of a grey level squared further off.
    mse = rows[5]["rmse_grey"] ** 2 + 1 / 12
    assert rows[5]["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse), abs=0.03)
    # However many bits come first, all of them together are the entropy of a pixel.
    entropy = norm(scale=SPREAD).entropy() / np.log(2)
    for sigma in (1, 2, 3, 5):
        assert rows[sigma]["lossless_bpd"] == pytest.approx(entropy, abs=0.06)
    assert "lossless_bpd" not in rows[10]
    assert found["lossless"]["bpd"] == min(rows[s]["lossless_bpd"] for s in (1, 2, 3, 5))


def test_implied_rates_at_given_quality() -> None:
    found = summary()["implied"]
    for db, bpp in zip(found["psnr_db"], found["bpp"], strict=True):
        D = 4 / 10 ** (db / 10)  # R(D) of a Gaussian
        assert bpp == pytest.approx(1.5 * np.log2(SOURCE.mse(np.inf) / D), rel=0.06)


def test_the_beginning_counts_where_the_prior_is_known() -> None:
    v = 0.3
    row = {"sigma_grey": GREY * v**0.5, "mse": SOURCE.mse(v)}
    (known,) = implied_rate([row], SOURCE.mse(np.inf))
    assert known["rate_bpd"] == pytest.approx(SOURCE.information_bpd(v), rel=1e-9)
    (constant,) = implied_rate([row])
    assert 0 < constant["rate_bpd"] < known["rate_bpd"]


def test_multiplications_are_counted_at_their_resolution() -> None:
    weights = [np.ones((c_out, 3, 3, c_in), np.int16) for c_out, c_in in [(12, 12), (12, 12)]]
    assert macs_per_pixel(plain(weights, 2, 100)) == 2 * 12 * 12 * 9 / 4
    graph, total = build("tiny"), 0.0
    for i, layer in enumerate(graph.layers):
        halved = i in range(3, 7)  # the level below the first one, from the layer that shrinks
        total += graph.weight(layer).size / (4 if halved else 1)
    assert macs_per_pixel(graph) == total


def run(folder: Path, network: Path, *options: object) -> dict[str, Any]:
    ask = [network, folder / "a", folder / "b", *options]
    result, text = measured(denoising_table.main, *ask, out=folder / "noise.json")
    assert "implied bpp" in text
    return result


def test_the_command_resumes_and_reports_two_sets(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, sizes in {"a": [(16, 24), (24, 16)], "b": [(16, 16)]}.items():
        (tmp_path / name).mkdir()
        for i, size in enumerate(sizes):
            image.save(synthetic_image(*size, 3, seed=i), tmp_path / name / f"{i}.png")
    records = tmp_path / "noise.jsonl"
    first = run(tmp_path, tiny_network, "--records", records)
    assert [found["dataset"]["images"] for found in first["sets"]] == [2, 1]
    assert first["model"]["kmac_per_pixel"] > 0 and len(records.read_text().splitlines()) == 3
    monkeypatch.setattr(denoising_table, "measure", lambda *_: pytest.fail("it is known"))
    assert run(tmp_path, tiny_network, "--records", records)["sets"] == first["sets"]


def test_the_readmes_table(tmp_path: Path) -> None:
    sets = [{**summary(), "dataset": {"name": name, "images": 3}} for name in ("kodak", "gb82")]
    machine = {"cpu": "one", "cpus": 1, "processes": 1, "threads_per_process": 1}
    machine |= {"torch": "2", "pillow": "3"}
    result = {"sets": sets, "environment": machine, "command": "made"}
    for name in ("photo", "photo-large"):
        model = {"name": name, "parameters": 3_000_000, "kmac_per_pixel": 136.4}
        (tmp_path / f"denoising-{name}.json").write_text(json.dumps({**result, "model": model}))
    text = networks.denoising(tmp_path)
    psnr = {row["sigma_grey"]: row["psnr_db"] for row in sets[0]["denoising"]}
    own = " | ".join(f"**{psnr[sigma]:.2f}**" for sigma in (15, 25, 50))
    for name in ("photo", "photo-large"):  # parameters are those of the cards
        assert f"| **`{name}`** | {networks.parameters(name)} | 136 | {own} |" in text
    assert "| FFDNet | 0.85 M | 213 | 34.63 | 32.13 | 28.98 |" in text
    assert f"{sets[1]['implied']['bpp'][0]:.3f}" in text
    assert f"`{COMMANDS['denoising-photo.json']}`" in text
