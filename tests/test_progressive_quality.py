"""progressive_quality: x0_hat by reverse steps, judged; its table and its figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffcodec.eval.experiments import progressive_quality
from diffcodec.eval.publish.tables import samples
from diffcodec.eval.quality import samples as sets
from diffcodec.sampling.method import Method
from diffcodec.zoo import load_network
from tests.measured import measured
from tests.tiny_classifiers import JUDGING, dark_and_bright, saved, trained


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_x0_hat_is_judged_by_reverse_steps(tiny_float: Path, tmp_path: Path) -> None:
    trained(JUDGING, tmp_path / "judge")
    real = saved(dark_and_bright(40, seed=1).pixels, tmp_path / "real")
    ask = ["--data", real, "-m", tiny_float, "-n", 8, "--steps", 10]
    ask += ["--judge", tmp_path / "judge" / "classifier.safetensors"]
    ask += ["--plot", tmp_path / "figure10.svg"]
    out = tmp_path / "progressive-quality-cifar10.json"
    result, text = measured(progressive_quality.main, *ask, out=out)
    assert [row["reverse_steps"] for row in result["rows"]] == list(range(1, 11))
    distances = [row["frechet_distance"]["value"] for row in result["rows"]]
    assert len(set(distances)) == 10 and "reverse steps" in text
    shown = samples.by_time(tmp_path).splitlines()
    assert shown[2].startswith(f"| 1 | {distances[0]:.3f} (")
    assert shown[12].startswith("| 8 real images |")
    figure = (tmp_path / "figure10.svg").read_text(encoding="utf-8")
    assert "reverse steps" in figure and "8 real images" in figure


def test_the_last_state_is_the_sample(tiny_float: Path) -> None:
    network, method = load_network(tiny_float), Method("ddpm", (4.0, 1.0, 0.3, 0.1))
    way = sets.on_the_way(network, method, 16, 5, 0, [0, 3])
    end = sets.samples(network, method, 16, 5, 0, "all")
    assert len(way) == 2 and way[0].shape == (5, 16, 16, 3)
    assert np.array_equal(way[1], end) and not np.array_equal(way[0], end)
