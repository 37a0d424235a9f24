"""sample_quality: samples by steps and eta, judged beside real images; and its table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from diffcodec.eval.experiments import sample_quality
from diffcodec.eval.publish.tables import samples
from tests.measured import measured
from tests.tiny_classifiers import JUDGING, dark_and_bright, saved, trained


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_every_number_of_steps_and_eta_is_judged(tiny_float: Path, tmp_path: Path) -> None:
    trained(JUDGING, tmp_path / "judge")
    real = saved(dark_and_bright(40, seed=1).pixels, tmp_path / "real")
    ask = ["--data", real, "-m", tiny_float, "-n", 8, "--steps", 3, "--steps", 5, "--eta", 0]
    ask += ["--eta", 1, "--judge", tmp_path / "judge" / "classifier.safetensors"]
    out = tmp_path / "sample-quality-cifar10.json"
    result, text = measured(sample_quality.main, *ask, out=out)
    assert [(row["steps"], row["eta"]) for row in result["rows"]] == [
        (3, 0),
        (3, 1),
        (5, 0),
        (5, 1),
    ]
    distances = [row["frechet_distance"]["value"] for row in result["rows"]]
    # Real images lie nearer than the samples of a network that hardly learnt anything.
    assert result["real"]["frechet_distance"]["value"] < min(distances)
    assert len(set(distances)) == 4 and "frechet_distance" in text
    shown = samples.by_steps(tmp_path).splitlines()
    assert shown[2].startswith("| 3 | 0 | ") and f"{distances[0]:.3f} (" in shown[2]
    assert shown[6].startswith("| 8 real images |")


def test_too_few_images_are_one_sentence(tiny_float: Path, tmp_path: Path) -> None:
    trained(JUDGING, tmp_path / "judge")
    real = saved(dark_and_bright(10, seed=1).pixels, tmp_path / "real")
    ask = ["--data", real, "-m", tiny_float, "-n", 8, "--steps", 3, "--eta", 0]
    ask += ["--judge", tmp_path / "judge" / "classifier.safetensors"]
    done = CliRunner().invoke(sample_quality.main, [str(word) for word in ask])
    assert done.exit_code == 1 and done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
