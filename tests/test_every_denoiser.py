"""every_denoiser: floats beside the integers that were made of them, and the table of both."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from diffcodec.eval.experiments import every_denoiser
from diffcodec.eval.publish.tables import denoisers
from diffcodec.exact.export import export
from diffcodec.image import save
from diffcodec.zoo import stated_facts
from tests.exported import untrained
from tests.measured import measured
from tests.synthetic import synthetic_image


def test_integers_beside_their_floats(tmp_path: Path) -> None:
    images = tmp_path / "set"
    images.mkdir()
    pixels = [synthetic_image(16, 16, 3, seed) for seed in range(2)]
    for seed, image in enumerate(pixels):
        save(image, images / f"{seed}.png")
    checkpoint = replace(untrained(), tables=stated_facts("cifar10")[1]["tables"])
    checkpoint.save(tmp_path / "float.safetensors")
    export(checkpoint, pixels).save(tmp_path / "exact.safetensors")
    models = [tmp_path / "float.safetensors", tmp_path / "exact.safetensors"]
    ask = [every_denoiser.main, *models, "--data", images, "--stride", 2]
    result, text = measured(*ask, out=tmp_path / "every-denoiser.json")

    own, exact = result["rows"]
    assert (own["numbers"], own["exact"], [*own["call_seconds"]]) == ("floats", "here", ["torch"])
    assert (exact["numbers"], exact["exact"]) == ("16 bits", "everywhere")
    assert {"compiled", "numpy", "torch64"} <= set(exact["call_seconds"])
    assert exact["trained"] == own["fingerprint"] != exact["fingerprint"]
    cost = exact["nelbo_bpd"] - own["nelbo_bpd"]
    assert exact["nelbo_cost_bpd"] == pytest.approx(cost, abs=1e-5) and "nelbo_cost_bpd" not in own
    assert "files, gaussian" in text and "everywhere" in text
    rows = [line for line in denoisers.rows(tmp_path).splitlines() if line.startswith("| `")]
    assert len(rows) == 2 and re.search(r"\([+-]0\.\d{4}\)", rows[1]) and "(" not in rows[0]
