"""Does this installation compute what it should?

Every way to evaluate a network that this machine has must give the integers that the network's
definition gives, and decode the golden files to their known pixels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffcodec.bitstream import ans, viterbi
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.exact.backends import NAMES, Unavailable, conforms, open_path
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.graph import Graph
from diffcodec.golden import NETWORK, golden_files
from diffcodec.theory.chain import Tables
from diffcodec.zoo import load_graph, shipped_networks


@dataclass(frozen=True)
class Check:
    """One way, and one network or golden file that it was tried on.

    available: the way exists on this machine; passes: None if it does not; ms: milliseconds.
    """

    path: str
    subject: str
    available: bool
    passes: bool | None
    ms: float | None


def selftest() -> Iterator[Check]:
    """All checks, one after the other."""
    for network, file in [*shipped_networks(), ("golden", NETWORK)]:
        graph = _load(file)
        if graph is None:
            yield Check("file", network, True, False, None)
            continue
        for name in NAMES:
            yield _conformance(name, network, graph)
    graph = _load(NETWORK)
    for name in NAMES if graph is not None else ():
        assert graph is not None
        yield from _golden(name, graph)


def kernels() -> dict[str, bool]:
    """Which of the coders' inner loops are compiled; numpy does the others, with the same bits."""
    return {"trellis": viterbi.KERNEL is not None, "ans": ans.KERNEL is not None}


def _load(file: Path) -> Graph | None:
    try:
        return load_graph(file)
    except CheckpointError:
        return None


def _conformance(name: str, network: str, graph: Graph) -> Check:
    began = time.perf_counter()
    try:
        passes = conforms(graph, open_path(graph, name), "full")
    except Unavailable:
        return Check(name, network, False, None, None)
    except CheckpointError:
        passes = False
    return Check(name, network, True, passes, _since(began))


def _golden(name: str, graph: Graph) -> Iterator[Check]:
    try:
        denoiser = ExactDenoiser(graph, threads=1, path=name)
    except CheckpointError:
        return  # told with the network
    codec = Codec(denoiser, Tables.of(graph.facts["tables"]), fingerprint=graph.fingerprint)
    for golden in golden_files():
        began = time.perf_counter()
        yield Check(name, golden.name, True, golden.decodes(codec), _since(began))


def _since(began: float) -> float:
    return round(1e3 * (time.perf_counter() - began), 1)
