"""Load: encoders and decoders side by side for minutes, then thousands of calls in one process.

Every result is compared with what it has to be; memory, open files and threads do not grow.

    python -m diffcodec.eval.robustness.load ../shared/data/kodak --json load.json
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_named
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.load.one_process import survey
from diffcodec.eval.robustness.load.side_by_side import side_by_side

PROGRAM = "diffcodec.eval.robustness.load"
MIB = 1 << 20


def findings(result: dict[str, Any]) -> Iterator[str]:
    """What is not as it should be."""
    together = result["together"]
    yield from together["faults"]
    yield from (f"{name} is left" for name in together["left"])
    for one in together["commands"]:
        if one["grows"]:
            yield f"{one['command']}: memory grows"
    for one in result["one_process"]:
        if one["leaks"]:
            yield f"{one['calls']}: something leaks"


def to_text(result: dict[str, Any]) -> str:
    """For people."""
    from tabulate import tabulate

    together = result["together"]
    memory = ("memory_first", "memory_last", "memory_most")
    rows = [
        [one["command"], one["runs"], one["seconds"], *(one[key] / MIB for key in memory)]
        for one in together["commands"]
    ]
    head = ["command", "runs", "seconds", "MiB at first", "at last", "at most"]
    calls = [
        [one["calls"], one["count"]]
        + [one[when][what] for what in one["before"] for when in ("before", "after")]
        for one in result["one_process"]
    ]
    held = ("memory", "objects", "files", "threads")
    of_calls = ["calls", "count", *(word for what in held for word in (what, "then"))]
    return "\n\n".join(
        [
            f"{together['runs']} commands, {together['side_by_side']} at a time, in "
            f"{together['minutes']} minutes",
            tabulate(rows, head, floatfmt=".1f"),
            tabulate(calls, of_calls, intfmt=","),
            "\n".join(findings(result)) or "nothing was found",
        ]
    )


@options.measurement
@options.data_argument
@options.count_option(4)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=10,
    show_default=True,
    help="Of commands side by side.",
)
@click.option("--each", type=click.IntRange(1), default=8, show_default=True, help="Of both kinds.")
@click.option(
    "--decodes",
    type=click.IntRange(1),
    default=10000,
    show_default=True,
    help="In one process; a tenth as many encodes, archives and extractions.",
)
@options.json_option
def main(
    data: Path, count: int, minutes: float, each: int, decodes: int, json_path: Path | None
) -> None:
    """Run encoders and decoders of parts of the images of DATA side by side, and many calls in one
    process: does anything fail, or grow? Exit code 1 if so."""
    images = load_named(data, "all", 0, count, lambda line: click.echo(line, err=True))
    one_process = survey(decodes)
    with tempfile.TemporaryDirectory() as name, progress_bar("seconds") as progress:
        pixels = [image.pixels for image in images]
        together = side_by_side(Path(name), pixels, minutes, each, progress)
    result: dict[str, Any] = {
        "together": together,
        "one_process": one_process,
        **provenance(PROGRAM, threads=1, processes=2 * each),
    }
    write_result(json_path, result)
    click.echo(to_text(result))
    if any(findings(result)):
        raise click.ClickException("something fails, or grows")


if __name__ == "__main__":
    main()
