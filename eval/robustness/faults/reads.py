"""Reads that fail: inputs that are folders, empty, cut short, on a broken disk, or shrink.

What a command reads is replaced by something worse. It has to say so in one sentence, and to leave
no result; or, where a folder has other images, to go on with these.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffcodec.eval.robustness.faults.calls import Ended, call
from diffcodec.eval.robustness.faults.cases import Case
from diffcodec.eval.robustness.faults.judge import Files, files_in, of_files, of_trace, strangers
from diffcodec.eval.robustness.faults.kills import Known, room
from diffcodec.eval.robustness.faults.scene import Scene

BROKEN = "/proc/self/mem"  # a file whose first byte cannot be read: EIO


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _broken(path: Path) -> None:
    path.unlink()
    path.symlink_to(BROKEN)


def _gone(path: Path) -> None:
    path.unlink()


def _as_it_is(path: Path) -> None:
    """It shrinks later, when it is opened."""


WAYS: dict[str, Callable[[Path], None]] = {
    "folder": _folder,
    "empty": _empty,
    "cut": _cut,
    "EIO": _broken,
    "gone": _gone,
    "shrinks": _as_it_is,
}


def inputs(case: Case, scene: Scene) -> list[Path]:
    """The files that a case reads; of a folder one in the middle."""
    found = []
    for word in case.words:
        path = Path(word)
        if path.is_relative_to(scene.folder):
            found.append(path if path.is_file() else sorted(path.iterdir())[-1])
    return found


def spoilt(case: Case, known: Known, scene: Scene, base: Path, path: Path, way: str) -> list[str]:
    """What is found after a call that reads a spoilt file."""
    folder = room(base)
    mine = folder / "scene"
    shutil.copytree(scene.folder, mine)
    ours = mine / path.relative_to(scene.folder)
    WAYS[way](ours)
    words = [word.replace(str(scene.folder), str(mine)) for word in case.words]
    settings = {"shrink": str(ours)} if way == "shrinks" else {}
    spoilt_case = replace(case, words=tuple(words))
    ended = call(spoilt_case, case.first, folder, settings=settings)
    return _judge(case, known, ended, files_in(folder))


def _judge(case: Case, known: Known, ended: Ended, after: Files) -> list[str]:
    """What could be read has a result, which is the right one."""
    found = [f"exit code {ended.code}"] if ended.code not in (0, 1, 2) else []
    found += of_trace(ended)
    if ended.code and not any(line.startswith("diffcodec: ") for line in ended.lines):
        found.append("no sentence says why")
    if ended.code:
        found += of_files(case, known.right, {}, after)
    return found + [f"{name} is left" for name in strangers(case, after)]


def spoil(case: Case, known: Known, scene: Scene, base: Path, processes: int) -> dict[str, Any]:
    """Every input in every way; the row of a result."""
    jobs = [(path, way) for path in inputs(case, scene) for way in WAYS]
    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(lambda job: spoilt(case, known, scene, base, *job), jobs))
    return {
        "command": case.name,
        "reads": len(jobs),
        "findings": [
            {"input": path.name, "is": way, "found": line}
            for (path, way), lines in zip(jobs, found, strict=True)
            for line in lines
        ],
    }
