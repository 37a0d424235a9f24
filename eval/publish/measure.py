"""Measuring anew: what is stale, the most important first, and as a run resumes.

Each command runs in a folder of its own below runs/publish. The folder's name stands for all that
the result is made with, so that records of an interrupted run serve only the same code, network
and command. A result replaces the old one when its command has succeeded.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from diffcodec.eval.publish.measurements import MEASUREMENTS, Measurement
from diffcodec.eval.publish.state import Place, Record, load, measured, present, save, stale
from diffcodec.files import write_atomic

Say = Callable[[str], None]


class MeasuringError(ValueError):
    """A command that failed, or did not write what it should."""


def due(place: Place, chosen: Sequence[Measurement] = MEASUREMENTS) -> list[Measurement]:
    """Those that are stale, or will be when what they read is measured; plots apart."""
    state, found, changing = load(place), list[Measurement](), set[str]()
    for one in chosen:
        reads = {Path(word).name for word in one.inputs} & changing
        if not one.is_plot and (reads or stale(one, state.get(one.name), place)):
            found.append(one)
            changing |= set(one.files)
    return found


def minutes(one: Measurement, place: Place) -> float:
    """How long it takes: as the last run took, if there is a record of it."""
    record = load(place).get(one.name)
    return one.minutes if record is None or record.minutes is None else record.minutes


def lacking(one: Measurement, place: Place) -> str | None:
    """What keeps it from being measured here, as what follows its name; None: nothing."""
    if one.by_hand:
        return f"is made by hand: run {one.command}, then {one.by_hand}"
    for word in one.inputs:
        path = place.path(word)
        if path is None:
            return f"needs {word}; name the folder of the data sets with --data"
        if not path.exists():
            return f"needs {word}, and {path} does not exist"
    for tool in one.tools:
        if shutil.which(tool) is None:
            return f"needs the program {tool}; install it (Debian: libjxl-tools)"
    return None


def measure_all(chosen: Sequence[Measurement], place: Place, say: Say) -> list[str]:
    """Measure them in order, recording each; the names of those that failed."""
    failed = []
    for number, one in enumerate(chosen, start=1):
        about, state = f"[{number}/{len(chosen)}] {one.name}", load(place)
        if not stale(one, state.get(one.name), place):  # what it reads was not measured after all
            say(f"{about}: still fresh")
            continue
        say(f"{about}: about {duration(minutes(one, place))}")
        began, made_with = time.monotonic(), present(one, place)
        try:
            run(one, place, made_with)
        except MeasuringError as error:
            say(str(error))
            failed.append(one.name)
            continue
        took = (time.monotonic() - began) / 60
        record = measured(one, place, made_with, took)
        save(place, {**load(place), one.name: record})  # others may measure at the same time
        rest = sum(minutes(other, place) for other in chosen[number:])
        say(f"{about}: took {duration(took)}, {duration(rest)} left")
    return failed


def draw(plot: Measurement, place: Place) -> None:
    """Draw a plot anew, fresh or not: no probe watches its code, and it takes a second."""
    run(plot, place, made_with := present(plot, place))
    state = load(place)
    if stale(plot, state.get(plot.name), place):
        save(place, {**state, plot.name: measured(plot, place, made_with, 0.0)})


def run(one: Measurement, place: Place, made_with: Record) -> None:
    """Put what the command makes in place; raises MeasuringError, and the old results stay."""
    folder = workplace(one, place, made_with)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / one.name if one.prints else os.devnull, "wb") as printed:
        done = subprocess.run(argv(one, place), cwd=folder, stdout=printed)
    if done.returncode:
        raise MeasuringError(
            f"{one.name}: its command ended with exit code {done.returncode}; what it said is "
            f"above, and what it wrote in {folder.relative_to(place.root)}"
        )
    made = {name: folder / (one.writes or name) for name in one.files}
    for path in made.values():
        if not path.is_file() or not path.stat().st_size:
            raise MeasuringError(f"{one.name}: not written by its command, {one.command}")
    for name, path in made.items():
        write_atomic(place.results / name, path.read_bytes())
    shutil.rmtree(folder)


def workplace(one: Measurement, place: Place, made_with: Record) -> Path:
    """The folder that a measurement runs in."""
    about = {**asdict(made_with), "files": None}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
    return place.root / "runs" / "publish" / f"{Path(one.name).stem}-{key}"


def argv(one: Measurement, place: Place) -> list[str]:
    """The command's words for this machine."""
    program, *words = (str(place.path(word)) if "/" in word else word for word in one.words)
    return [sys.executable, *(("-m", program) if program == "diffcodec" else ()), *words]


def duration(minutes: float) -> str:
    """For people."""
    hours, rest = divmod(math.ceil(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
