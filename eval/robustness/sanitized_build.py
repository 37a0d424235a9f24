"""A copy of the checkout whose kernels are built with a sanitizer; the normal ones stay alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from diffcodec.eval.robustness.sanitizers import Sanitizer

ROOT = Path(__file__).resolve().parents[2]  # of the checkout
LEFT_OUT = ("eval/results/", "docs/")  # large, and no test of a kernel reads them
BUILD = "from setuptools import setup; setup()"


class BuildError(ValueError):
    """The kernels could not be built."""


def sources() -> list[str]:
    """Files of the checkout, as git knows them; BuildError outside of one."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError("sanitizers need a checkout, and git: clone the repository") from error
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return [name for name in names if not name.startswith(LEFT_OUT)]


def copy_checkout(folder: Path) -> None:
    """Copy what has changed, so that no more is built anew than that."""
    for name in sources():
        source, target = ROOT / name, folder / name
        if not os.path.lexists(source):  # removed, and git does not know it yet
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(os.readlink(source))
        elif not target.exists() or target.stat().st_mtime_ns != source.stat().st_mtime_ns:
            shutil.copy2(source, target)


def kernels(folder: Path) -> list[Path]:
    """The kernels that are built there."""
    found = [*(folder / "bitstream").rglob("*.so"), *(folder / "diffcodec/exact").rglob("*.so")]
    return sorted(found)


def build(sanitizer: Sanitizer, folder: Path) -> None:
    """A copy with all kernels, in a folder that may hold an older one; BuildError if one fails."""
    copy_checkout(folder)
    flags = {
        "CFLAGS": " ".join(sanitizer.flags),
        "LDFLAGS": " ".join(flag for flag in sanitizer.flags if flag.startswith("-fsanitize")),
    }
    made = subprocess.run(
        [sys.executable, "-c", BUILD, "build_ext", "--inplace", "--build-temp", "build/objects"],
        cwd=folder,
        env={**os.environ, "CC": "gcc", **flags},
        capture_output=True,
        text=True,
    )
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    wanted = len(settings["tool"]["setuptools"]["ext-modules"])
    if made.returncode or len(kernels(folder)) != wanted:
        last = made.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        raise BuildError(
            f"{len(kernels(folder))} of {wanted} kernels could be built with the {sanitizer.name} "
            f"sanitizer: {last[0]}"
        )
