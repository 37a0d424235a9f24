"""Runs inputs by the million: processes that are watched, and replaced where an input fells one."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from tempfile import TemporaryDirectory

from diffcodec.bitstream.types import Progress
from diffcodec.eval.robustness.fuzz.worker import ENOUGH, Found, Piece, Tally, in_package, work

SECONDS = 60.0  # that an input may take; the targets allow their decoders a sixth
PATIENCE = 2.0  # seconds from SIGABRT, which makes a process say where it is, to SIGKILL
PARTS = 2  # of a target's inputs
FELLED = 20  # processes that a piece may take
LINE = re.compile(r'File "([^"]+)", line (\d+) in (\w+)')
CONTEXT = multiprocessing.get_context("spawn")


@dataclass
class Outcome:
    """What became of a target's inputs: as in Tally, all processes together; seconds: that these
    took, one after the other."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_number: int = 0
    memory: int = 0
    kept: int = 0
    seconds: float = 0.0
    findings: list[Found] = field(default_factory=list)

    def add(self, tally: Tally, start: int, seconds: float) -> None:
        """What a process did from an input on."""
        self.inputs += tally.number - start
        self.accepted += tally.accepted
        self.refused += tally.refused
        self.memory, self.kept = max(self.memory, tally.memory), max(self.kept, tally.kept)
        self.seconds += seconds
        if tally.slowest > self.slowest:
            self.slowest, self.slowest_number = tally.slowest, tally.slowest_number


def pieces(shares: dict[str, int], seed: int) -> list[Piece]:
    """The inputs of each target in parts, so that all targets come in turn."""
    found = []
    for part in range(PARTS):
        for name, inputs in shares.items():
            start, stop = inputs * part // PARTS, inputs * (part + 1) // PARTS
            if start < stop:
                found.append(Piece(name, seed, start, stop))
    return found


def run(
    todo: Sequence[Piece],
    processes: int,
    progress: Progress | None = None,
    seconds: float = SECONDS,
) -> dict[str, Outcome]:
    """The outcome of every target; seconds: that an input may take."""
    total, waiting = sum(piece.stop - piece.start for piece in todo), list(todo)
    outcomes, running = defaultdict[str, Outcome](Outcome), list[_Running]()
    with TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < processes:
                running.append(_Running(waiting.pop(0), Path(folder)))
            time.sleep(0.02)
            for one in list(running):
                outcome = outcomes[one.piece.target]
                outcome.findings += one.news()
                if one.process.is_alive() and not one.hangs(seconds):
                    continue
                running.remove(one)
                rest = one.end(outcome)
                if rest is not None:
                    running.append(_Running(rest, Path(folder), one.felled + 1))
            if progress:
                done = sum(outcome.inputs for outcome in outcomes.values())
                done += sum(one.tally.number - one.piece.start for one in running)
                progress(done, total)
    return dict(outcomes)


class _Running:
    """A process at work on a piece; felled: how many have died of it."""

    def __init__(self, piece: Piece, folder: Path, felled: int = 0) -> None:
        self.piece, self.felled, self.began = piece, felled, time.monotonic()
        self.log = folder / f"{piece.target}-{piece.start}"
        self.tally: Tally = RawValue(Tally)
        self.tally.number = piece.start
        self.findings: Connection
        self.findings, sender = CONTEXT.Pipe(duplex=False)
        self.process: SpawnProcess = CONTEXT.Process(
            target=work, args=(piece, self.tally, sender, self.log), daemon=True
        )
        self.process.start()
        sender.close()

    def hangs(self, seconds: float) -> bool:
        """Whether its input takes too long."""
        return bool(0 < self.tally.began < time.monotonic() - seconds)

    def news(self) -> Iterator[Found]:
        """What it found since."""
        try:
            while self.findings.poll():
                yield self.findings.recv()
        except EOFError:
            return

    def end(self, outcome: Outcome) -> Piece | None:
        """Count what it did, which is done, dead, or killed now; what is left of its piece.

        Raises RuntimeError if it did not get to its first input.
        """
        hung = self.process.is_alive()
        if hung:
            self._kill()
        self.process.join()
        outcome.findings += self.news()
        if self.tally.began == 0 and self.piece.start < self.piece.stop:
            raise RuntimeError(f"{self.piece.target} does not begin: {self.log.read_text()}")
        if self.tally.number < self.piece.stop and self.process.exitcode != ENOUGH:
            outcome.findings.append(self._death("hang" if hung else "crash"))
            self.tally.number += 1
        outcome.add(self.tally, self.piece.start, time.monotonic() - self.began)
        number, stop = self.tally.number, self.piece.stop
        if number >= stop or self.felled >= FELLED:
            return None
        return Piece(self.piece.target, self.piece.seed, number, stop)

    def _kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGABRT)
        self.process.join(PATIENCE)
        self.process.kill()

    def _death(self, kind: str) -> Found:
        """What the input at hand did."""
        said = self.log.read_text(errors="replace")
        report = f"{kind}, exit code {self.process.exitcode}\n{said}"
        where = f"{kind} at {_place(said)}"
        number, data = self.tally.number, self.tally.shown
        return Found(self.piece.target, number, kind, where, report, data)


def _place(said: str) -> str:
    """The innermost line of the program in what faulthandler wrote."""
    for path, line, name in LINE.findall(said):
        if "/robustness/" not in path and "diffcodec" in in_package(path):
            return f"{in_package(path)}:{line} ({name})"
    return "an unknown place"
