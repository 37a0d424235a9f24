"""Shipping a network: the card says what was measured, and nothing else gets in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from diffcodec.eval.publish import ship
from diffcodec.eval.publish.measurements import COMMANDS
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.exact.stored import load_integers
from tests.exported import exported, untrained
from tests.mini_recipe import to_toml

RECIPE = to_toml(untrained().recipe.to_dict())


def nelbo(fingerprint: str) -> dict[str, Any]:
    bound = {"bpd": 4.25, "L_T_bpd": 0.0, "L_steps_bpd": 2.0, "L_0_bpd": 2.25, "T": 1000}
    bound |= {"standard_error_bpd": 0.5}
    return {
        "model": {"fingerprint": fingerprint},
        "dataset": {"name": "made", "images": 3, "shape": [16, 16, 3]},
        "nelbo": {**bound, "images": 3, "schedule": "linear", "sigma2": "beta"},
        "command": "measure it",
    }


def denoising(fingerprint: str) -> dict[str, Any]:
    rows = [{"sigma_grey": 4, "rmse_grey": 3.0, "psnr_db": 38.6, "rate_bpd": 1.5}]
    about = {"dataset": {"name": "drawn", "images": 7}, "denoising": rows}
    return {"model": {"fingerprint": fingerprint}, "sets": [about], "command": "denoise"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what `ship` takes, and a zoo to ship to."""
    monkeypatch.setattr(ship, "ZOO", tmp_path / "zoo")
    (tmp_path / "zoo").mkdir()
    made = {"hours": 0.5, "steps": 9}
    graph = dataclasses.replace(exported(), facts={**exported().facts, "card": made})
    graph.save(tmp_path / "net.safetensors")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "nelbo.json").write_text(json.dumps(nelbo(graph.fingerprint.hex())))
    (tmp_path / "noise.json").write_text(json.dumps(denoising(graph.fingerprint.hex())))
    curve = {"bpp": [0.2, 0.4, 2.0], "psnr-rgb-pooled": [24.0, 25.0, 33.0]}
    files = {
        "model": {"fingerprint": graph.fingerprint.hex()},
        "dataset": {"name": "photographed", "images": 5},
        "results": curve,
        "lossless": {"bpd": 3.5},
        "command": "code them",
    }
    (tmp_path / "rd.json").write_text(json.dumps(files))
    at_levels = {"T": 50, "schedule": "own", "sigma2": "widened", "bpd": 3.75}
    terms = {"L_T_bpd": 0.0, "L_steps_bpd": 2.5, "L_0_bpd": 1.25}
    model = {"fingerprint": graph.fingerprint.hex()}
    bound = {
        "model": model,
        "nelbo": at_levels | terms,
        "dataset": {"name": "made", "images": 3},
        "command": "nll",
    }
    (tmp_path / "bound.json").write_text(json.dumps(bound))
    lines = [
        {"step": 50 * i, "loss": 1 / i, "lr": 1e-3, "images_per_second": 10.0} for i in range(1, 31)
    ]
    (tmp_path / "stats.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def shipped(files: Path, bound: str = "bound.json") -> Any:
    about = [
        "--description",
        "For tests.",
        "--history",
        "Drawn.",
        "--data",
        "drawn",
        "--licence",
        "MIT",
    ]
    about += ["--hardware", "a lap", "--commands", "train first\ntrain then"]
    given = [str(files / "net.safetensors"), "--recipe", str(files / "tiny.toml")]
    given += ["--nelbo", str(files / "nelbo.json"), "--bound", str(files / bound)]
    given += ["--denoising", str(files / "noise.json"), "--rd", str(files / "rd.json")]
    return CliRunner().invoke(ship.main, [*given, "--log", str(files / "stats.jsonl"), *about])


def test_the_card_says_what_was_measured(files: Path) -> None:
    done = shipped(files)
    assert done.exit_code == 0, done.output
    card = (files / "zoo" / "tiny.md").read_text()
    graph = load_integers(files / "zoo" / "tiny.safetensors")
    for words in (
        graph.fingerprint.hex(),
        f"| network | `unet`, {graph.parameters:,} parameters (all weights and biases, the",
        f"{macs_per_pixel(graph) / 1e3:.0f} thousand multiply-adds",
        "**4.250 +- 0.500 bits/dim** = L_T 0.00000 + sum L_(t-1) 2.0000 + L_0 2.2500",
        "At 50 levels (own, sigma^2 widened), 3 images of made: **3.750 bits/dim**",
        "| 4 | 3.00 | 38.60 | 1.500 |",
        "7 images of drawn",
        "5 images of photographed, cut; pooled PSNR in 8 bits. Exact at 3.500 bits/dim",
        "    code them\n",
        "| bpp | 0.1 | 0.25 | 0.5 | 1 | 1.5 | 2 | 3 | 4 |\n|---|---|",
        "| dB | - | 24.2 | 25.5 | 28.0 | 30.5 | 33.0 | - | - |",
        "    denoise\n",
        "| 1 | 50 | 1.0000 |",
        "| 1 | 1,500 | 0.0333 |",
        "# tiny\n\nFor tests. Drawn.\n",
        "    train first\n    train then\n",
    ):
        assert words in card
    assert card.count("\n| 1 | ") == ship.ROWS
    assert graph.facts["card"]["nelbo"]["bpd"] == 4.25
    assert graph.facts["card"]["parameters"] == graph.parameters
    assert (files / "zoo" / "tiny.toml").read_text() == RECIPE


def test_the_card_gives_the_command_of_the_list(files: Path) -> None:
    (files / "bound.json").rename(files / "bound-photo.json")
    done = shipped(files, "bound-photo.json")
    assert done.exit_code == 0, done.output
    assert f"\n\n    {COMMANDS['bound-photo.json']}\n" in (files / "zoo" / "tiny.md").read_text()


def test_numbers_of_another_network_are_refused(files: Path) -> None:
    (files / "nelbo.json").write_text(json.dumps(nelbo("00" * 8)))
    done = shipped(files)
    assert done.exit_code == 1 and "measure it again" in done.output
    assert not list((files / "zoo").iterdir())


def test_another_recipe_is_refused(files: Path) -> None:
    (files / "tiny.toml").write_text(RECIPE.replace("steps = 9", "steps = 10"))
    done = shipped(files)
    assert done.exit_code == 1 and "another recipe" in done.output
    assert not list((files / "zoo").iterdir())


def test_the_docstring_names_every_required_option() -> None:
    usage = (ship.__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    required = {o.opts[0] for o in ship.main.params if isinstance(o, click.Option) and o.required}
    assert required == {word for word in usage.split() if word.startswith("--")}
