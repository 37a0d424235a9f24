"""Images that are no photographs, and large ones: what the two measurements tell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from diffcodec import image
from diffcodec.eval.experiments import large_image as large_image
from diffcodec.eval.experiments import odd_images as odd_images
from diffcodec.eval.experiments.large_image import enlarged
from diffcodec.eval.publish.tables import photographs
from tests.synthetic import synthetic_image


def test_odd_images_are_small_exact_and_told(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "odd-pictures.json"
    ask = [str(tiny_network), "--side", "64", "--json", str(out)]
    told = CliRunner().invoke(odd_images.main, ask, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    rows = {row["name"]: row for row in json.loads(out.read_text())["odd_pictures"]}
    assert all(row["exact"] for row in rows.values())
    for row in rows.values():
        assert row["bytes"] <= 1.01 * np.prod(row["shape"]) + 64
    assert rows["one colour"]["bytes"] < 150 and rows["graphics"]["shape"] == [64, 64, 3]
    assert rows["graphics"]["bytes"] < 2 * rows["graphics"]["peers_bytes"]["webp"] + 64
    assert rows["a column"]["shape"] == [5000, 1, 1]
    assert "| a row | 5000x1 | 15,000 | **" in photographs.odd(tmp_path)


def test_a_image_is_enlarged_without_edges() -> None:
    small = synthetic_image(20, 30, 3, seed=4)
    large = enlarged(small, 0.01)
    assert large.shape == (82, 123, 3)
    assert np.abs(large[:20, :30].astype(int) - small).max() <= 1
    assert np.abs(large[20:40, :30].astype(int) - small[::-1]).max() <= 1
    assert np.abs(large[:20, 60:90].astype(int) - small).max() <= 1


def test_large_images_are_measured_in_processes(tiny_network: Path, tmp_path: Path) -> None:
    image.save(synthetic_image(40, 40, 3, seed=5), tmp_path / "a.png")
    out = tmp_path / "large.json"
    ask = [str(tmp_path / "a.png"), "--megapixels", "0.004", "-m", str(tiny_network)]
    told = CliRunner().invoke(large_image.main, [*ask, "--json", str(out)])
    assert told.exit_code == 0, told.output
    result = json.loads(out.read_text())
    (row,) = result["large"]
    assert row["exact"] and row["shape"] == [52, 78, 3]
    assert row["encode"]["peak_memory_bytes"] > 2**24 < row["decode"]["peak_memory_bytes"]
    assert "| 78x52 | " in photographs.large(tmp_path)
