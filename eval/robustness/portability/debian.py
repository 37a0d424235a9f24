"""Python of another processor: Debian's packages in a folder, run by qemu-user. Needs no root.

mmdebstrap unpacks them, and checks who signed them; nothing of them is configured or started.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from diffcodec.eval.common.results import ResultError
from diffcodec.eval.robustness.portability.variants import Processor

PACKAGES = "python3 python3-numpy python3-pil python3-click python3-safetensors python3-pytest"
PACKAGES += " python3-hypothesis libpython3-dev"
HOOK = "/usr/share/mmdebstrap/hooks/merged-usr"  # of mmdebstrap: /lib is a link to /usr/lib

MIRROR = "http://deb.debian.org/debian"


@dataclass(frozen=True)
class Debian:
    """An unpacked system of a processor."""

    folder: Path
    processor: Processor

    def python(self, path: Path) -> list[str]:
        """The command that runs its Python; path: where modules are looked for first."""
        usr = self.folder / "usr"
        own = usr / "lib" / self.processor.triplet
        libraries = f"{own}:{own / 'blas'}:{own / 'lapack'}"
        environment = [
            f"PYTHONHOME={usr}",
            f"PYTHONPATH={path}:{usr / 'lib/python3/dist-packages'}",
        ]
        python = str(usr / "bin" / "python3")
        if self.processor.qemu is None:
            loader = str(usr / "lib" / "ld-linux.so.2")
            return ["env", *environment, loader, "--library-path", libraries, python]
        told = [word for one in environment for word in ("-E", one)]
        told += ["-E", f"LD_LIBRARY_PATH={libraries}"]
        return [f"qemu-{self.processor.qemu}", "-L", str(self.folder), *told, python]

    def headers(self) -> list[Path]:
        """Where Python.h is, and the one that it names by the triplet; none of another library,
        which the compiler has its own of."""
        usr = self.folder / "usr"
        version = usr / "include" / (usr / "bin" / "python3").readlink().name  # of several
        alone = self.folder / "headers"
        link = alone / self.processor.triplet / version.name
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(version.parent.resolve() / self.processor.triplet / version.name)
        return [version, alone]


def unpack(folder: Path, processor: Processor, suite: str) -> Debian:
    """Into a folder, unless it is there; ResultError if a tool is missing or fails."""
    if not (folder / "usr/bin/python3").exists():
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            f"--architectures={processor.debian}",
            f"--include={','.join(PACKAGES.split())}",
            f"--hook-dir={HOOK}",
            # Mirrors may lag; that they lie is what signatures exclude.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            suite,
            str(folder),
            MIRROR,  # alone: by default updates come from others, which lag one by one
        ]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise ResultError(
                "there is no mmdebstrap: apt-get install mmdebstrap qemu-user"
            ) from error
        if done.returncode:
            raise ResultError(f"Debian of {processor.debian} cannot be had: {done.stderr[-300:]}")
    return Debian(folder, processor)
