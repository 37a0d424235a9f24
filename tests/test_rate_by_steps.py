"""Chains of any length for a network, and what files of each cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diffcodec import image
from diffcodec.codec import Codec
from diffcodec.eval.common.images import load_named
from diffcodec.eval.experiments import rate_by_steps
from diffcodec.eval.experiments.rate_by_steps import network_with
from diffcodec.eval.likelihood.optimised_levels import chosen
from diffcodec.eval.publish.tables import choices
from diffcodec.eval.rd import rate_distortion
from diffcodec.eval.rd.joint import stacks
from diffcodec.eval.rd.mean_curve import quality_at, rate_at
from diffcodec.exact.stored import load_integers
from diffcodec.theory.chain import Tables
from tests.measured import measured
from tests.synthetic import synthetic_image


def test_a_network_gets_the_chain_it_lacks(tiny_network: Path, tmp_path: Path) -> None:
    assert network_with(str(tiny_network), 12, tmp_path) == str(tiny_network)
    before, made = (
        load_integers(Path(network_with(str(tiny_network), steps, tmp_path))) for steps in (12, 250)
    )
    tables = Tables.of(made.facts["tables"])
    assert made.fingerprint != before.fingerprint
    assert tables.chains["250"] == pytest.approx(chosen(tables, [250])[250])
    assert tables.chains["12"] == Tables.of(before.facts["tables"]).chains["12"]


def test_a_small_image_leaves_out_what_would_carry_nothing(tmp_path: Path) -> None:
    codec = Codec.from_pretrained(network_with("cifar10", 250, tmp_path), 1)
    flowers = image.load(Path(__file__).parent / "images" / "flowers.png")
    data = codec.encode(flowers[:16, :16], chain="250", residual="gaussian")
    back = codec.decode(data)
    assert back.lossless and back.steps_total == 250 and 10 < back.steps < 100


def test_rates_at_a_quality_lie_between_cuts() -> None:
    assert rate_at([1.0, 4.0], [28.0, 32.0], 30.0) == pytest.approx(2.0)
    assert rate_at([1.0, 4.0], [28.0, 32.0], 28.0) == pytest.approx(1.0)
    assert rate_at([1.0, 4.0], [28.0, 32.0], 27.9) is None
    assert rate_at([], [], 30.0) is None
    assert rate_at([1.0, 2.0, 4.0], [28.0, None, 32.0], 30.0) == pytest.approx(2.0)


def test_qualities_at_a_rate_lie_between_cuts() -> None:
    assert quality_at([1.0, 4.0], [28.0, 34.0], 2.0) == pytest.approx(30.0)
    assert quality_at([1.0, 2.0, 4.0], [28.0, None, 34.0], 2.0) == pytest.approx(30.0)
    assert quality_at([1.0, 4.0], [28.0, 34.0], 4.5) is None and quality_at([], [], 1.0) is None


def run(folder: Path, network: Path, *options: object) -> dict[str, Any]:
    ask = [network, folder / "set", "--steps", "6", "--steps", "30", "--db", "20", *options]
    result, text = measured(rate_by_steps.main, *ask, out=folder / "steps.json")
    assert "bpp at 20 dB" in text
    return result


@pytest.mark.usefixtures("steps_pay")
def test_the_command_its_figure_and_the_readmes_table(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    for i in range(2):
        image.save(synthetic_image(16, 16, 3, seed=i), tmp_path / "set" / f"{i}.png")
    records, figure = tmp_path / "steps.jsonl", tmp_path / "steps.svg"
    result = run(tmp_path, tiny_network, "--records", records, "--plot", figure)
    assert [row["steps"] for row in result["rows"]] == [6, 30]
    for row in result["rows"]:
        assert row["exact"] == 2 and row["visited"] <= row["steps"]
        assert row["bpd"] > row["bpd_ideal"] > 0 and row["bpp_pooled"] < 3 * row["bpd"]
        parts = row["encode_seconds"]
        assert parts["total"] == pytest.approx(
            sum(parts[k] for k in ("network", "trellis", "rest"))
        )
    assert "ideal code of the same steps" in figure.read_text()
    joint = run(tmp_path, tiny_network, "--joint", "2")
    assert [row["exact"] for row in joint["rows"]] == [1, 1]
    (file,) = stacks(load_named(tmp_path / "set"), 2)
    seconds = {"encode": {"total": 3.0}, "decode": {"total": 1.0}}
    each = {"encode_seconds": {"total": 1.5}, "decode_seconds": {"total": 0.5}}
    assert rate_by_steps._seconds(seconds, [file]) == each
    monkeypatch.setattr(rate_distortion, "measure", lambda *_: pytest.fail("it is known"))
    again = run(tmp_path, tiny_network, "--records", records)
    assert again["rows"] == result["rows"]
    (tmp_path / "rate-by-steps-cifar10.json").write_text(json.dumps(result))
    text = choices.steps(tmp_path, "cifar10")
    row = result["rows"][0]
    assert f"| 6 | {row['visited']:.0f} | **{row['bpd']:.3f}** | {row['bpd_ideal']:.3f} |" in text
    assert "bpp at 20 dB" in text and "`python -m diffcodec.eval.experiments.rate_by_steps" in text
