"""Two calls of one command on one result, the second one begins at any time of the first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.eval.robustness.faults.calls import Ended, end, start
from diffcodec.eval.robustness.faults.cases import Case
from diffcodec.eval.robustness.faults.judge import files_in, of_result, of_trace
from diffcodec.eval.robustness.faults.kills import Known, room

AWAY = 0.5  # share of a call's time after which the second one begins, at most


def pair(case: Case, known: Known, base: Path, wait: float) -> tuple[int, list[str]]:
    """How many of the two refused, and what was found."""
    folder = room(base)
    began = time.monotonic()
    one = start(case, case.first, folder)
    time.sleep(wait)
    other = start(case, case.first, folder)
    ends = [end(process, began) for process in (one, other)]
    found = [line for ended in ends for line in _of_one(ended)]
    refused = sum(ended.code != 0 for ended in ends)
    if refused == 2:
        found.append("none of the two made the result")
    return refused, found + of_result(case, known.right, _done(ends), files_in(folder))


def _of_one(ended: Ended) -> list[str]:
    found = of_trace(ended)
    if ended.code not in (0, 1):
        found.append(f"exit code {ended.code}")
    return found


def _done(ends: list[Ended]) -> Ended:
    """The one that did its work, if there is one."""
    return min(ends, key=lambda ended: ended.code != 0)


def meet(case: Case, known: Known, base: Path, count: int, seed: int) -> dict[str, Any]:
    """So many pairs; the row of a result."""
    rng = np.random.default_rng(seed)
    waits = [AWAY * known.seconds * float(rng.uniform()) * (i > 0) for i in range(count)]
    found = [pair(case, known, base, wait) for wait in waits]
    return {
        "command": case.name,
        "pairs": count,
        "refused": sum(refused for refused, _ in found),
        "findings": [
            {"wait": wait, "found": line}
            for wait, (_, lines) in zip(waits, found, strict=True)
            for line in lines
        ],
    }
