"""A command is struck by a signal at many moments, and each time gone on with."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.eval.robustness.faults.calls import Ended, Strike, call
from diffcodec.eval.robustness.faults.cases import OUT, Case
from diffcodec.eval.robustness.faults.judge import (
    KEPT,
    OLDER,
    Files,
    before_all,
    files_in,
    meaning,
    of_end,
    of_files,
    of_result,
    strangers,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OUTCOMES = ("Python starts", "nothing yet", "some of it", "done")
LATE = 0.8  # share of a call's time after which it writes, most likely
LONGER = 1.05  # times its time: some signals come too late
SOON = 0.02  # seconds after a touch of a file within which a signal comes


@dataclass(frozen=True)
class Known:
    """An undisturbed call: its files, what they mean, seconds, and how often it touched files."""

    files: Files
    right: Mapping[str, Any]
    seconds: float
    touches: int


@dataclass(frozen=True)
class Moment:
    """One strike: how the call ended and what was found; over: older results lay there."""

    strike: Strike
    over: bool
    outcome: str
    findings: tuple[str, ...]


def room(base: Path) -> Path:
    """A new folder for a call."""
    folder = Path(tempfile.mkdtemp(dir=base))
    for name in (OUT, "tmp"):
        (folder / name).mkdir()
    return folder


def know(case: Case, base: Path) -> Known:
    """Run a case twice in peace: raises RuntimeError where that does not work."""
    counted = room(base)
    settings = {"count": str(counted / "count")}
    ends = [call(case, case.first, counted, settings=settings)]
    folder = room(base)
    ends.append(call(case, case.first, folder))
    files = files_in(folder)
    if any(ended.code for ended in ends) or sorted(files) != sorted(case.makes):
        raise RuntimeError(f"{case.name}, undisturbed: {sorted(files)} {ends[-1].said}")
    right = {name: meaning(name, data) for name, data in files.items()}
    count = counted / "count"
    touches = count.stat().st_size if count.exists() else 0
    return Known(files, right, ends[-1].seconds, touches)


def strikes(known: Known, count: int, rng: np.random.Generator) -> Iterator[Strike]:
    """Signals in turn, each at any time, late, or as a file is touched."""
    for i in range(count):
        number, way = SIGNALS[i % 3], i // 3 % 3
        if way == 2 and known.touches:
            after = 0.0 if i // 9 % 2 else float(rng.uniform(0, SOON))
            yield Strike(number, after, int(rng.integers(1, known.touches + 1)))
        else:
            earliest = LATE if way else 0.0
            yield Strike(number, known.seconds * float(rng.uniform(earliest, LONGER)))


def moment(case: Case, known: Known, base: Path, strike: Strike, over: bool) -> Moment:
    """Strike a call, look at what it left, and go on with it."""
    folder = room(base)
    if over:
        for name in case.makes:
            if name not in case.grows:
                (folder / OUT / name).write_bytes(known.files[name] + OLDER)
    before = files_in(folder)
    ended = call(case, case.first, folder, strike)
    after = files_in(folder)
    findings = [*of_end(ended, strike.number), *of_files(case, known.right, before, after)]
    left = strangers(case, after)
    if strike.number != signal.SIGKILL and ended.code != -strike.number and KEPT not in ended.said:
        findings += [f"{name} is left" for name in left]
    again = call(case, case.first if over else case.again, folder)
    findings += of_result(case, known.right, again, files_in(folder))
    return Moment(strike, over, _outcome(ended, after, before), tuple(findings))


def _outcome(ended: Ended, after: Files, before: Files) -> str:
    if ended.code == 0:
        return "done"
    if before_all(ended):
        return "Python starts"
    return "nothing yet" if after == before else "some of it"


def kill(
    case: Case, known: Known, base: Path, count: int, seed: int, processes: int
) -> list[Moment]:
    """So many moments of a case, several calls at a time."""
    rng = np.random.default_rng(seed)
    todo = [(s, case.over and i % 2 == 1) for i, s in enumerate(strikes(known, count, rng))]
    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(lambda job: partial(moment, case, known, base)(*job), todo))


def row(case: Case, moments: list[Moment], began: float) -> dict[str, Any]:
    """The row of a result: by signal."""
    signals = {}
    for number in SIGNALS:
        mine = [m for m in moments if m.strike.number == number]
        signals[number.name] = {
            "moments": len(mine),
            **{o: sum(m.outcome == o for m in mine) for o in OUTCOMES},
            "findings": [
                {"after": m.strike.after, "event": m.strike.event, "over": m.over, "found": f}
                for m in mine
                for f in m.findings
            ],
        }
    return {"command": case.name, "signals": signals, "seconds": time.monotonic() - began}
