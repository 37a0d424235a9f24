"""DDIM's Table 2 as a measurement."""

from __future__ import annotations

from pathlib import Path

from diffcodec import save
from diffcodec.eval.experiments import inversion
from tests.measured import measured
from tests.synthetic import synthetic_image


def test_more_steps_keep_more_of_an_image(tmp_path: Path, tiny_network: Path) -> None:
    for seed in range(2):
        save(synthetic_image(16, 16, 3, seed), tmp_path / f"{seed}.png")
    words = (tmp_path, "-m", tiny_network, "--steps", 200, "--steps", 20)
    found, said = measured(inversion.main, *words, out=tmp_path / "inversion.json")
    few, many = found["inversion"]
    assert (few["steps"], many["steps"]) == (20, 200) and many["mse"] < 0.3 * few["mse"]
    assert many["psnr"] > few["psnr"] + 5 and few["paper"] == 0.0065
    assert found["dataset"]["images"] == 2 and found["model"]["name"] == "tiny"
    assert f"{few['mse']:.2e}" in said and "0.0004" in said


def test_the_paper_has_these_steps() -> None:
    assert set(inversion.PAPER) == set(inversion.STEPS)
