"""Where a ledger is written: JSON for programs, tables for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.output import Output
from diffcodec.cli.streams import PIPE

if TYPE_CHECKING:
    from diffcodec.accounting.ledger import Ledger

ledger_option = click.option(
    "--ledger",
    metavar="FILE",
    help="Write what every bit was spent on, beside what theory asks for: tables if FILE ends in "
    ".txt, else JSON.",
)


def claim_ledger(output: Output, source: str | Path, target: str, path: str) -> None:
    """Refuse a ledger's file that cannot be written, or is another file of this command."""
    if path in (PIPE, target):
        raise click.UsageError(f"--ledger {path} needs a file of its own")
    output.claim(source, path)


def write_ledger(output: Output, path: str, ledger: Ledger) -> None:
    """Tables to a .txt file, JSON to all others."""
    from diffcodec.accounting.ledger import to_json, to_text
    from diffcodec.eval.common import results

    if Path(path).suffix.lower() == ".txt":
        text = to_text(ledger) + "\n"
    else:
        text = results.to_json(to_json(ledger))
    output.write(path, text.encode())
