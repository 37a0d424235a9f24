"""Faults: commands are killed at any moment, find the disk full, reads that fail, a second run.

After each, what was there before is whole, nothing half-written has the name of a result, what can
go on goes on to the same result, and no part of a file is left.

    python -m diffcodec.eval.robustness.faults --moments 100 --seed 0 --json faults.json
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.faults.cases import Case, cases_of
from diffcodec.eval.robustness.faults.disk import fill
from diffcodec.eval.robustness.faults.kills import kill, know, row
from diffcodec.eval.robustness.faults.pairs import meet
from diffcodec.eval.robustness.faults.reads import spoil
from diffcodec.eval.robustness.faults.scene import Scene, make_scene

PROGRAM = "diffcodec.eval.robustness.faults"
KINDS = ("kills", "disk", "reads", "pairs")


def survey(
    kinds: Sequence[str], names: Sequence[str], moments: int, seed: int, processes: int
) -> dict[str, list[dict[str, Any]]]:
    """By kind of fault, a row for each command; names: of commands, all if there are none."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name, progress_bar("commands") as progress:
        base, inputs = Path(name) / "runs", Path(name) / "scene"
        base.mkdir()
        inputs.mkdir()
        scene = make_scene(inputs)
        cases = [case for case in cases_of(scene) if not names or case.name in names]
        for done, case in enumerate(cases, start=1):
            for kind, one in rows_of(case, scene, base, kinds, moments, seed, processes):
                found[kind].append(one)
            if progress:
                progress(done, len(cases))
    return found


def rows_of(
    case: Case,
    scene: Scene,
    base: Path,
    kinds: Sequence[str],
    moments: int,
    seed: int,
    processes: int,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind of fault, what it did) to one command; sizes of the disk and pairs are fewer."""
    known, few = know(case, base), max(1, moments // 10)
    if "kills" in kinds:
        began = time.monotonic()
        yield "kills", row(case, kill(case, known, base, moments, seed, processes), began)
    if "disk" in kinds:
        yield "disk", fill(case, known, base, few, seed, processes)
    if "reads" in kinds:
        yield "reads", spoil(case, known, scene, base, processes)
    if "pairs" in kinds:
        yield "pairs", meet(case, known, base, few, seed)


def findings(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """All that was found, in sentences."""
    for kind, rows in found.items():
        for one in rows:
            signals = one.get("signals", {})
            listed = [
                *one.get("findings", ()),
                *(f for s in signals.values() for f in s["findings"]),
            ]
            for finding in listed:
                about = ", ".join(f"{k} {v}" for k, v in finding.items() if k != "found")
                yield f"{kind}, {one['command']} ({about}): {finding['found']}"


def to_text(found: dict[str, list[dict[str, Any]]]) -> str:
    """For people."""
    from tabulate import tabulate

    lines = []
    for one in found.get("kills", ()):
        for name, by in one["signals"].items():
            counts = [n for outcome, n in by.items() if outcome != "findings"]
            lines.append([one["command"], name, *counts, len(by["findings"])])
    head = ["command", "signal", "moments", "Python starts", "nothing yet", "some", "done", "found"]
    tables = [tabulate(lines, head)] if lines else []
    for kind in [kind for kind in found if kind != "kills"]:
        rows = [{**one, "findings": len(one["findings"])} for one in found[kind]]
        tables.append(f"{kind}\n{tabulate(rows, headers='keys')}")
    said = list(findings(found))
    return "\n\n".join([*tables, "\n".join(said) or "nothing was found"])


@options.measurement
@click.option(
    "--moments",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="That each command is killed at; a tenth as many full disks, and pairs.",
)
@click.option(
    "--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Of fault (default: all)."
)
@click.option("--command", "names", multiple=True, help="That is disturbed (default: all).")
@click.option("--seed", type=int, default=0, show_default=True)
@options.processes_option
@options.json_option
def main(
    moments: int,
    kinds: tuple[str, ...],
    names: tuple[str, ...],
    seed: int,
    processes: int,
    json_path: Path | None,
) -> None:
    """Disturb commands in every way: does anything break? Exit code 1 if so."""
    began = time.monotonic()
    found = survey(kinds or KINDS, names, moments, seed, processes)
    result = {
        **found,
        "moments": moments,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        **provenance(PROGRAM, threads=1, processes=processes),
    }
    write_result(json_path, result)
    click.echo(to_text(found))
    if any(findings(found)):
        raise click.ClickException("something breaks")


if __name__ == "__main__":
    main()
