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
from importlib import import_module
from typing import Literal

import numpy as np

from diffcodec.errors import CheckpointError
from diffcodec.exact.conformance import Evaluator, Kind, digest
from diffcodec.exact.graph import Graph
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference

Opener = Callable[[Graph, int], Evaluator]


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


def _compiled(graph: Graph, threads: int) -> Evaluator:
    try:
        compiled = import_module("diffcodec.exact.compiled")
        evaluator: Evaluator = compiled.Compiled(graph, threads=threads)
    except (ImportError, RuntimeError) as error:
        raise Unavailable("the kernel is not built") from error
    return evaluator


def _numpy(dtype: type[np.float64] | type[np.int64]) -> Opener:
    return lambda graph, threads: Reference(graph, dtype)


def _torch(dtype: Literal["float64", "float32"], device: str) -> Opener:
    def opened(graph: Graph, threads: int) -> Evaluator:
        try:
            from diffcodec.exact import gemm
        except ImportError as error:
            raise Unavailable("torch is not installed") from error
        if not gemm.available(device):
            raise Unavailable("there is no CUDA device")
        return gemm.Gemm(graph, dtype, device, threads)

    return opened


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("compiled", _compiled),
        Backend("numpy", _numpy(np.float64)),
        Backend("integers", _numpy(np.int64)),
        Backend("torch64", _torch("float64", "cpu")),
        Backend("torch32", _torch("float32", "cpu")),
        Backend("cuda64", _torch("float64", "cuda")),
        Backend("cuda32", _torch("float32", "cuda")),
    )
}
# Of each device the backends that are tried where none is named, in this order. On a CPU they do
# without torch. Most GPUs have few units for doubles, so that four float32 products are faster.
PREFERRED = {"cpu": ("compiled", "numpy", "integers"), "cuda": ("cuda32", "cuda64")}


def open_backend(graph: Graph, name: str | None = None, threads: int = 1) -> Evaluator:
    """The evaluator of a network by a backend; threads: at most so many of the processor's.

    name: of a backend, or of a device ("cpu", the default, or "cuda"): the first one of its
    PREFERRED backends that works here. The network's bound is proven first, and what fails the
    quick conformance vector is never returned. Raises CheckpointError if there is no such backend,
    or if the one that is named is not here (Unavailable) or not exact; of a device's backends those
    are passed over, with a warning on stderr where one is not exact.
    """
    prove(graph)
    candidates = (name,) if name in BACKENDS else PREFERRED.get(name or "cpu")
    if candidates is None:
        names = ", ".join((*BACKENDS, *PREFERRED))
        raise CheckpointError(f'there is no backend "{name}"; there are {names}')
    missing: Unavailable | None = None
    for candidate in candidates:
        try:
            evaluator = BACKENDS[candidate].open(graph, threads)
        except Unavailable as error:
            missing = error
            continue
        if conforms(graph, evaluator):
            return evaluator
        complaint = f"the backend {candidate} does not evaluate the network exactly here"
        if name in BACKENDS:
            raise CheckpointError(f"{complaint}; use another one")
        print(f"diffcodec: {complaint}, so another one is used", file=sys.stderr)
    if missing is not None and name is not None:
        raise Unavailable(f"the backend {name} cannot be used here: {missing}") from missing
    raise CheckpointError("no way to evaluate the network gives what its file states")


def conforms(graph: Graph, evaluator: Evaluator, kind: Kind = "quick") -> bool:
    """Whether an evaluator gives the right output for a conformance vector.

    It is stated in files that were exported; otherwise the definition says what it is.
    """
    stated = graph.facts.get("conformance", {}).get(kind)
    if stated is None:
        stated = digest(Reference(graph), graph, kind)
    return digest(evaluator, graph, kind) == str(stated)
