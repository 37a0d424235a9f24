"""Sanitizers of GCC: how kernels are built with them, how Python is run then, what they found.

Python itself is not built so. The sanitizer's library is loaded before it (LD_PRELOAD), and numpy's
arrays and Python's objects come from its allocator (PYTHONMALLOC), so that what lies one byte
beyond a buffer is known to be nobody's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COMMON = ("-g1", "-O1", "-fno-omit-frame-pointer")
MEMORY = "-fsanitize=address,undefined,float-cast-overflow"
# Python and numpy keep what they allocate for good; quarantined memory counts as the codec's.
ADDRESS_OPTIONS = "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=32"
SUMMARY = re.compile(r"^SUMMARY: \w+: (.+)$", re.MULTILINE)
PLACE = re.compile(r"\S*/(?=(bitstream|diffcodec)/)")  # of a copy


@dataclass(frozen=True)
class Sanitizer:
    """flags: of the compiler; library: that is loaded before Python; variable, options: what the
    library is told, and in which variable."""

    name: str
    flags: tuple[str, ...]
    library: str
    variable: str
    options: str

    def libraries(self) -> list[str]:
        """Paths of what is loaded before Python; none where there is no such sanitizer.

        With libstdc++, whose exceptions the library could not find later.
        """
        compiler = shutil.which("gcc")
        if compiler is None:
            return []
        paths = [
            subprocess.run(
                [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
            ).stdout.strip()
            for name in (self.library, "libstdc++.so")
        ]
        return [path for path in paths if os.sep in path] if os.sep in paths[0] else []

    def environment(self, log: Path) -> dict[str, str]:
        """Variables for a process whose findings go to files that begin with this path."""
        return {
            **os.environ,
            "LD_PRELOAD": " ".join(self.libraries()),
            "PYTHONMALLOC": "malloc",
            self.variable: f"{self.options}:log_path={log}",
            "UBSAN_OPTIONS": f"print_summary=1:log_path={log}",
        }


def _address(name: str, *flags: str) -> Sanitizer:
    all_flags = (*COMMON, MEMORY, "-fno-sanitize-recover=all", *flags)
    return Sanitizer(name, all_flags, "libasan.so", "ASAN_OPTIONS", ADDRESS_OPTIONS)


# Functions with a form for each generation of processors (SIMD in the sources) run that of this
# machine in `address`, and in `v3` and `v1` those of older ones.
SANITIZERS = {
    one.name: one
    for one in (
        _address("address"),
        _address("v3", "-march=x86-64-v3", "-DSIMD="),
        _address("v1", "-march=x86-64", "-DSIMD="),
        Sanitizer("thread", (*COMMON, "-fsanitize=thread"), "libtsan.so", "TSAN_OPTIONS", ""),
    )
}


def findings(log: Path) -> Counter[str]:
    """What processes with this log found: a line on each kind and place, and how often."""
    found = Counter[str]()
    for path in sorted(log.parent.glob(f"{log.name}.*")):
        text = path.read_text(errors="replace")
        lines = SUMMARY.findall(text) or [text.strip().partition("\n")[0]]
        found.update(PLACE.sub("", line) for line in lines)
    return found
