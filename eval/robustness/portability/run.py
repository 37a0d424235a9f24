"""One variant: a copy of the source, kernels, then the self-test and tests in other processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffcodec.eval.common.results import ResultError
from diffcodec.eval.robustness.portability.debian import unpack
from diffcodec.eval.robustness.portability.kernels import compile_kernels, copy_source
from diffcodec.eval.robustness.portability.variants import COMPILERS, LONG, Variant

# What runs there, and the self-test where torch cannot be imported: it is not what is tested.
# Emulation takes a hundred times as long, so of backends the first is tried there alone.
SCRIPT = """
import dataclasses, json, platform, struct, sys
sys.modules["torch"] = None
import numpy
from diffcodec import selftest
from diffcodec.exact import compiled
from diffcodec.exact.bytewise import compiled as compiled_bytes
for name in sys.argv[1:]:
    selftest.BACKENDS.pop(name)
print(json.dumps({
    "machine": platform.machine(),
    "byte_order": sys.byteorder,
    "bits": 8 * struct.calcsize("P"),
    "python": platform.python_version(),
    "numpy": numpy.__version__,
    "compiled": selftest.kernels(),
    "sets": [*compiled.instruction_sets()],
    "byte_sets": [*compiled_bytes.instruction_sets()],
    "source": selftest.__file__,
    "checks": [dataclasses.asdict(check) for check in selftest.selftest()],
}))
"""


def measure(variant: Variant, work: Path, suite: str) -> dict[str, Any]:
    """What a variant is, and how many of its checks and tests pass; work: a folder for it all."""
    began = time.perf_counter()
    folder = work / variant.name
    copy_source(folder)
    python, headers, compiler = [sys.executable], [Path(sysconfig.get_path("include"))], "cc"
    if variant.processor:
        name = variant.processor.debian
        debian = unpack(work / f"debian-{name}", variant.processor, suite)
        python, headers = debian.python(folder), debian.headers()
        compiler = COMPILERS.get(name, f"{variant.processor.triplet}-gcc")
    if variant.flags is not None:
        compile_kernels(folder, compiler, variant.flags, headers)
    pure = variant.flags is None
    without = [] if variant.processor is None else ["integers"] if pure else ["numpy", "integers"]
    about = _about(python, folder, pure, without)
    row = {
        "variant": variant.name,
        "flags": None if pure else " ".join(variant.flags or ()),
        "emulated": variant.processor is not None and variant.processor.qemu is not None,
        **about,
        **tests(python, folder, variant.tests, pure),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return row


def _about(
    python: Sequence[str], folder: Path, pure: bool, without: Sequence[str] = ()
) -> dict[str, Any]:
    """What SCRIPT says, its checks counted; without: backends that are left out."""
    done = _run([*python, "-c", SCRIPT, *without], folder, pure)
    if done.returncode:
        raise ResultError(f"{folder.name}: the self-test does not end: {done.stderr[-500:]}")
    about: dict[str, Any] = json.loads(done.stdout)
    if not Path(about.pop("source")).is_relative_to(folder):
        raise ResultError(f"{folder.name}: another installation than the copy was tested")
    kernels = {name: there for name, there in about["compiled"].items() if name != "range"}
    if set(kernels.values()) != {not pure}:
        raise ResultError(f"{folder.name}: not what was to be built: {kernels}")
    checks = about.pop("checks")
    failed = [f"{c['backend']} {c['subject']}" for c in checks if c["passes"] is False]
    passed = sum(check["passes"] is True for check in checks)
    return {**about, "checks_passed": passed, "checks_failed": failed}


def tests(python: Sequence[str], folder: Path, files: Sequence[str], pure: bool) -> dict[str, Any]:
    """How many of the tests in some files pass, fail and are skipped."""
    counts, seconds = Counter[str](), time.perf_counter()
    if files:
        chosen = ["-m", "not slow", "-k", f"not {LONG}", *(f"tests/{name}.py" for name in files)]
        options = ["-q", "--no-header", "-p", "no:cacheprovider"]
        done = _run([*python, "-m", "pytest", *options, *chosen], folder, pure)
        counts = counted(done.stdout)
        if done.returncode and not counts["failed"]:
            raise ResultError(f"{folder.name}: the tests do not end: {done.stdout[-500:]}")
    found = {f"tests_{word}": counts[word] for word in ("passed", "failed", "skipped")}
    return {**found, "test_seconds": round(time.perf_counter() - seconds, 1)}


def counted(said: str) -> Counter[str]:
    """Numbers by word of pytest's last line, "3 passed, 1 skipped in 0.5s"; errors are failures."""
    last = said.rstrip().rpartition("\n")[2]
    counts = Counter({word: int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", last)})
    counts["failed"] += counts["error"] + counts["errors"]
    return counts


def _run(command: Sequence[str], folder: Path, pure: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    environment |= {"DIFFCODEC_PURE": "1"} if pure else {}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
