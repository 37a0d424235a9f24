"""Kernels by another compiler or other flags than an installation's, into a copy of the source."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from diffcodec.eval.common.results import ResultError

ROOT = Path(__file__).resolve().parents[3]  # of the checkout


def copy_source(folder: Path) -> None:
    """What git knows, or would take, without anything built, to a folder that is made.

    Raises ResultError outside of a checkout.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    if listed.returncode or not (ROOT / "pyproject.toml").exists():
        raise ResultError("variants are built of a checkout; run this in a clone of the repository")
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(source.readlink())
        elif source.exists():  # or it was removed and not yet committed
            shutil.copyfile(source, target)


def modules(folder: Path) -> list[dict[str, Any]]:
    """The extension modules of a checkout, as pyproject.toml describes them."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = project["tool"]["setuptools"]["ext-modules"]
    return found


def commands(
    folder: Path, compiler: str, flags: Sequence[str], headers: Sequence[Path]
) -> Iterator[list[str]]:
    """That compile the modules of a copy, in place, for the stable ABI."""
    for module in modules(folder):
        source = folder / module["sources"][0]
        library = source.with_name(module["name"].rpartition(".")[2] + ".abi3.so")
        macros = [f"-D{name}={value}" for name, value in module["define-macros"]]
        include = [f"-I{path}" for path in headers]
        options = ["-O2", "-fPIC", "-shared", *macros, *module.get("extra-compile-args", [])]
        yield [compiler, *options, *flags, *include, str(source), "-o", str(library)]


def compile_kernels(
    folder: Path, compiler: str, flags: Sequence[str], headers: Sequence[Path]
) -> None:
    """Every one of them, two at a time; ResultError with the compiler's complaint."""
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(_run, commands(folder, compiler, flags, headers)):
            if done.returncode:
                raise ResultError(f"{done.args[-3]} does not compile: {done.stderr[:500]}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ResultError(
            f"there is no {command[0]}; install it, from Debian for instance"
        ) from error
