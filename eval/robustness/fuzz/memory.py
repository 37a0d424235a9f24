"""Bytes of memory that an input takes, by what Linux says of this process; elsewhere none."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_STATUS, _RESET = "/proc/self/status", "/proc/self/clear_refs"
_SIZES = re.compile(rb"VmHWM:\s*(\d+) kB\s+VmRSS:\s*(\d+) kB")


class Memory:
    """A gauge of resident memory, with a mark that shows the most since it was set."""

    def __init__(self) -> None:
        known = Path(_STATUS).exists()
        self._status = os.open(_STATUS, os.O_RDONLY) if known else None
        self._before, self._first = 0, self._sizes()[1]

    def mark(self) -> None:
        """From here on: what one input takes."""
        with suppress(OSError), open(_RESET, "wb", buffering=0) as file:
            file.write(b"5")
        self._before = self._sizes()[1]

    @property
    def taken(self) -> int:
        """The most beyond what there was at the mark."""
        return max(0, self._sizes()[0] - self._before)

    @property
    def kept(self) -> int:
        """More than at first, by now."""
        return max(0, self._sizes()[1] - self._first)

    def _sizes(self) -> tuple[int, int]:
        """Most and now."""
        if self._status is None:
            return 0, 0
        found = _SIZES.search(os.pread(self._status, 1 << 13, 0))
        return (int(found[1]) << 10, int(found[2]) << 10) if found else (0, 0)
