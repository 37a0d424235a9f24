"""One call of a command: how it is started, how it is struck, how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diffcodec.eval.robustness.faults import struck
from diffcodec.eval.robustness.faults.cases import OUT, Case

LONGEST = 120.0  # seconds that a call may take
GRACE = 5.0  # seconds after its end in which its children end
LOOK = 0.01  # seconds between looks at them
STRUCK = ("-m", struck.__name__)
MANY = signal.SIGINT  # a terminal's Ctrl-C goes to the whole group of processes

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Strike:
    """A signal, so many seconds after the start; or, with an event, so many after the command
    touches its files for that many times (struck.py).
    """

    number: int
    after: float
    event: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a call ended: its exit code as Popen has it, what it said on stderr, seconds, and how
    many processes it left behind.
    """

    code: int
    said: str
    seconds: float
    orphans: int

    @property
    def lines(self) -> list[str]:
        """What it said, line by line."""
        return [line for line in self.said.splitlines() if line.strip()]


def start(
    case: Case,
    options: Sequence[str],
    folder: Path,
    strike: Strike | None = None,
    settings: Mapping[str, Any] | None = None,
    limits: Callable[[], None] | None = None,
) -> Process:
    """Start a call in a folder, which has OUT and tmp, as the leader of a group of its own.

    settings: more for struck.py; limits: called in the new process. A strike without an event is
    for the caller to do.
    """
    about = dict(settings or {})
    if case.patches:
        about["patches"] = dict(case.patches)
    if strike is not None and strike.event is not None:
        about |= {"event": strike.event, "number": strike.number, "after": strike.after}
    if about:
        about["folder"] = str(folder / OUT)
    home = {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp"), struck.NAME: json.dumps(about)}
    program = STRUCK if about else case.program
    return subprocess.Popen(
        [sys.executable, *program, *case.words, *options],
        cwd=folder,
        env={**os.environ, **home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # a file may be limited as well
        start_new_session=True,
        preexec_fn=partial(_begin, limits),
    )


def _begin(limits: Callable[[], None] | None) -> None:
    """In the new process: a shell's background ignores Ctrl-C, and its children do."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if limits is not None:
        limits()


def end(process: Process, began: float, strike: Strike | None = None) -> Ended:
    """Strike at its time, if that is due, and wait for the end."""
    if strike is not None and strike.event is None:
        try:
            process.wait(max(0.0, began + strike.after - time.monotonic()))
        except subprocess.TimeoutExpired:
            if strike.number == MANY:
                os.killpg(process.pid, strike.number)
            else:
                process.send_signal(strike.number)
    try:
        code = process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    seconds = time.monotonic() - began
    orphans = _orphans(process.pid)
    return Ended(code, _said(process), seconds, orphans)


def call(
    case: Case,
    options: Sequence[str],
    folder: Path,
    strike: Strike | None = None,
    settings: Mapping[str, Any] | None = None,
    limits: Callable[[], None] | None = None,
) -> Ended:
    """A whole call; see `start`."""
    began = time.monotonic()
    process = start(case, options, folder, strike, settings, limits)
    return end(process, began, strike)


def _said(process: Process) -> str:
    """What lies in the pipe, which others than the leader may hold open."""
    assert process.stderr is not None
    with process.stderr as pipe:
        os.set_blocking(pipe.fileno(), False)
        return (pipe.read() or b"").decode(errors="backslashreplace")


def _orphans(group: int) -> int:
    """Processes of a group that go on after its leader's end; they are ended then."""
    deadline = time.monotonic() + GRACE
    while members := _members(group):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
            break
        time.sleep(LOOK)
    return len(members)


def _members(group: int) -> list[int]:
    """Processes of a group that run; those that nobody waited for are no more."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            facts = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(facts[2]) == group and facts[0] not in "ZX":
            found.append(int(entry.name))
    return found
