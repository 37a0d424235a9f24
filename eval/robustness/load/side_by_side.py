"""Encoders and decoders side by side, as commands: none fails, and their memory stays the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.eval.robustness.load import measured
from diffcodec.eval.robustness.load.commands import Job, make_jobs, take_away

GROWS = 1.1  # times the memory of the first third of its runs: then a command's memory grows
THIRDS = 6  # runs of a command from which on thirds of them are compared


@dataclass(frozen=True)
class Run:
    """One command: seconds since the start of all, and of its own; its peak of memory in bytes; why
    it was wrong, if it was.
    """

    name: str
    began: float
    seconds: float
    memory: int
    fault: str | None


def run(job: Job, folder: Path, number: int, since: float) -> Run:
    """Do a job once, look at the result, and take it away."""
    target = folder / f"out-{number}{job.suffix}"
    began = time.monotonic()
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    measure = folder / f"memory-{number}"
    command = [sys.executable, "-m", measured.__name__, str(measure), *job.words, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    fault = None
    if done.returncode:
        fault = f"exit code {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
    elif not job.right(target):
        fault = "the result is wrong"
    memory = int(measure.read_text(encoding="ascii")) if measure.exists() else 0
    take_away(measure)
    take_away(target)
    return Run(job.name, began - since, time.monotonic() - began, memory, fault)


def worker(jobs: Sequence[Job], first: int, folder: Path, until: float, since: float) -> list[Run]:
    """One job after the other, from the `first` on, until it is time."""
    runs = list[Run]()
    while time.monotonic() < until:
        number = first + len(runs)
        runs.append(run(jobs[number % len(jobs)], folder, (first << 32) + number, since))
    return runs


def side_by_side(
    folder: Path, images: Sequence[Pixels], minutes: float, each: int, progress: Progress | None
) -> dict[str, Any]:
    """So many encoders and as many decoders for so long: the result."""
    inputs, work = folder / "inputs", folder / "work"
    inputs.mkdir()
    (work / "tmp").mkdir(parents=True)
    encoders, decoders = make_jobs(inputs, images)
    began = time.monotonic()
    until = began + 60 * minutes
    with ThreadPoolExecutor(2 * each) as pool:
        futures = [
            pool.submit(worker, jobs, i, work, until, began)
            for i in range(each)
            for jobs in (encoders, decoders)
        ]
        while progress and (now := time.monotonic()) < until:
            progress(round(now - began), round(60 * minutes))
            time.sleep(min(until - now, 1))
        runs = [run for future in futures for run in future.result()]
    left = [path for path in work.rglob("*") if path.is_file()]
    return {
        "minutes": round((time.monotonic() - began) / 60, 2),
        "side_by_side": 2 * each,
        "runs": len(runs),
        "faults": [f"{run.name}: {run.fault}" for run in runs if run.fault],
        "left": [str(path.relative_to(work)) for path in left],
        "commands": [of_command([r for r in runs if r.name == n]) for n in names(runs)],
    }


def names(runs: Sequence[Run]) -> list[str]:
    """Of the commands, each once."""
    return sorted({run.name for run in runs})


def of_command(runs: Sequence[Run]) -> dict[str, Any]:
    """How many runs of a command, how long they took, and their memory at first and at last."""
    ordered = sorted(runs, key=lambda run: run.began)
    third = max(1, len(ordered) // 3)
    first, last = (mean(run.memory for run in part) for part in (ordered[:third], ordered[-third:]))
    return {
        "command": runs[0].name,
        "runs": len(runs),
        "seconds": round(mean(run.seconds for run in runs), 2),
        "memory_first": round(first),
        "memory_last": round(last),
        "memory_most": max(run.memory for run in runs),
        "grows": len(runs) >= THIRDS and last > GROWS * first,
    }
