"""A command that says how much memory it took: `python -m ….measured FILE encode photo.png`.

The system's own figure (ru_maxrss) starts at what the process had that started the command.
"""

from __future__ import annotations

import atexit
import runpy
import sys
from pathlib import Path


def peak() -> int:
    """The most memory that this process has had at a time, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Run the command; write the number at the end."""
    target = Path(sys.argv.pop(1))
    atexit.register(lambda: target.write_text(str(peak()), encoding="ascii"))
    runpy.run_module("diffcodec", run_name="__main__")


if __name__ == "__main__":
    main()
