"""Jobs that workers find by name."""

from __future__ import annotations

import os
import time
from pathlib import Path

from diffcodec.errors import DataError
from diffcodec.files import write_atomic


def squared(number: int) -> tuple[int, int]:
    """The square, and where it was computed."""
    return number * number, os.getpid()


def fussy(number: int) -> int:
    """The number; 3 is refused, 4 is a fault."""
    if number == 3:
        raise DataError("3 is not liked")
    if number == 4:
        raise KeyError("a bug")
    return number


def dying(number: int) -> int:
    """Ends its process."""
    os._exit(number)


def written(path: Path) -> int:
    """Write one's process id to a file, in a third of a second."""
    time.sleep(0.3)
    write_atomic(path, str(os.getpid()).encode())
    return os.getpid()


def endless(folder: Path) -> None:
    """Begin a file, and never end it."""
    import diffcodec.files as files

    part = folder / f".{os.getpid()}.part"
    part.touch()
    files._parts[part] = None
    while True:
        time.sleep(0.1)
