"""A network with its tables, opened: from a name, a file or a folder; copied and sent elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.theory.chain import Tables
from diffcodec.theory.denoiser import Denoiser
from diffcodec.zoo import load_model, needing_torch
from diffcodec.zoo.portable import ByName, opened, portable

if TYPE_CHECKING:
    from diffcodec.zoo.floats import FloatDenoiser

AnyOpened = TypeVar("AnyOpened", bound="Opened")


class Opened:
    """What a codec has besides its methods.

    name: in messages; fingerprint: in files; workers: threads of a step's search, which do not
    change a bit; promised: the denoiser's numbers are floats, so that files are exact where they
    come out alike, and say so.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        tables: Tables,
        *,
        name: str = "custom",
        fingerprint: bytes = bytes(8),
        workers: int = 1,
        promised: bool = False,
    ) -> None:
        self.denoiser, self.tables = denoiser, tables
        self.name, self.fingerprint = name, fingerprint
        self.workers, self.promised = workers, promised

    @classmethod
    def from_pretrained(
        cls, model: str | Path, threads: int | None = None, *, backend: str | None = None
    ) -> Self:
        """A shipped network by name ("photo-large", "cifar10"), a network's file, or a folder of
        diffusers.

        threads: of network and trellis search, all cores by default. backend: what evaluates the
        network, of diffcodec.exact.backends by name, or "cpu" or "cuda" for the fastest one there;
        by default that of the GPU, or of the CPU without one. Of an integer network neither changes
        a bit of a file; a float network takes "cpu" or "cuda", and gives other numbers on each.
        Raises CheckpointError if there is no such network, it was altered, or has no tables yet,
        and if the backend cannot be used here.
        """
        return cls.of_either(load_model(model), threads, backend=backend)

    @classmethod
    def of_either(
        cls,
        network: AnyGraph | Checkpoint,
        threads: int | None = None,
        *,
        backend: str | None = None,
    ) -> Self:
        """The codec of an integer or a float network; threads, backend: as in from_pretrained."""
        if isinstance(network, Checkpoint):
            return cls.of_float(network, threads, backend=backend)
        return cls.of(network, threads, backend=backend)

    @classmethod
    def of(cls, graph: AnyGraph, threads: int | None = None, *, backend: str | None = None) -> Self:
        """The codec of an integer network; threads, backend: as in from_pretrained."""
        tables = Tables.of(graph.facts.get("tables", {}))
        return cls._with(ExactDenoiser(graph, threads, backend), tables, promised=False)

    @classmethod
    def of_float(
        cls, checkpoint: Checkpoint, threads: int | None = None, *, backend: str | None = None
    ) -> Self:
        """The codec of a float network, whose files are exact on this machine with this torch.

        threads: of the trellis search alone; backend: "cpu" or "cuda", as in from_pretrained.
        """
        tables = Tables.of(checkpoint.tables)
        with needing_torch(checkpoint.recipe.name):
            from diffcodec.zoo.floats import FloatDenoiser
        return cls._with(FloatDenoiser(checkpoint, threads, backend), tables, promised=True)

    @classmethod
    def _with(cls, network: ExactDenoiser | FloatDenoiser, tables: Tables, promised: bool) -> Self:
        return cls(
            network,
            tables,
            name=network.name,
            fingerprint=bytes.fromhex(network.fingerprint),
            workers=network.threads,
            promised=promised,
        )

    def __reduce__(self) -> tuple[Callable[..., Opened], tuple[Any, ...]]:
        """Pickled is a shipped network's name, or another network; no threads and no memory."""
        workers = None if self.workers == getattr(self.denoiser, "threads", 0) else self.workers
        return _made, (type(self), portable(self.denoiser), *self._rest(workers))

    def __copy__(self) -> Self:
        return _made(type(self), self.denoiser, *self._rest(self.workers))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """With the same network where nothing of it changes, as of shipped ones."""
        return _made(type(self), copy.deepcopy(self.denoiser, memo), *self._rest(self.workers))

    def _rest(self, workers: int | None) -> tuple[Any, ...]:
        return self.tables, workers, self.name, self.fingerprint, self.promised


def _made(
    kind: type[AnyOpened],
    denoiser: Denoiser | ByName,
    tables: Tables,
    workers: int | None,
    name: str,
    fingerprint: bytes,
    promised: bool,
) -> AnyOpened:
    """workers: None for as many as the network's threads here."""
    if isinstance(denoiser, ByName):
        denoiser = opened(denoiser)
    if workers is None:
        workers = getattr(denoiser, "threads", 1)
    return kind(
        denoiser,
        tables,
        name=name,
        fingerprint=fingerprint,
        workers=workers,
        promised=promised,
    )
