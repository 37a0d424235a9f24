"""What tables and cards are made of: results files, rows, and what they were measured on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from diffcodec.eval.common.results import Result, command_of, read_result
from diffcodec.eval.common.words import counted
from diffcodec.eval.publish.measurements import COMMANDS
from diffcodec.zoo import find, shipped_networks, stated_fingerprint


def load(results: Path, name: str) -> Result:
    """The results file of this name, without its suffix, as `read` gives it."""
    return read(results / f"{name}.json")


def read(path: Path) -> Result:
    """A results file, its "command" as one types it today; raises ResultError if it is none.

    Options are renamed at times, and the list of measurements has the present ones by the file's
    name; other files' commands stand as they were given.
    """
    result = read_result(path)
    return {**result, "command": COMMANDS.get(path.name) or command_of(result)}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(result: Result) -> str:
    """What it was measured on, and how."""
    e = result["environment"]
    processes = counted(e["processes"], "process", "processes")
    threads = counted(e["threads_per_process"], "thread")
    return (
        f"`{result['command']}`  \n{e['cpu']}, {counted(e['cpus'], 'core')}, {processes} of "
        f"{threads}; torch {e['torch']}, Pillow {e['pillow']}.{_earlier(result)}"
    )


def _earlier(result: Result) -> str:
    """That the network has been replaced since, if it has."""
    model = result.get("model")
    if not isinstance(model, dict) or model.get("name") not in dict(shipped_networks()):
        return ""
    if model.get("fingerprint") in (None, stated(model["name"])):
        return ""
    return f" With the `{model['name']}` before the present one, {model['fingerprint']}."


@cache
def stated(network: str) -> str:
    """The fingerprint of a shipped network, in hex."""
    found = stated_fingerprint(find(network))
    assert found is not None
    return found.hex()


def spread(bound: Result) -> str:
    """The standard error of a bound, where there is one (each t must have met two images)."""
    error = bound["standard_error_bpd"]
    return "" if error is None else f" +- {error:.3f}"
