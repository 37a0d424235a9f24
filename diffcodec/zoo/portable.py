"""Denoisers on their way to another process: a shipped network goes by its name.

Other networks are sent whole. Both are opened there as they were asked for here, with that
machine's threads and backend where none were named.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from diffcodec.errors import CheckpointError
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.theory.denoiser import Denoiser
from diffcodec.zoo import load_graph, shipped_networks, stated_fingerprint


@dataclass(frozen=True)
class ByName:
    """A shipped network, and how it was asked for."""

    name: str
    fingerprint: str
    threads: int | None
    backend: str | None


def portable(denoiser: Denoiser) -> Denoiser | ByName:
    """What to send: the name of a shipped network, or the denoiser itself."""
    if isinstance(denoiser, ExactDenoiser):
        for name, path in shipped_networks():
            if stated_fingerprint(path) == bytes.fromhex(denoiser.fingerprint):
                return ByName(name, denoiser.fingerprint, *denoiser.given)
    return denoiser


@lru_cache(maxsize=4)
def opened(sent: ByName) -> ExactDenoiser:
    """The network of that name, read once; CheckpointError where it is another one here."""
    graph = load_graph(sent.name)
    if graph.fingerprint.hex() != sent.fingerprint:
        raise CheckpointError(
            f"{sent.name} is network {graph.fingerprint.hex()} here and {sent.fingerprint} where "
            "the codec comes from; install the same diffcodec on both"
        )
    return ExactDenoiser(graph, sent.threads, sent.backend)
