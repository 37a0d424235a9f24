"""Commands that a machine disturbs: a short run, and faults that the harness has to notice."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffcodec.eval.robustness.faults import kills
from diffcodec.eval.robustness.faults.__main__ import findings, to_text
from diffcodec.eval.robustness.faults.calls import Ended, Strike
from diffcodec.eval.robustness.faults.cases import OUT, Case, cases_of
from diffcodec.eval.robustness.faults.disk import limited
from diffcodec.eval.robustness.faults.judge import of_end, of_files, of_result, strangers
from diffcodec.eval.robustness.faults.kills import Known, kill, know, moment, room, strikes
from diffcodec.eval.robustness.faults.pairs import pair
from diffcodec.eval.robustness.faults.reads import spoilt
from diffcodec.eval.robustness.faults.scene import Scene, make_scene

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

IN_PLACE = """
import sys, time
with open("out/a.txt", "wb") as file:
    for _ in range(20):
        file.write(b"new ")
        file.flush()
        time.sleep(0.05)
"""
PARTS = """
import os, time
name = f"out/{os.getpid()}.part"
with open(name, "wb") as file:
    time.sleep(0.5)
    file.write(b"new")
os.replace(name, "out/a.txt")
"""
ORPHAN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("out/a.txt", "wb").write(b"new")
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"))


def script(text: str) -> Case:
    """A command that is no good."""
    return Case("bad", (), ("a.txt",), first=(), again=(), program=("-c", text))


def case(scene: Scene, name: str) -> Case:
    """A command of ours."""
    return next(case for case in cases_of(scene) if case.name == name)


# --- our commands -------------------------------------------------------------------------------


def test_decode_survives_signals(scene: Scene, tmp_path: Path) -> None:
    decode = case(scene, "decode")
    known = know(decode, tmp_path)
    assert known.touches > 1
    struck = [
        moment(decode, known, tmp_path, Strike(number, 0.0, known.touches), over=True)
        for number in (signal.SIGKILL, signal.SIGTERM)
    ]
    moments = [*struck, *kill(decode, known, tmp_path, 2, seed=0, processes=2)]
    assert not [finding for one in moments for finding in one.findings]
    assert [one.outcome for one in struck] == ["some of it", "nothing yet"]  # SIGKILL leaves a part
    row = kills.row(decode, moments, time.monotonic())
    assert sum(by["moments"] for by in row["signals"].values()) == 4
    assert "nothing was found" in to_text({"kills": [row]})


def test_decode_survives_a_full_disk_and_a_second_run(scene: Scene, tmp_path: Path) -> None:
    decode = case(scene, "decode")
    known = know(decode, tmp_path)
    assert not limited(decode, known, tmp_path, 10, over=True)
    assert pair(decode, known, tmp_path, wait=0.0) == (0, [])


@pytest.mark.parametrize("way", ["EIO", "shrinks"])
def test_decode_survives_reads_that_fail(scene: Scene, tmp_path: Path, way: str) -> None:
    decode = case(scene, "decode")
    known = Known({}, {"a.png": None}, 1.0, 0)  # nothing is right
    assert not spoilt(decode, known, scene, tmp_path, scene.coded, way)


# --- faults that have to be noticed ---------------------------------------------------------------


def test_writing_in_place_is_noticed(tmp_path: Path) -> None:
    bad = script(IN_PLACE)
    known = know(bad, tmp_path)
    found = moment(bad, known, tmp_path, Strike(signal.SIGKILL, known.seconds / 2), over=True)
    assert "a.txt is neither the older nor the right one" in found.findings
    row = kills.row(bad, [found], 0.0)
    assert "neither" in next(findings({"kills": [row]})) and "neither" in to_text({"kills": [row]})
    assert any("neither" in line for line in limited(bad, known, tmp_path, 30, over=False))


def test_parts_that_pile_up_are_noticed(tmp_path: Path) -> None:
    bad = script(PARTS)
    found = moment(bad, know(bad, tmp_path), tmp_path, Strike(signal.SIGKILL, 0.3), over=False)
    assert any(line.endswith(".part is left") for line in found.findings)


def test_children_that_go_on_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcodec.eval.robustness.faults.calls.GRACE", 0.2)
    bad = script(ORPHAN)
    folder = room(tmp_path)
    ended = kills.call(bad, (), folder)
    assert ended.orphans == 1 and of_end(ended, signal.SIGTERM) == ["1 processes go on"]


def test_tracebacks_and_missing_sentences_are_noticed() -> None:
    trace = 'Traceback (most recent call last):\n  File "/x/diffcodec/a.py"\nValueError: a\n'
    assert len(of_end(Ended(1, trace, 1.0, 0), signal.SIGTERM)) == 3
    assert of_end(Ended(143, "", 1.0, 0), signal.SIGTERM) == ["0 sentences that say why"]
    assert not of_end(Ended(143, "diffcodec: Terminated\n", 1.0, 0), signal.SIGTERM)
    assert not of_end(Ended(-9, trace, 1.0, 0), signal.SIGKILL)
    early = 'Traceback (most recent call last):\n  File "/python/enum.py"\nKeyboardInterrupt\n'
    assert not of_end(Ended(1, early, 1.0, 0), signal.SIGINT)


def test_a_result_that_changes_is_noticed() -> None:
    one = Case("x", (), ("a.jsonl", "a.json"), grows=("a.jsonl",))
    right = {"a.jsonl": ['{"key": 1}'], "a.json": {"bpd": 2}}
    good = {"a.jsonl": b'{"key": 1, "seconds": 3}\n', "a.json": b'{"bpd": 2, "seconds": 5}'}
    done = Ended(0, "", 1.0, 0)
    assert not of_result(one, right, done, good)
    assert of_result(one, right, done, {**good, "a.json": b'{"bpd": 3}'})
    assert of_result(one, right, done, {**good, ".a.json~0.part": b""})
    assert of_result(one, right, replace(done, code=1), good)
    assert not of_files(one, right, {}, {"a.jsonl": b'{"key": 1}\n{"ke'})
    assert of_files(one, right, {}, {"a.json": b'{"ke'}) == ["a.json is not whole"]
    assert not of_result(one, right, done, {**good, "a.jsonl": b'{"ke\n{"key": 1}\n'})
    assert of_result(one, right, done, {**good, "a.jsonl": b'{"ke\n'})
    assert of_files(one, right, {"a.json": b"{}older"}, {}) == ["the older a.json is gone"]
    assert strangers(one, {**good, "tmp/x": b""}) == ["tmp/x"]


def test_strikes_are_drawn_from_the_seed() -> None:
    known = Known({}, {}, 2.0, 5)
    drawn = list(strikes(known, 90, np.random.default_rng(0)))
    assert drawn == list(strikes(known, 90, np.random.default_rng(0)))
    assert {strike.number for strike in drawn} == set(kills.SIGNALS)
    assert {strike.event for strike in drawn} == {None, 1, 2, 3, 4, 5}
    assert max(strike.after for strike in drawn) > 1.9


def test_every_command_is_a_case(scene: Scene) -> None:
    words = {one.words[0] for one in cases_of(scene)}
    assert words >= {"encode", "decode", "archive", "extract", "eval", "nll", "train"}
    assert OUT in str(case(scene, "encode").words)
