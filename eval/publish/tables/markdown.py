"""What the README's tables are made of: results files, rows, and what they were measured on."""

from __future__ import annotations

import re
from pathlib import Path

from diffcodec.eval.common.results import Result, read_result

# Modules that were measured with under another name: results name the command that made them.
MOVED = {
    "large_picture": "experiments.large_image",
    "odd_pictures": "experiments.odd_images",
    **{
        name: f"experiments.{name}"
        for name in (
            "ablation",
            "archive_rate",
            "bitsback_benchmark",
            "coder_benchmark",
            "ddpm_table",
            "denoising_table",
            "exact_cost",
            "exact_settings",
            "exact_speed",
            "local_variance",
            "prefixes",
            "rate_by_steps",
        )
    },
}


def load(results: Path, name: str) -> Result:
    """One results file."""
    return read_result(results / f"{name}.json")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def command(result: Result) -> str:
    """The command that made a result, its module where it is now."""
    made: str = result["command"]
    return re.sub(r"(?<=-m diffcodec\.eval\.)\w+(?= )", lambda m: MOVED.get(m[0], m[0]), made)


def machine(result: Result) -> str:
    """What it was measured on, and how."""
    e = result["environment"]
    return (
        f"`{command(result)}`  \n{e['cpu']}, {e['cpus']} cores, {e['processes']} processes of "
        f"{e['threads_per_process']} threads; torch {e['torch']}, Pillow {e['pillow']}."
    )


def spread(bound: Result) -> str:
    """The standard error of a bound, where there is one (each t must have met two images)."""
    error = bound["standard_error_bpd"]
    return "" if error is None else f" +- {error:.3f}"
