"""Where jobs run, and how many of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import Decorator, Network, grouped
from diffcodec.cli.streams import warn

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True)
class Parallel:
    """-j, --dask: how many jobs at a time, and on which machines."""

    processes: int = 1
    dask: str | None = None

    @property
    def alone(self) -> bool:
        """Whether it is done in this process."""
        return self.processes == 1 and self.dask is None

    def threads(self, network: Network) -> int | None:
        """Threads of a network: all cores for one job at a time, one each for several."""
        return network.threads or (None if self.alone else 1)

    def running(self, network: Network) -> dict[str, Any]:
        """How each job evaluates the network, as keyword arguments."""
        return {"threads": self.threads(network), "backend": network.backend}

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """What runs jobs; says so where an engine has no workers yet."""
        from diffcodec.executors import Engine, executor

        with executor(self.processes, self.dask) as pool:
            if isinstance(pool, Engine) and not pool.workers:
                warn(f"{self.dask} has no workers yet; they start with `dask worker {self.dask}`")
            yield pool


def _parallel(processes: int, dask: str | None) -> Parallel:
    if processes > 1 and dask is not None:
        raise click.UsageError("--processes and --dask each say where jobs run; give one of them")
    return Parallel(processes, dask)


def parallel_options(what: str) -> Decorator[Any]:
    """-j N, --dask ADDRESS: at what commands that map over many work; what: "images", say."""
    return grouped(
        "parallel",
        _parallel,
        click.option(
            "-j",
            "--processes",
            type=click.IntRange(1),
            default=1,
            metavar="N",
            help=f"Work on N {what} at a time, in a process each (default: 1).",
        ),
        click.option(
            "--dask",
            metavar="ADDRESS",
            help="Work on the machines of a dask.distributed scheduler, tcp://HOST:8786 for "
            "instance; they must see the same files.",
        ),
    )
