"""Algorithm 1: it learns, resumes exactly, stops on time, and shares its work between processes."""

from __future__ import annotations

import builtins
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcodec.errors import RecipeError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.training.run import alone, start
from diffcodec.training.step import Step
from diffcodec.training.train import learning_rate, train
from tests.mini_recipe import RECIPE, weights


def test_it_learns(image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(RECIPE, image_folder, tmp_path / "run")
    assert run.step == 60
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 50 and lines[0]["loss"] < 0.8  # 1 is what knowing nothing costs
    told = capsys.readouterr().err
    assert "small.png is smaller than 16" in told and "broken.png" in told
    assert "step 60/60" in told and "min left" in told


def test_resuming_is_the_uninterrupted_run(image_folder: Path, tmp_path: Path) -> None:
    whole = RECIPE.override(("train.steps=12",))
    train(whole, image_folder, tmp_path / "a", quiet=True)
    train(whole, image_folder, tmp_path / "b", minutes=1e-9, quiet=True)  # stops after one step
    assert torch.load(tmp_path / "b/state.pt", weights_only=True)["step"] == 1
    train(whole, image_folder, tmp_path / "b", minutes=1e-9, quiet=True)
    train(whole, image_folder, tmp_path / "b", quiet=True)
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not list((tmp_path / "b").glob("*.part"))


def test_the_log_goes_on_where_the_checkpoint_is(image_folder: Path, tmp_path: Path) -> None:
    """What a stopped run wrote after it, and a line that it began, is done again."""
    train(RECIPE, image_folder, tmp_path, minutes=1e-9, quiet=True)  # stops after one step
    path = tmp_path / "stats.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 7}\n{"step": 9, "lo')
    train(RECIPE.override(("train.steps=3",)), image_folder, tmp_path, quiet=True)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]


def test_two_runs_do_not_share_a_folder(image_folder: Path, tmp_path: Path) -> None:
    with alone(tmp_path / "run"), pytest.raises(RecipeError, match="another run is training"):
        train(RECIPE, image_folder, tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").iterdir())
    train(RECIPE.override(("train.steps=1",)), image_folder, tmp_path / "run", quiet=True)


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", None])
def test_a_damaged_state_is_told_in_a_sentence(
    image_folder: Path, tmp_path: Path, data: bytes | None
) -> None:
    train(RECIPE, image_folder, tmp_path, minutes=1e-9, quiet=True)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:-99] if data is None else data)
    with pytest.raises(RecipeError, match=r"state\.pt is damaged"):
        train(RECIPE, image_folder, tmp_path, quiet=True)


def test_a_wild_loss_keeps_the_last_checkpoint(image_folder: Path, tmp_path: Path) -> None:
    train(RECIPE, image_folder, tmp_path, minutes=1e-9, quiet=True)
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(FloatingPointError, match=r"lower train\.lr"):
        train(RECIPE.override(("train.lr=1e30",)), image_folder, tmp_path, quiet=True)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_wild_gradient_is_noticed_before_it_spoils_a_weight(
    image_folder: Path, tmp_path: Path
) -> None:
    run = start(RECIPE, tmp_path, torch.device("cpu"))
    before = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    step = Step(run, 1)

    def losses(x0: torch.Tensor, out: torch.Tensor, *_: object) -> torch.Tensor:
        return (out - out.detach()).abs().sqrt().sum(dim=(1, 2, 3))  # 0, with a slope of infinity

    run.objective.losses = losses  # type: ignore[method-assign,assignment]
    crops = np.zeros((4, 3, 16, 16), np.uint8)
    with pytest.raises(FloatingPointError, match="the gradient is nan at step 0"):
        step(torch.from_numpy(crops), torch.Generator().manual_seed(0), 1e-3)
    after = run.model.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


