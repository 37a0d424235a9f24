"""Commands side by side and many calls in one process: short runs, and leaks to be noticed."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec.eval.robustness.load import commands, side_by_side
from diffcodec.eval.robustness.load.__main__ import findings, to_text
from diffcodec.eval.robustness.load.commands import Job, same_bytes, same_images, same_pixels
from diffcodec.eval.robustness.load.one_process import Held, repeated, survey
from diffcodec.eval.robustness.load.side_by_side import Run, of_command
from diffcodec.image import save
from tests.synthetic import synthetic_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_many_calls_in_one_process_leak_nothing() -> None:
    rows = survey(40)
    assert [row["count"] for row in rows] == [40, 4, 4, 4]
    assert all(row["after"]["files"] <= row["before"]["files"] for row in rows)
    assert all(row["after"]["threads"] <= row["before"]["threads"] + 2 for row in rows)


def leaking(keep: Callable[[], object]) -> Iterator[Callable[[], object]]:
    """Calls that keep something each time."""
    kept: list[object] = []
    return repeat(lambda: kept.append(keep()))


def mapped() -> object:
    """A mebibyte that is not there yet, whatever this process has freed."""
    room = mmap.mmap(-1, 1 << 20)
    room.write(b"x" * len(room))
    return room


@pytest.mark.parametrize("keep", [lambda: os.dup(1), mapped, lambda: [[], []]])
def test_a_leak_is_noticed(keep: Callable[[], object]) -> None:
    assert repeated("bad", 60, leaking(keep))["leaks"]
    assert not repeated("good", 60, repeat(lambda: None))["leaks"]
    assert Held.now().threads >= 1


def test_commands_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, of what is quickest."""
    monkeypatch.setattr(commands, "variants", lambda images: [images[0][:9, :9]])
    monkeypatch.setattr(commands, "ARCHIVED", 1)
    monkeypatch.setattr(commands, "SMALL", 16)
    images = [synthetic_image(40, 40, 3, seed=1)]
    found = side_by_side.side_by_side(tmp_path, images, minutes=0.001, each=1, progress=None)
    assert found["runs"] >= 2 and not found["faults"] and not found["left"]
    result = {"together": found, "one_process": []}
    assert not list(findings(result)) and "nothing was found" in to_text(result)


def test_a_command_that_fails_or_errs_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    missing = Job("bad", ("decode", "missing.dfc"), ".png", lambda _: True)
    run = side_by_side.run(missing, tmp_path, 0, 0.0)
    assert "missing.dfc" in str(run.fault) and 10 << 20 < run.memory < 1 << 30
    save(synthetic_image(8, 8, 3, seed=0), tmp_path / "images/a.png")
    known = synthetic_image(8, 8, 3, seed=1)
    assert not same_pixels(known)(tmp_path / "images/a.png")
    assert not same_bytes(b"other")(tmp_path / "images/a.png")
    assert not same_images({"a.png": known})(tmp_path / "images")
    save(known, tmp_path / "images/a.png")
    assert same_images({"a.png": known})(tmp_path / "images")


def test_memory_that_grows_is_noticed() -> None:
    runs = [Run("x", float(i), 1.0, 1000, None) for i in range(9)]
    assert not of_command(runs)["grows"]
    grown = [replace(run, memory=1000 + 100 * i) for i, run in enumerate(runs)]
    row = of_command(grown)
    assert row["grows"] and row["memory_last"] == 1700
    together: dict[str, Any] = {"faults": ["x: no"], "left": ["a.part"], "commands": [row]}
    leak = {"calls": "decode", "leaks": True}
    assert len(list(findings({"together": together, "one_process": [leak]}))) == 4


def test_variants_are_of_all_kinds() -> None:
    images = [synthetic_image(256, 200, 3, seed=i) for i in range(2)]
    shapes = {(pixels.shape, pixels.dtype.itemsize) for pixels in commands.variants(images)}
    assert {shape[2] for shape, _ in shapes} == {1, 3, 4} and {size for _, size in shapes} == {1, 2}
    assert np.array_equal(commands.crop(images[0], 400, 0), images[0])
