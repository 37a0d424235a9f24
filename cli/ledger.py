"""Where a ledger is written: JSON for programs, tables for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.streams import PIPE, claim, write

if TYPE_CHECKING:
    from diffcodec.accounting.ledger import Ledger


def claim_ledger(source: str, target: str, path: str, *, force: bool) -> None:
    """Refuse a ledger's file that cannot be written, or is another file of this command."""
    if path in (PIPE, target):
        raise click.UsageError(f"--ledger {path} needs a file of its own")
    claim(source, path, force=force, as_json=False)


def write_ledger(path: str, ledger: Ledger, *, force: bool) -> None:
    """Tables to a .txt file, JSON to all others."""
    from diffcodec.accounting.ledger import to_json, to_text

    if Path(path).suffix.lower() == ".txt":
        text = to_text(ledger)
    else:
        text = json.dumps(to_json(ledger), indent=1, allow_nan=False)
    write(path, (text + "\n").encode(), force=force)
