"""The ways to evaluate an integer network. All give the same integers; they differ in speed.

A path is used only after it gave the right answer to the network's conformance vector, here, on
this machine: a broken library, or a compiler that was too clever, is found before it does harm.
Neither "compiled" nor "numpy" imports torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Literal

import numpy as np

from diffcodec.errors import CheckpointError
from diffcodec.exact.conformance import Kind, Path, digest
from diffcodec.exact.graph import Graph
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference

Opener = Callable[[Graph, int], Path]


class Unavailable(CheckpointError):
    """A path that cannot be had on this machine."""


def _compiled(graph: Graph, threads: int) -> Path:
    try:
        compiled = import_module("diffcodec.exact.compiled")
        path: Path = compiled.Compiled(graph, threads=threads)
    except (ImportError, RuntimeError) as error:
        raise Unavailable("the kernel is not built") from error
    return path


def _torch(dtype: Literal["float64", "float32"], device: str) -> Opener:
    def opened(graph: Graph, threads: int) -> Path:
        try:
            from diffcodec.exact import gemm
        except ImportError as error:
            raise Unavailable("torch is not installed") from error
        if not gemm.available(device):
            raise Unavailable("there is no CUDA device")
        return gemm.Gemm(graph, dtype, device, threads)

    return opened


PATHS: dict[str, Opener] = {
    "compiled": _compiled,
    "numpy": lambda graph, threads: Reference(graph, np.float64),
    "integers": lambda graph, threads: Reference(graph, np.int64),
    "torch64": _torch("float64", "cpu"),
    "torch32": _torch("float32", "cpu"),
    "cuda64": _torch("float64", "cuda"),
    "cuda32": _torch("float32", "cuda"),
}
NAMES = tuple(PATHS)
PREFERRED = ("compiled", "numpy", "integers")  # the others are for who asks for them


def open_path(graph: Graph, name: str | None = None, threads: int = 1) -> Path:
    """A path by name, or the fastest that works here; threads: at most so many.

    The network's bound is proven first. A path that fails the quick conformance vector is never
    returned: by name that is a CheckpointError, otherwise a warning on stderr and the next path.
    """
    prove(graph)
    if name is not None and name not in PATHS:
        raise CheckpointError(f'there is no path "{name}"; there are {", ".join(PATHS)}')
    for candidate in PREFERRED if name is None else (name,):
        try:
            path = PATHS[candidate](graph, threads)
        except Unavailable as error:
            if name is not None:
                raise Unavailable(f"the path {name} cannot be used here: {error}") from error
            continue
        if conforms(graph, path):
            return path
        complaint = f"the path {candidate} does not evaluate the network exactly on this machine"
        if name is not None:
            raise CheckpointError(f"{complaint}; use another one")
        print(f"diffcodec: {complaint}, so another one is used", file=sys.stderr)
    raise CheckpointError("no way to evaluate the network gives what its file states")


def conforms(graph: Graph, path: Path, kind: Kind = "quick") -> bool:
    """Whether a path gives the right output for a conformance vector.

    It is stated in files that were exported; otherwise the definition says what it is.
    """
    stated = graph.facts.get("conformance", {}).get(kind)
    if stated is None:
        stated = digest(Reference(graph), graph, kind)
    return digest(path, graph, kind) == str(stated)
