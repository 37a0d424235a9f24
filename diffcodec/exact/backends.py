"""Backends: the ways to evaluate an integer network. All give the same integers, at other speeds.

A backend is used only after it gave the right answer to the network's conformance vector, here, on
this machine: a broken library, or a compiler that was too clever, is found before it does harm.
To add one, write what evaluates a graph and give it an entry in BACKENDS. Those of torch import it
when they are opened; the others never do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from diffcodec.errors import CheckpointError
from diffcodec.exact import compiled
from diffcodec.exact.bytewise import compiled as compiled_bytes
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.proof import prove_bytes
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.conformance import Evaluator, Kind, definition_of, digest
from diffcodec.exact.overflow import Bounds, prove
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import AnyGraph

Opener = Callable[[AnyGraph, int], Evaluator]


class Unavailable(CheckpointError):
    """A backend that cannot be had on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Backend:
    """One way to evaluate integer networks.

    name: what a user calls it. open(graph, threads): the evaluator of a network, with at most so
    many processor threads; raises Unavailable where this machine lacks what it needs.
    """

    name: str
    open: Opener


def instruction_sets(graph: AnyGraph) -> tuple[str, ...]:
    """Of the compiled kernel for such networks, the fastest first; none where it is not built."""
    if isinstance(graph, ByteGraph):
        return compiled_bytes.instruction_sets()
    return compiled.instruction_sets()


def by_kernel(graph: AnyGraph, threads: int, isa: str | None = None) -> Evaluator:
    """The compiled kernel; isa: of instruction_sets, None for the fastest. Raises Unavailable."""
    if not instruction_sets(graph):
        raise Unavailable("the kernel is not built")
    if isinstance(graph, ByteGraph):
        return compiled_bytes.ByteCompiled(graph, threads, isa)
    return compiled.Compiled(graph, threads, isa)


def _numpy(dtype: type[np.float64] | type[np.int64]) -> Opener:
    def opened(graph: AnyGraph, threads: int) -> Evaluator:
        if isinstance(graph, ByteGraph):
            return ByteReference(graph, dtype)
        return Reference(graph, dtype)

    return opened


def _torch(dtype: Literal["float64", "float32", "int8"], device: str) -> Opener:
    def opened(graph: AnyGraph, threads: int) -> Evaluator:
        try:
            from diffcodec.exact import gemm
            from diffcodec.exact.bytewise.gemm import ByteGemm
        except ImportError as error:
            raise Unavailable("torch is not installed") from error
        if not gemm.available(device):
            raise Unavailable("there is no CUDA device")
        if isinstance(graph, ByteGraph) != (dtype == "int8"):
            kind = "bytes" if dtype == "int8" else "16 bits"
            raise Unavailable(f"it is for networks of {kind}")
        if isinstance(graph, ByteGraph):
            return ByteGemm(graph, device, threads)
        assert dtype != "int8"
        try:
            return gemm.Gemm(graph, dtype, device, threads)
        except CheckpointError as error:  # it is too wide for float32
            raise Unavailable(str(error)) from error

    return opened


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("compiled", by_kernel),
        Backend("numpy", _numpy(np.float64)),
        Backend("integers", _numpy(np.int64)),
        Backend("torch8", _torch("int8", "cpu")),
        Backend("torch64", _torch("float64", "cpu")),
        Backend("torch32", _torch("float32", "cpu")),
        Backend("cuda8", _torch("int8", "cuda")),
        Backend("cuda64", _torch("float64", "cuda")),
        Backend("cuda32", _torch("float32", "cuda")),
    )
}
# Of each device the backends that are tried where none is named, in this order. On a CPU they do
# without torch. Most GPUs have few units for doubles, so that four float32 products are faster.
CPU, CUDA = ("compiled", "numpy", "integers"), ("cuda8", "cuda32", "cuda64")
PREFERRED = {"cpu": CPU, "cuda": CUDA}
DRIVER = Path("/dev/nvidiactl")  # torch is slow to import, and needed only where this is


def open_backend(graph: AnyGraph, name: str | None = None, threads: int = 1) -> Evaluator:
    """The evaluator of a network by a backend; threads: at most so many of the processor's.

    name: of a backend, or of a device ("cpu" or "cuda"): the first one of its PREFERRED backends
    that works here; by default CUDA's where there is such a device, else the CPU's. The network's
    bound is proven first, and what fails the quick conformance vector is never returned. Raises
    CheckpointError if there is no such backend, or if the one that is named is not here
    (Unavailable) or not exact; of a device's backends those are passed over, with a warning on
    stderr where one is not exact or fails.
    """
    proof_of(graph)
    by_default = (CUDA if DRIVER.exists() else ()) + CPU
    candidates = (name,) if name in BACKENDS else PREFERRED.get(name) if name else by_default
    if candidates is None:
        names = ", ".join((*BACKENDS, *PREFERRED))
        raise CheckpointError(f'there is no backend "{name}"; there are {names}')
    missing: Unavailable | None = None
    for candidate in candidates:
        try:
            evaluator = BACKENDS[candidate].open(graph, threads)
            if conforms(graph, evaluator):
                return evaluator
            complaint = f"the backend {candidate} does not evaluate the network exactly here"
        except Unavailable as error:
            missing = error
            continue
        except RuntimeError as error:  # torch's, where a GPU is too old or its memory full
            reason = str(error).partition("\n")[0]
            complaint = f"the backend {candidate} fails here ({reason})"
        if name in BACKENDS:
            raise CheckpointError(f"{complaint}; use another one")
        print(f"diffcodec: {complaint}, so another one is used", file=sys.stderr)
    if missing is not None and name is not None:
        raise Unavailable(f"the backend {name} cannot be used here: {missing}") from missing
    raise CheckpointError("no way to evaluate the network gives what its file states")


def conforms(graph: AnyGraph, evaluator: Evaluator, kind: Kind = "quick") -> bool:
    """Whether an evaluator gives the right output for a conformance vector.

    It is stated in files that were exported; otherwise the definition says what it is.
    """
    stated = graph.facts.get("conformance", {}).get(kind)
    if stated is None:
        stated = digest(definition_of(graph), graph, kind)
    return digest(evaluator, graph, kind) == str(stated)


def proof_of(graph: AnyGraph) -> Bounds:
    """The bounds of a network; raises CheckpointError where one is broken or parts do not fit."""
    return prove_bytes(graph) if isinstance(graph, ByteGraph) else prove(graph)
