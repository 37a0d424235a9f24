"""Fuzzing: a million inputs, each of which may succeed or be refused, and nothing else.

    python -m diffcodec.eval.robustness.fuzz --inputs 1000000 --seed 0 -j 2 --json fuzz.json

Input number n of a target depends on seed and n alone. An input that raises what no input may,
takes more memory than its target allows, hangs, or kills its process is a finding: its bytes and
what happened are put into a folder. `python -m diffcodec.eval.robustness.fuzz.again FILE` gives one
to its target once more.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.fuzz.registry import TARGETS, shares, target_of
from diffcodec.eval.robustness.fuzz.runner import Outcome, pieces, run
from diffcodec.eval.robustness.fuzz.worker import Found
from diffcodec.files import write_atomic

KEPT = 3  # inputs of one fault


def row(name: str, outcome: Outcome) -> dict[str, Any]:
    """What a result says of a target."""
    return {
        "target": name,
        "about": target_of(name).about,
        "inputs": outcome.inputs,
        "accepted": outcome.accepted,
        "refused": outcome.refused,
        "findings": len(outcome.findings),
        "slowest_cpu_seconds": round(outcome.slowest, 4),
        "slowest_input": outcome.slowest_number,
        "memory_bytes": outcome.memory,
        "kept_bytes": outcome.kept,
        "inputs_per_second": round(outcome.inputs / max(outcome.seconds, 1e-9), 1),
    }


def faults(outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """Findings by their places, with the numbers of some inputs of each."""
    places = defaultdict[tuple[str, str, str], list[int]](list)
    for outcome in outcomes.values():
        for found in outcome.findings:
            places[found.target, found.kind, found.where].append(found.number)
    return [
        {
            "target": target,
            "kind": kind,
            "where": where,
            "inputs": len(numbers),
            "first": sorted(numbers)[:KEPT],
        }
        for (target, kind, where), numbers in sorted(places.items())
    ]


def keep(folder: Path, findings: list[Found]) -> None:
    """Some inputs of each fault as files, TARGET-NUMBER.bin, and beside them what they did."""
    kept = Counter[str]()
    for found in sorted(findings, key=lambda found: found.number):
        kept[found.where] += 1
        if kept[found.where] <= KEPT:
            folder.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W", "-", found.target) + f"-{found.number}"
            write_atomic(folder / f"{name}.bin", found.data)
            write_atomic(folder / f"{name}.txt", found.report.encode("utf-8", "replace"))


def to_text(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    """For people."""
    from tabulate import tabulate

    keys = ("target", "inputs", "accepted", "refused", "findings", "slowest_cpu_seconds")
    lines = [
        [
            *(one[key] for key in keys),
            one["memory_bytes"] / 2**20,
            one["kept_bytes"] / 2**20,
            one["inputs_per_second"],
        ]
        for one in rows
    ]
    total = [sum(one[key] for one in rows) for key in keys[1:5]]
    lines.append(["all", *total, max(one["slowest_cpu_seconds"] for one in rows), "", "", ""])
    head = ["target", "inputs", "accepted", "refused", "findings", "slowest s", "MiB", "kept"]
    formats = ("", "", "", "", "", ".2f", ".0f", ".0f", ",.0f")
    table = tabulate(lines, [*head, "a second"], intfmt=",", floatfmt=formats)
    return "\n".join([table, *(f"{f['target']}: {f['where']} ({f['inputs']:,})" for f in found)])


@options.measurement
@click.option("--inputs", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--target",
    "names",
    multiple=True,
    type=click.Choice(list(TARGETS)),
    help="Only this one; may be given several times.",
)
@options.processes_option
@click.option(
    "--findings",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("findings"),
    show_default=True,
    help="Where inputs are kept that do what they may not.",
)
@options.json_option
def main(
    inputs: int,
    seed: int,
    names: tuple[str, ...],
    processes: int,
    folder: Path,
    json_path: Path | None,
) -> None:
    """Give made-up inputs to every parser and decoder."""
    chosen = shares(inputs, [TARGETS[name] for name in names or TARGETS])
    began = time.monotonic()
    with progress_bar("fuzzing") as progress:
        outcomes = run(pieces(chosen, seed), processes, progress)
    rows, found = [row(name, outcomes[name]) for name in chosen], faults(outcomes)
    keep(folder, [finding for outcome in outcomes.values() for finding in outcome.findings])
    result = {
        "fuzzing": rows,
        "findings": found,
        "inputs": sum(one["inputs"] for one in rows),
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        **provenance("diffcodec.eval.robustness.fuzz", threads=1, processes=processes),
    }
    write_result(json_path, result)
    click.echo(to_text(rows, found))
    if found:
        raise click.ClickException(f"inputs do what they may not; see {folder}")


if __name__ == "__main__":
    main()
