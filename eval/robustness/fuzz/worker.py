"""A process that gives inputs to a target, one after the other, and dies of none but the last.

What it does stands in shared memory, so that whoever watches it knows the input that it hangs on,
and what became of all before, when it dies.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from diffcodec.eval.robustness.fuzz.memory import Memory
from diffcodec.eval.robustness.fuzz.registry import target_of
from diffcodec.eval.robustness.fuzz.target import Target

ROOM = 3 << 30  # bytes of addresses that a process may take further, for the machine's sake
SANITIZED = 1 << 40  # bytes of addresses that only a program under AddressSanitizer has
LONGEST = 1 << 20  # bytes of an input that are kept when it fells its process
ENOUGH = 70  # exit code of a process whose memory is no measure for further inputs
HOME = "diffcodec/"


class Tally(ctypes.Structure):
    """number: of the input at hand, since `began` (time.monotonic); its bytes are the first `size`
    of `data`. The others are about inputs that are done: how many were accepted and refused, CPU
    seconds and number of the slowest, bytes of memory that one of them took at most, and bytes that
    all of them left behind.
    """

    _fields_ = [
        ("number", ctypes.c_uint64),
        ("began", ctypes.c_double),
        ("size", ctypes.c_uint64),
        ("data", ctypes.c_char * LONGEST),
        ("accepted", ctypes.c_uint64),
        ("refused", ctypes.c_uint64),
        ("slowest", ctypes.c_double),
        ("slowest_number", ctypes.c_uint64),
        ("memory", ctypes.c_uint64),
        ("kept", ctypes.c_uint64),
    ]

    def show(self, data: bytes) -> None:
        """The input at hand; of one that is very long the beginning."""
        self.size = min(len(data), LONGEST)
        ctypes.memmove(ctypes.addressof(self) + Tally.data.offset, data, self.size)

    @property
    def shown(self) -> bytes:
        """The input at hand."""
        return ctypes.string_at(ctypes.addressof(self) + Tally.data.offset, self.size)


@dataclass(frozen=True)
class Piece:
    """Inputs start .. stop - 1 of a target in a run with a seed."""

    target: str
    seed: int
    start: int
    stop: int


@dataclass(frozen=True)
class Found:
    """What an input did that no input may do. kind: "error", "memory", "hang" or "crash"; where: in
    the program, in a line, the same for the same fault; report: for people; data: the input."""

    target: str
    number: int
    kind: str
    where: str
    report: str
    data: bytes


def work(piece: Piece, tally: Any, findings: Connection, log: Path) -> None:
    """Do a piece; log: a file for what is left to say when it dies."""
    with log.open("w") as file:
        faulthandler.enable(file)
        os.dup2(file.fileno(), sys.stderr.fileno())  # for what libraries in C complain of
        _guard()
        target = target_of(piece.target)
        seeds = target.seeds()
        for data in seeds:
            with suppress(Exception):
                target.verdict(data)
        memory = Memory()
        for number in range(piece.start, piece.stop):
            tally.number, tally.size, tally.began = number, 0, time.monotonic()
            data = target.input(seeds, piece.seed, number)
            tally.show(data)
            memory.mark()
            found = attempt(target, data, number, tally)
            taken, tally.kept = memory.taken, memory.kept
            tally.memory = max(tally.memory, taken)
            if found is None and max(taken, tally.kept) > target.memory:
                grown = f"{taken >> 20} MiB taken, {tally.kept >> 20} MiB kept"
                found = Found(target.name, number, "memory", "memory", grown, data)
            if found is not None:
                findings.send(found)
                if found.kind == "memory":
                    tally.number = number + 1
                    sys.exit(ENOUGH)
        tally.number = piece.stop


def attempt(target: Target, data: bytes, number: int, tally: Tally) -> Found | None:
    """Give a target one input, and count it."""
    before, found, verdict = time.process_time(), None, ""
    try:
        verdict = target.verdict(data)
    except Exception as error:
        kind = "memory" if isinstance(error, MemoryError) else "error"
        report = "".join(traceback.format_exception(error))
        found = Found(target.name, number, kind, where(error), report, data)
    spent = time.process_time() - before
    tally.accepted += verdict == "accepted"
    tally.refused += verdict == "refused"
    if spent > tally.slowest:
        tally.slowest, tally.slowest_number = spent, number
    return found


def where(error: BaseException) -> str:
    """The kind of an error, and the last line of the program itself that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    last = [frame for frame in ours if "/robustness/" not in frame.filename][-1:] or ours[-1:]
    place = "".join(f"{in_package(f.filename)}:{f.lineno} ({f.name})" for f in last)
    return f"{type(error).__name__} at {place}"


def in_package(path: str) -> str:
    """The end of a path that does not depend on where the program lies."""
    return path[path.rfind(HOME) :] if HOME in path else Path(path).name


def _guard() -> None:
    """No input takes the memory of the whole machine."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if size < SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, resource.RLIM_INFINITY))
