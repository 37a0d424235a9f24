"""The log of a training: stats.jsonl in its folder, a line of JSON every few steps."""

from __future__ import annotations

import json
from pathlib import Path

from diffcodec.files import write_atomic

NAME = "stats.jsonl"


def append(folder: Path, line: dict[str, float]) -> None:
    """One more line; raises OSError naming the file, for a full disk to be reported."""
    path = folder / NAME
    try:
        with open(path, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def go_on(folder: Path, step: int) -> None:
    """Take lines away that a stopped run wrote after the checkpoint at this step, and one that it
    began: what follows is done again.
    """
    path = folder / NAME
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _step(line) <= step]
    if kept != lines:
        write_atomic(path, b"".join(kept))


def _step(line: bytes) -> float:
    """That a line is about; infinity for what is no line."""
    try:
        found = json.loads(line) if line.endswith(b"\n") else {}
        return float(found["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
