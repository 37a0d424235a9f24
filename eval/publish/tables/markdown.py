"""What the README's tables are made of: results files, rows, and what they were measured on."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result, command_of, read_result
from diffcodec.eval.publish.measurements import COMMANDS


def load(results: Path, name: str) -> Result:
    """One results file, with the command that makes it today: options may have been renamed."""
    result = read_result(results / f"{name}.json")
    return {**result, "command": COMMANDS.get(f"{name}.json") or command_of(result)}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(result: Result) -> str:
    """What it was measured on, and how."""
    e = result["environment"]
    return (
        f"`{result['command']}`  \n{e['cpu']}, {e['cpus']} cores, {e['processes']} processes of "
        f"{e['threads_per_process']} threads; torch {e['torch']}, Pillow {e['pillow']}."
    )


def spread(bound: Result) -> str:
    """The standard error of a bound, where there is one (each t must have met two images)."""
    error = bound["standard_error_bpd"]
    return "" if error is None else f" +- {error:.3f}"
