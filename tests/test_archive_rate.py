"""The measurements of bits-back coding run, and their numbers fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffcodec.eval.experiments import archive_rate, bitsback_benchmark
from diffcodec.image import save
from tests.measured import measured
from tests.synthetic import synthetic_image


def test_archive_rate(tiny_network: Path, tmp_path: Path) -> None:
    for i in range(6):
        save(synthetic_image(16, 16, 3, i), tmp_path / f"{i}.png")
    ask = [tmp_path, "-m", tiny_network, "--chain", "6", "--chain", "12", "--auto"]
    record, _ = measured(archive_rate.main, *ask, out=tmp_path / "out.json")
    assert [row["steps"] for row in record["results"]] == [6, 12]
    for row in record["results"]:
        assert row["exact"]
        assert row["net_bpd"] == pytest.approx(row["nelbo_bpd"], rel=0.05)
        assert row["file_bpd"] > 0.8 * row["net_bpd"]  # the initial tiles may be cheaper
        assert row["residual"] == "adaptive" and row["auto_bytes"] <= 1.05 * row["file_bytes"]
        assert len(row["by_step"]["net_bits"]) == row["steps"] + 1
    assert {"PNG", "png"} & set(record["peers_lossless"])


def test_benchmark(tiny_network: Path) -> None:
    own = bitsback_benchmark.own(4.0, 20_000, True)
    first, second = bitsback_benchmark.others(4.0, 20_000)
    assert own["bits"] == pytest.approx(first["bits"], abs=0.02)
    assert first["bits"] == pytest.approx(second["bits"], abs=0.01)
    assert abs(own["loss_bits"]) < 1e-4
