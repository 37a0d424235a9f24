"""Ways to build and run the codec, and which of its tests each must pass."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

# Tests of what kernels compute, against numpy, definitions and bytes that never change.
CODERS = (
    "test_hashed",
    "test_butterfly",
    "test_polar",
    "test_rotation",
    "test_ans",
    "test_adaptive",
)
NETWORKS = ("test_exact_compiled", "test_bytewise_compiled")
WHOLE = ("test_encodes",)
REST = (*NETWORKS, "test_pixels", "test_byte_order", "test_light")
EMULATED = ("test_byte_order",)  # the self-test decodes all golden files; more takes hours there
LONG = "follows_the_format"  # of test_polar: a minute, and no kernel in it


@dataclass(frozen=True)
class Variant:
    """One of them.

    flags: of the C compiler; None: nothing is compiled. processor: what is emulated, else this
    machine's is used. needs: flags of /proc/cpuinfo that it takes. tests: files of tests/.
    """

    name: str
    flags: tuple[str, ...] | None
    tests: tuple[str, ...]
    processor: Processor | None = None
    needs: Set[str] = frozenset()


@dataclass(frozen=True)
class Processor:
    """One that qemu emulates and Debian has packages and a compiler for.

    qemu: its name there; None: x86-64 runs its programs. debian: its name there; triplet: of
    compiler and libraries; flags: of the compiler, so that it has singles.
    """

    qemu: str | None
    debian: str
    triplet: str
    flags: tuple[str, ...] = ()


PROCESSORS = {
    "aarch64": Processor("aarch64", "arm64", "aarch64-linux-gnu"),
    "armhf": Processor("arm", "armhf", "arm-linux-gnueabihf"),
    "i386": Processor(None, "i386", "i386-linux-gnu", ("-msse2", "-mfpmath=sse")),
    "s390x": Processor("s390x", "s390x", "s390x-linux-gnu"),  # the highest byte first
}
COMPILERS = {"i386": "i686-linux-gnu-gcc"}  # others: the triplet's

# One form of every function instead of one for each generation, of which this machine picks the
# newest. Instruction sets that the kernels choose among themselves are all tried by the tests.
X86 = (
    Variant("x86-64", ("-march=x86-64", "-DSIMD="), (*CODERS, *WHOLE, *REST), needs={"lm"}),
    Variant("x86-64-v3", ("-march=x86-64-v3", "-DSIMD="), (*CODERS, *WHOLE), needs={"avx2", "fma"}),
    Variant("x86-64-v4", ("-march=x86-64-v4", "-DSIMD="), (*CODERS, *WHOLE), needs={"avx512vl"}),
)
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("built", (), (*CODERS, *WHOLE, *REST)),
        *X86,
        Variant("numpy", None, (*CODERS, *REST)),  # whole files take it minutes
        *(Variant(name, p.flags, EMULATED, p) for name, p in PROCESSORS.items()),
        *(Variant(f"{name}-numpy", None, (), p) for name, p in PROCESSORS.items()),
    )
}


def lacking(variant: Variant) -> str | None:
    """Why this machine's processor cannot run a variant; None if it can."""
    if not variant.needs:
        return None
    has = set(Path("/proc/cpuinfo").read_text(encoding="ascii").split())
    missing = sorted(variant.needs - has)
    return f"this processor has no {' and no '.join(missing)}" if missing else None