@pytest.mark.parametrize("full", ["state.pt", "model.safetensors", "stats.jsonl"])
def test_a_full_disk_loses_nothing(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    train(RECIPE, image_folder, tmp_path, minutes=1e-9, quiet=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = builtins.open

    class Full:
        """A file that takes half of what is written."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> None:
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def limited(path: Any, mode: str = "r", **options: Any) -> Any:
        file = real(path, mode, **options)
        name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else str(path)
        return Full(file) if full in name and mode in ("wb", "a") else file

    monkeypatch.setattr(builtins, "open", limited)
    with pytest.raises(OSError, match="No space left") as told:
        train(RECIPE.override(("train.steps=2",)), image_folder, tmp_path, quiet=True)
    monkeypatch.undo()
    assert told.value.filename == str(tmp_path / full) and told.value.errno == errno.ENOSPC
    assert not list(tmp_path.glob(".*.part"))
    assert (tmp_path / "state.pt").read_bytes() == before["state.pt"]
    if full != "state.pt":
        assert (tmp_path / "model.safetensors").read_bytes() == before["model.safetensors"]
    run = train(RECIPE.override(("train.steps=2",)), image_folder, tmp_path, quiet=True)
    assert run.step == 2 and Checkpoint.load(tmp_path / "model.safetensors").card["steps"] == 2


def test_two_processes_share_a_batch(image_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport torch\ntorch.set_num_threads(1)\n"
        "from tests.mini_recipe import RECIPE\nfrom diffcodec.training.train import train\n"
        "about = 'train.steps=6', 'train.objective=\"simple\"', 'train.sampling=\"importance\"'\n"
        "train(RECIPE.override(about), Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--master-port=29517", str(script), str(image_folder), str(tmp_path / "run")]
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    assert state["step"] == 6
    assert state["objective"]["count"].sum() == 6 * 4  # losses of both processes are remembered
    assert len((tmp_path / "run/stats.jsonl").read_text().splitlines()) == 1


def test_batch_must_divide(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="does not divide over 3"):
        train(RECIPE, image_folder, tmp_path)


def test_learning_rate_warms_up_and_cools_down() -> None:
    config = RECIPE.train
    rates = [learning_rate(config, step) for step in range(config.steps)]
    assert rates[0] == pytest.approx(config.lr / 5) and max(rates) == config.lr
    assert rates[29] == config.lr and 0 < rates[-1] < 0.05 * config.lr
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_a_run_may_be_as_far_as_its_time() -> None:
    config = RECIPE.train  # 60 steps, the last half of them to cool down
    assert learning_rate(config, 20, 0.5) == config.lr
    assert learning_rate(config, 20, 0.75) == pytest.approx(config.lr / 2)
    assert learning_rate(config, 45, 0.2) == pytest.approx(config.lr / 2)
    assert learning_rate(config, 20, 1.1) == 0


def test_a_run_finishes_in_time(image_folder: Path, tmp_path: Path) -> None:
    recipe = RECIPE.override(("train.steps=100000",))
    run = train(recipe, image_folder, tmp_path, finish_in=1 / 60, quiet=True)
    assert 1 <= run.seconds < 5 and 1 <= run.step < 100000
    again = train(recipe, image_folder, tmp_path, finish_in=1 / 60, quiet=True)
    assert again.step == run.step + 1  # it has ended: a call makes a step at most


def test_a_run_starts_from_other_weights(image_folder: Path, tmp_path: Path) -> None:
    recipe = RECIPE.override(("train.steps=2",))
    train(recipe, image_folder, tmp_path / "a", quiet=True)
    first = Checkpoint.load(tmp_path / "a" / "model.safetensors")
    still = RECIPE.override(("train.steps=1", "train.lr=1e-12"))
    run = train(still, image_folder, tmp_path / "b", first=first, quiet=True)
    for name, weight in run.model.state_dict().items():
        assert np.allclose(weight.numpy(), first.weights[name], atol=1e-6), name
    other = RECIPE.override(("network.channels=16",))
    with pytest.raises(RecipeError, match="another"):
        train(other, image_folder, tmp_path / "c", first=first, quiet=True)


def test_muon_learns_and_resumes(image_folder: Path, tmp_path: Path) -> None:
    recipe = RECIPE.override(("train.optimizer='muon'", "train.steps=30", "train.lr=2e-3"))
    train(recipe, image_folder, tmp_path / "whole", quiet=True)
    lines = (tmp_path / "whole" / "stats.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 30
    train(recipe, image_folder, tmp_path / "parts", minutes=1e-9, quiet=True)
    train(recipe, image_folder, tmp_path / "parts", quiet=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    with pytest.raises(RecipeError, match="optimizer"):
        RECIPE.override(("train.optimizer='sgd'",))
