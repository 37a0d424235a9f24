"""What a measurement depends on besides code and data: machine, libraries, memory, the command."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec import __version__


def environment(threads: int, processes: int) -> dict[str, Any]:
    """What the seconds and the last digits depend on."""
    import PIL

    return {
        "diffcodec": __version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "processes": processes,
        "threads_per_process": threads,
    }


def _version(package: str) -> str | None:
    """Without importing it; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def portable(arguments: Sequence[str]) -> str:
    """The command's arguments without the folders of this machine."""
    return shlex.join(Path(a).name if os.sep in a else a for a in arguments)


def peak_memory_bytes() -> int | None:
    """Largest resident memory of this process so far, the libraries included."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
