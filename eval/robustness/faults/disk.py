"""A disk that is full: a command may write so many bytes there and no more.

Where this process may mount, the disk is a small file system with so many free pages; and
everywhere files are limited in their size, which fails at any byte.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.eval.robustness.faults.calls import call
from diffcodec.eval.robustness.faults.cases import OUT, Case
from diffcodec.eval.robustness.faults.judge import (
    KEPT,
    OLDER,
    Files,
    files_in,
    of_files,
    of_result,
    of_sentence,
    strangers,
)
from diffcodec.eval.robustness.faults.kills import Known, room

PAGE = resource.getpagesize()
SPARE = 64 * PAGE  # that a small disk has when the command is to go on


def most(size: int) -> Callable[[], None]:
    """Makes every file that a new process writes end at so many bytes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return limit


@contextmanager
def small(folder: Path, size: int) -> Iterator[None]:
    """A file system of its own in a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(base: Path) -> bool:
    """Whether this process may."""
    folder = room(base)
    try:
        with small(folder / OUT, PAGE):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def limited(case: Case, known: Known, base: Path, size: int, over: bool) -> list[str]:
    """What is found after a call whose files may have so many bytes, and after the next one."""
    folder = room(base)
    before = _older(case, known, folder) if over else {}
    ended = call(case, case.first, folder, limits=most(size))
    return _judge(case, known, folder, before, ended)


def filled(case: Case, known: Known, base: Path, pages: int, over: bool) -> list[str]:
    """The same on a disk with so many free pages, which the next call finds larger."""
    folder = room(base)
    need = sum(-(-len(data) // PAGE) + 1 for data in known.files.values())
    with small(folder / OUT, 2 * need * PAGE + SPARE):
        before = _older(case, known, folder) if over else {}
        space = os.statvfs(folder / OUT)
        ballast = folder / OUT / "ballast"
        ballast.write_bytes(bytes(max(0, space.f_bavail - pages) * PAGE))
        ended = call(case, case.first, folder)
        ballast.unlink()
        return _judge(case, known, folder, before, ended)


def _older(case: Case, known: Known, folder: Path) -> Files:
    for name in case.makes:
        if name not in case.grows:
            (folder / OUT / name).write_bytes(known.files[name] + OLDER)
    return files_in(folder)


def _judge(case: Case, known: Known, folder: Path, before: Files, ended: Any) -> list[str]:
    after = files_in(folder)
    found = of_files(case, known.right, before, after)
    if ended.code:
        found += of_sentence(ended) + ([f"exit code {ended.code}"] if ended.code != 1 else [])
        if KEPT not in ended.said:
            found += [f"{name} is left" for name in strangers(case, after)]
    again = call(case, case.first if before else case.again, folder)
    return found + of_result(case, known.right, again, files_in(folder))


def fill(
    case: Case, known: Known, base: Path, count: int, seed: int, processes: int
) -> dict[str, Any]:
    """So many sizes of either kind, from none to what the result takes; the row of a result."""
    rng = np.random.default_rng(seed)
    largest = max(len(data) for data in known.files.values())
    jobs: list[tuple[str, int, bool, Callable[[], list[str]]]] = []
    for i in range(count):
        over = case.over and i % 2 == 1
        size = int(rng.integers(0, largest)) if i > 1 else 0
        jobs.append(("bytes", size, over, partial(limited, case, known, base, size, over)))
        if can_mount(base):
            pages = int(rng.integers(0, -(-largest // PAGE)))
            jobs.append(("pages", pages, over, partial(filled, case, known, base, pages, over)))
    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(lambda job: job[3](), jobs))
    return {
        "command": case.name,
        **{f"by_{way}": sum(job[0] == way for job in jobs) for way in ("bytes", "pages")},
        "findings": [
            {way: size, "over": over, "found": line}
            for (way, size, over, _), lines in zip(jobs, found, strict=True)
            for line in lines
        ],
    }
