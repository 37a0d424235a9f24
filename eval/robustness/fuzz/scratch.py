"""A file for what reads a path and no bytes: one of this process, written over again and again."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


def scratch(data: bytes, name: str) -> Path:
    """A file of this name with these bytes, until the next one of the same name."""
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")  # where files take no disk
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
