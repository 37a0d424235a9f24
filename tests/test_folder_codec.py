"""The command line with folders of diffusers: `-m DIR`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from diffcodec import Codec, image
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.main import main
from diffcodec.networks import _version
from tests.diffusers_folders import model, pipeline
from tests.synthetic import synthetic_image

Invoke = Callable[..., Result]
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def run(
    tmp_path: Path, small_rgb: Pixels, steps_pay: None, monkeypatch: pytest.MonkeyPatch
) -> Invoke:
    """`diffcodec ARGS` in a folder with photo.png."""
    monkeypatch.chdir(tmp_path)
    image.save(small_rgb, Path("photo.png"))

    def invoke(*args: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, args)
        assert result.exit_code == code, (result.stderr, result.exception)
        return result

    return invoke


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_a_folder_encodes_and_decodes(run: Invoke, small_rgb: Pixels, kind: str) -> None:
    betas = "squaredcos_cap_v2" if kind == "sample" else "linear"
    pipeline(Path("net"), model(), prediction_type=kind, beta_schedule=betas)
    said = run("encode", "photo.png", "-m", "net", "--chain", "6", "--switch", "6")
    assert "lossless on this machine and its libraries" in said.stderr
    assert "network  net (" in run("info", "photo.dfc", "-m", "net").stdout
    run("decode", "photo.dfc", "back.png", "-m", "net/", "--strict")
    assert np.array_equal(image.load(Path("back.png")), small_rgb)
    bound = json.loads(run("nll", "photo.png", "-m", "net", "--chain", "6", "--json").stdout)
    assert bound["model"]["fingerprint"] == Codec.from_pretrained("net").fingerprint.hex()


def test_a_folder_with_classes(run: Invoke) -> None:
    pipeline(Path("told"), model(num_class_embeds=5))
    said = run("encode", "photo.png", "-m", "told", code=1)
    assert said.stderr.endswith("told has to know the image's class: name one of 0 to 4\n")
    run("encode", "photo.png", "-m", "told", "--class", "4", "--chain", "6", "--switch", "6")
    run("decode", "photo.dfc", "back.png", "-m", "told", "--strict")


def test_a_folder_is_measured_and_becomes_a_file(
    run: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffcodec.cli.training_set.PIXELS", 2 * 16**2)
    monkeypatch.setattr("diffcodec.eval.likelihood.step_counts.LENGTHS", (10, 12))
    pipeline(Path("net"), model())
    Path("set").mkdir()
    for seed in range(4):
        image.save(synthetic_image(16, 16, 3, seed), Path(f"set/{seed}.png"))
    said = run("calibrate", "net", "--data", "set", code=1)
    assert "net is a folder: diffcodec schedule measures it" in said.stderr
    run("schedule", "net", "--data", "set", "--chain", "20", "-o", "mine.safetensors")
    run("encode", "photo.png", "-m", "mine.safetensors", "--chain", "20", "--switch", "6")
    run("decode", "photo.dfc", "back.png", "-m", "mine.safetensors", "--strict")
    assert "made with network" in run("info", "photo.dfc", "-m", "net", code=1).stderr


def test_a_folder_that_changes_is_read_again(run: Invoke) -> None:
    first = pipeline(Path("net"), model())
    run("encode", "photo.png", "-m", "net", "--chain", "6", "--switch", "6")
    pipeline(first, model(seed=1))
    assert "made with network" in run("info", "photo.dfc", "-m", "net", code=1).stderr


def test_what_is_no_such_folder_is_refused_in_one_sentence(run: Invoke) -> None:
    Path("empty").mkdir()
    half = pipeline(Path("half"), model())
    (weights,) = half.rglob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    commands = (["encode", "photo.png"], ["nll", "photo.png"], ["archive", "photo.png", "a.dfa"])
    for folder in ("empty", "half", "missing"):
        for command in commands:
            said = run(*command, "-m", folder, code=1)
            assert folder in said.stderr and len(said.stderr.splitlines()) == 1


def test_a_folder_of_anything_is_not_walked_through(
    run: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(Path("net"), model())
    Path("net/unet/deep/deeper").mkdir(parents=True)
    looked_into = []
    glob = Path.glob

    def counting(path: Path, pattern: str) -> Iterator[Path]:
        looked_into.append(path)
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", counting)
    monkeypatch.setattr(Path, "rglob", None)
    _, before = _version("net")
    assert Path("net/unet/deep") not in looked_into
    os.utime("net/scheduler/scheduler_config.json", ns=(before + 10**9, before + 10**9))
    assert _version("net")[1] == before + 10**9
    os.utime(f"net/{WEIGHTS}", ns=(before + 2 * 10**9, before + 2 * 10**9))
    assert _version("net")[1] == before + 2 * 10**9


@pytest.mark.parametrize("place", ["unet/config.json", WEIGHTS])
def test_a_pipe_among_a_folder_s_files_is_refused(run: Invoke, place: str) -> None:
    pipe = pipeline(Path("net"), model()) / place
    pipe.unlink()
    os.mkfifo(pipe)
    said = run("encode", "photo.png", "-m", "net", code=1).stderr
    assert said == f"diffcodec: net/{place} is no file: download the folder again\n"


def test_a_pipe_is_no_network(run: Invoke) -> None:
    os.mkfifo("pipe.safetensors")
    said = run("encode", "photo.png", "-m", "pipe.safetensors", code=1).stderr
    expected = "pipe.safetensors is a pipe or a device: give a network's file or folder"
    assert said == f"diffcodec: {expected}\n"


def test_a_grey_network_says_what_it_takes(run: Invoke) -> None:
    pipeline(Path("grey"), model(in_channels=1, out_channels=1))
    said = run("invert", "photo.png", "-m", "grey", "-o", "x.npz", code=1).stderr
    assert said.endswith("and grey takes grey images\n")
