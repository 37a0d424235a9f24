"""Does this installation compute what it should?

Every backend that this machine has must give the integers that the network's
definition gives, and decode the golden files to their known pixels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffcodec.bitstream import (
    adaptive,
    ans,
    butterfly_search,
    pixels,
    polar_search,
    rotation,
    viterbi,
)
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.exact.backends import BACKENDS, Unavailable, conforms, open_backend
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.stored import AnyGraph
from diffcodec.golden import NETWORK, golden_files
from diffcodec.theory.chain import Tables
from diffcodec.zoo import load_graph, shipped_networks


@dataclass(frozen=True)
class Check:
    """One backend, and one network or golden file that it was tried on.

    available: this machine has the backend; passes: None if it has not; ms: milliseconds; reason:
    in words, why it is not available or did not pass.
    """

    backend: str
    subject: str
    available: bool
    passes: bool | None
    ms: float | None
    reason: str | None = None


def selftest() -> Iterator[Check]:
    """All checks, one after the other: every backend on every network, then on golden files."""
    for name, file in [*shipped_networks(), ("golden", NETWORK)]:
        yield from _network(name, file)
    yield from _golden_files()


def kernels() -> dict[str, bool]:
    """Which of the coders' inner loops are compiled; numpy does the others, with the same bits.

    "range" is constriction's coder, which Python replaces.
    """
    return {
        "trellis": viterbi.KERNEL is not None,
        "butterfly": butterfly_search.KERNEL is not None,
        "polar": polar_search.KERNEL is not None,
        "rotation": rotation.KERNEL is not None,
        "ans": ans.KERNEL is not None,
        "adaptive": adaptive.KERNEL is not None,
        "range": pixels.KERNEL is not None,
    }


def _network(name: str, file: Path) -> Iterator[Check]:
    try:
        graph = load_graph(file)
    except CheckpointError as error:
        yield Check("file", name, True, False, None, str(error))
        return
    for backend in BACKENDS:
        yield _conformance(backend, name, graph)


def _conformance(backend: str, network: str, graph: AnyGraph) -> Check:
    began = time.perf_counter()
    try:
        passes = conforms(graph, open_backend(graph, backend), "full")
        reason = None if passes else "its integers are not those of the definition"
    except Unavailable as error:
        return Check(backend, network, False, None, None, str(error.__cause__))  # what is missing
    except CheckpointError as error:
        passes, reason = False, str(error)
    return Check(backend, network, True, passes, _since(began), reason)


def _golden_files() -> Iterator[Check]:
    try:
        graph = load_graph(NETWORK)
    except CheckpointError:
        return  # reported with the network
    tables = Tables.of(graph.facts["tables"])
    for backend in BACKENDS:
        try:
            denoiser = ExactDenoiser(graph, threads=1, backend=backend)
        except CheckpointError:
            continue  # reported with the network
        codec = Codec(denoiser, tables, fingerprint=graph.fingerprint)
        for golden in golden_files():
            began = time.perf_counter()
            passes = golden.decodes(codec)
            reason = None if passes else "its pixels are not those that the file always had"
            yield Check(backend, golden.name, True, passes, _since(began), reason)


def _since(began: float) -> float:
    return round(1e3 * (time.perf_counter() - began), 1)
