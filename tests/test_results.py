"""Results files: what they state of their making can be typed, and what is no result is refused."""

from __future__ import annotations

import importlib.util
import math
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from diffcodec.cli.main import main
from diffcodec.eval.common.results import (
    ResultError,
    command_of,
    provenance,
    read_result,
    write_result,
)
from diffcodec.eval.common.words import counted

RESULTS = Path(__file__).parent.parent / "eval" / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_command_of_a_result_is_there(path: Path) -> None:
    words = shlex.split(command_of(read_result(path)))
    if words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert words[0] == "diffcodec" and words[1] in main.commands


def test_a_module_that_runs_states_its_own_name(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, out = "diffcodec.eval.experiments.odd_images", tmp_path / "made" / "odd.json"
    words = [str(tiny_network), "--side", "16", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["anything", *words])
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit) as end:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert end.value.code == 0
    expected = f"python -m {name} {tiny_network.name} --side 16 --json odd.json"
    assert read_result(out)["command"] == expected


def test_the_machine_and_more_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/diffcodec", "eval", "/data/kodak", "-j", "2"])
    found = provenance("diffcodec", threads=3, processes=2, cjxl="0.11")
    assert found["command"] == "diffcodec eval kodak -j 2"
    assert found["environment"]["threads_per_process"] == 3
    assert found["environment"]["processes"] == 2 and found["environment"]["cjxl"] == "0.11"


def test_what_is_no_result_is_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(ValueError):
        write_result(path, {"bpd": math.nan})
    assert not path.exists()
    for text, says in (("{", "is not JSON"), ("[1]", "does not hold results")):
        path.write_text(text)
        with pytest.raises(ResultError, match=says):
            read_result(path)


def test_nouns_follow_their_number() -> None:
    assert [counted(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert counted(1, "process", "processes") == "1 process"
    assert counted(2, "process", "processes") == "2 processes"
