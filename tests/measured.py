"""A measurement run as by `python -m`: the result that it writes, and what it prints."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from diffcodec.eval.common.results import Result, read_result


def measured(command: click.Command, *words: object, out: Path) -> tuple[Result, str]:
    """The words of its command line are made text; --json is added for `out`."""
    words = (*words, "--json", out)
    done = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return read_result(out), done.stdout
