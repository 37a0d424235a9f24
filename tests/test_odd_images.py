"""Images that are no photographs, and large ones: what the two measurements report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffcodec import image
from diffcodec.eval.experiments import large_image, odd_images
from diffcodec.eval.experiments.large_image import enlarged
from diffcodec.eval.publish.tables import photographs
from tests.measured import measured
from tests.synthetic import synthetic_image


def test_odd_images_are_small_exact_and_reported(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "odd-pictures.json"
    result, _ = measured(odd_images.main, tiny_network, "--side", 64, out=out)
    rows = {row["name"]: row for row in result["odd_pictures"]}
    assert all(row["exact"] for row in rows.values())
    for row in rows.values():
        assert row["bytes"] <= 1.01 * np.prod(row["shape"]) + 64
    assert rows["one colour"]["bytes"] < 150 and rows["graphics"]["shape"] == [64, 64, 3]
    assert rows["graphics"]["bytes"] < 2 * rows["graphics"]["peers_bytes"]["webp"] + 64
    assert rows["a column"]["shape"] == [5000, 1, 1]
    assert "| a row | 5000x1 | 15,000 | **" in photographs.odd(tmp_path)


def test_an_image_is_enlarged_without_edges() -> None:
    small = synthetic_image(20, 30, 3, seed=4)
    large = enlarged(small, 0.01)
    assert large.shape == (82, 123, 3)
    assert np.abs(large[:20, :30].astype(int) - small).max() <= 1
    assert np.abs(large[20:40, :30].astype(int) - small[::-1]).max() <= 1
    assert np.abs(large[:20, 60:90].astype(int) - small).max() <= 1


def test_large_images_are_measured_in_processes(tiny_network: Path, tmp_path: Path) -> None:
    image.save(synthetic_image(40, 40, 3, seed=5), tmp_path / "a.png")
    ask = [tmp_path / "a.png", "--megapixels", 0.004, "-m", tiny_network]
    result, _ = measured(large_image.main, *ask, out=tmp_path / "large.json")
    (row,) = result["large"]
    assert row["exact"] and row["shape"] == [52, 78, 3]
    assert row["encode"]["peak_memory_bytes"] > 2**24 < row["decode"]["peak_memory_bytes"]
    assert "| 78x52 | " in photographs.large(tmp_path)
