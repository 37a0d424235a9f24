"""The byte kernel as a program of its own: for other processors, emulated, and under sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.packed import pack
from diffcodec.exact.bytewise.plan import Plan
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.memory import zeroed
from tests.random_bytes import inputs, random_bytes

HERE = Path(__file__).parent
KERNEL = HERE.parent / "diffcodec" / "exact" / "bytewise"
Run = Callable[[str, Path], bytes]


def build(compiler: str, folder: Path, *options: str) -> Path:
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"{compiler} is not here")
    program = folder / "kernel"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{KERNEL}", *options]
    source = str(HERE / "kernel_of_bytes.c")
    subprocess.run([path, *flags, source, "-o", str(program)], check=True)
    return program


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The kernel for 64-bit ARM."""
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("qemu-aarch64 is not here")
    program = build("aarch64-linux-gnu-gcc", tmp_path_factory.mktemp("arm"), "-static")

    def run(isa: str, file: Path) -> bytes:
        command = [emulator, "-cpu", "max", str(program), isa, str(file)]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return run


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The kernel for this processor, every access to memory and every integer watched."""
    program = build("gcc", tmp_path_factory.mktemp("asan"), "-fsanitize=address,undefined", "-g")

    def run(isa: str, file: Path) -> bytes:
        found = subprocess.run([program, isa, str(file)], capture_output=True)
        if found.returncode == 3:
            pytest.skip(f"this processor has no {isa}")
        assert found.returncode == 0 and not found.stderr, found.stderr.decode()[:2000]
        return found.stdout

    return run


def evaluate(graph: ByteGraph, isa: str, run: Run, folder: Path, size: tuple[int, int]) -> None:
    """Compare what the program makes of one image with the definition."""
    x, v = inputs(graph, 1, *size, seed=1)
    packed = pack(graph, isa)
    height, width = x.shape[1:3]
    plan = Plan(graph, packed, (height, width), rows=height, threads=1)
    memory = zeroed(plan.size)
    plan.prepare(memory)
    plan.input(memory)[:, :, : x.shape[3]] = x[0]
    chains = [
        (chain.first, chain.last, *rows)
        for stripe in plan.stripes
        for chain, rows in zip(plan.chains, stripe.rows, strict=True)
        if rows[0] < rows[1]
    ]
    expected = ByteReference(graph, np.float64)(x, v)
    blocks: list[NDArray[np.generic]] = [
        plan.tables[0],
        packed.weights,
        packed.sums(float(v[0])),
        packed.constants,
        memory,
        np.zeros_like(expected),
        np.array(chains, np.int64),
    ]
    file = folder / "network"
    sizes = np.array([block.nbytes for block in blocks], np.int64)
    file.write_bytes(b"".join(part.tobytes() for part in (sizes, *blocks)))
    found = np.frombuffer(run(isa, file), np.int16).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ["neon", "portable"])
@pytest.mark.parametrize("seed", range(6))
def test_arm_gives_the_same(isa: str, seed: int, emulated: Run, tmp_path: Path) -> None:
    evaluate(random_bytes(seed), isa, emulated, tmp_path, (9, 13))


@pytest.mark.parametrize("isa", ["portable", "avx2", "avxvnni", "vnni"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_strays(isa: str, seed: int, watched: Run, tmp_path: Path) -> None:
    evaluate(random_bytes(seed), isa, watched, tmp_path, (11, 7))
