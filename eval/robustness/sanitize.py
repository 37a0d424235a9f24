"""The kernels under sanitizers: their tests, the golden files and fuzzing, and what is found.

Kernels are built once more for every sanitizer, in copies of the checkout (build/sanitize). First
come errors on purpose, which each sanitizer has to notice.

    python -m diffcodec.eval.robustness.sanitize --inputs 20000 --json sanitize.json
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.planted import missed
from diffcodec.eval.robustness.sanitized_build import ROOT, BuildError, build, kernels
from diffcodec.eval.robustness.sanitizers import SANITIZERS, Sanitizer, findings

FOLDER = ROOT / "build" / "sanitize"
# Tests of kernels: of those with a form for each generation of processors; then of those that have
# an instruction set as an argument, and run with each; and what runs a kernel in many threads.
CLONED = ("butterfly", "hashed", "polar", "rotation", "adaptive", "stacked")
OTHERS = ("ans", "trellis", "strips", "exact_compiled", "exact_windows", "bytewise_compiled")
THREADED = ("bytewise_compiled", "exact_compiled", "exact_windows", "step_codes", "strips")
COUNTED = re.compile(r"(\d+) (passed|failed|skipped|error)")


@dataclass(frozen=True)
class Part:
    """What is run: arguments of Python in the copy."""

    name: str
    arguments: tuple[str, ...]


def parts_of(sanitizer: Sanitizer, inputs: int) -> list[Part]:
    """What is run under a sanitizer; inputs: of fuzzing, 0 for none."""
    of = {"address": (*CLONED, *OTHERS), "thread": THREADED}.get(sanitizer.name, CLONED)
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    parts = [Part(f"test_{name}", (*pytest, f"tests/test_{name}.py")) for name in of]
    parts.append(Part("selftest", ("-m", "diffcodec", "selftest")))
    if inputs and sanitizer.name == "address":
        fuzz = ("-m", "diffcodec.eval.robustness.fuzz", "--findings", "build/findings")
        parts.append(Part("fuzz", (*fuzz, "--inputs", str(inputs), "--seed", "1")))
    return parts


def run(sanitizer: Sanitizer, part: Part, folder: Path, log: Path) -> dict[str, Any]:
    """What came of a part: counts of its tests, its exit code, and what the sanitizer found."""
    began = time.monotonic()
    environment = sanitizer.environment(log) | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *part.arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
    )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    counts = {word: int(number) for number, word in COUNTED.findall(last)}
    found = findings(log)
    return {
        "part": part.name,
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "skipped": counts.get("skipped", 0),
        "exit_code": done.returncode,
        "findings": [{"what": what, "times": times} for what, times in sorted(found.items())],
        "seconds": round(time.monotonic() - began, 1),
    }


def rows_of(sanitizer: Sanitizer, chosen: Sequence[str], inputs: int) -> Iterator[dict[str, Any]]:
    """The sanitizer's copy built, its planted errors, and then one part after the other.

    Raises BuildError where kernels cannot be built, or planted errors are not noticed.
    """
    folder = FOLDER / sanitizer.name
    with tempfile.TemporaryDirectory() as empty:
        if not sanitizer.libraries():
            raise BuildError(f"gcc has no {sanitizer.library} here")
        if unseen := missed(sanitizer, Path(empty)):
            raise BuildError(f"the {sanitizer.name} sanitizer misses {', '.join(unseen)}")
    build(sanitizer, folder)
    for part in parts_of(sanitizer, inputs):
        if chosen and part.name not in chosen:
            continue
        with tempfile.TemporaryDirectory() as logs:
            row = run(sanitizer, part, folder, Path(logs) / "log")
        yield {"sanitizer": sanitizer.name, **row}


def _line(row: dict[str, Any]) -> str:
    """A part that is done."""
    counts = f"{row['passed']} passed, {row['failed']} failed, {len(row['findings'])} findings"
    return f"{row['sanitizer']} {row['part']}: {counts}, {row['seconds']} s"


def to_text(rows: list[dict[str, Any]]) -> str:
    """For people."""
    from tabulate import tabulate

    keys = ("sanitizer", "part", "passed", "failed", "skipped", "exit_code", "seconds")
    lines = [[*(row[key] for key in keys), len(row["findings"])] for row in rows]
    found = [
        f"{row['sanitizer']}, {row['part']}: {one['what']} ({one['times']:,})"
        for row in rows
        for one in row["findings"]
    ]
    return "\n".join([tabulate(lines, [*keys, "findings"], intfmt=","), *found])


@options.measurement
@click.option(
    "--sanitizer",
    "names",
    multiple=True,
    type=click.Choice(list(SANITIZERS)),
    help="Only this one; may be given several times.",
)
@click.option("--part", "chosen", multiple=True, metavar="NAME", help="Only this part, likewise.")
@click.option(
    "--inputs",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of fuzzing, under the address sanitizer.",
)
@options.json_option
def main(
    names: tuple[str, ...], chosen: tuple[str, ...], inputs: int, json_path: Path | None
) -> None:
    """Run the tests of the kernels with sanitizers built into them."""
    sanitizers = [SANITIZERS[name] for name in names or SANITIZERS]
    parts = [p for s in sanitizers for p in parts_of(s, inputs) if not chosen or p.name in chosen]
    rows = list[dict[str, Any]]()
    with progress_bar("sanitizing") as progress:
        for sanitizer in sanitizers:
            for row in rows_of(sanitizer, chosen, inputs):
                rows.append(row)
                if not progress:  # an hour without a word is long
                    click.echo(_line(row), err=True)
                if progress:
                    progress(len(rows), len(parts))
    result = {
        "sanitizing": rows,
        "fuzzed_inputs": inputs,
        "kernels": len(kernels(FOLDER / sanitizers[0].name)),
        **provenance(__name__, threads=1, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(rows))
    if any(row["findings"] or row["exit_code"] for row in rows):
        raise click.ClickException("something was found, or failed, under a sanitizer")


if __name__ == "__main__":
    main()
