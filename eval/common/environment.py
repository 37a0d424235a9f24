"""What a measurement depends on besides code and data: machine, libraries, memory, the command."""

from __future__ import annotations

import os
import platform
import shlex
import sys
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


def command(program: str) -> str:
    """What a user types to measure again, without the folders of this machine.

    program: "diffcodec", or the `__name__` of a module that `python -m` runs.
    """
    started = program if program == "diffcodec" else f"python -m {module_name(program)}"
    arguments = (Path(a).name if os.sep in a else a for a in sys.argv[1:])
    return f"{started} {shlex.join(arguments)}".rstrip()


def module_name(name: str) -> str:
    """The name to import a module by, of its `__name__`: the one that runs is "__main__"."""
    spec = sys.modules[name].__spec__ if name == "__main__" else None
    return name if spec is None else spec.name


def peak_memory_bytes() -> int | None:
    """Largest resident memory of this process so far, the libraries included."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
