"""Jobs of a measurement wherever they run (diffcodec.executors), with what a job needs loaded once.

A job is done by a function that `start` makes: a network is loaded there, once in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar

from diffcodec.eval.common.progress import progress_bar
from diffcodec.executors import Here, executor, run_jobs

if TYPE_CHECKING:
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.denoiser import NetworkDenoiser

Job = TypeVar("Job")
Result = TypeVar("Result")


def spread(
    start: Callable[[], Callable[[Job], Result]],
    jobs: Sequence[Job],
    pool: Executor | None = None,
) -> Iterator[tuple[int, Result]]:
    """(number of the job, its result), as results come; pool: where they run, None for here.

    start: makes the function that does a job, and is called for each; quick after the first time
    in a process, and picklable.
    """
    return run_jobs(pool or Here(), partial(_do, start), jobs)


def in_order(
    start: Callable[[], Callable[[Job], Result]],
    jobs: Sequence[Job],
    processes: int,
    label: str,
) -> list[Result]:
    """The results of all jobs in the jobs' order, behind a progress bar; see `spread`."""
    found: dict[int, Result] = {}
    with progress_bar(label) as progress, executor(processes) as pool:
        for i, result in spread(start, jobs, pool):
            found[i] = result
            if progress:
                progress(len(found), len(jobs))
    return [found[i] for i in range(len(jobs))]


@lru_cache(maxsize=1)
def network_of(
    model: str,
    device: str,
    threads: int | None,
    backend: str | None = None,
    label: int | None = None,
) -> ExactDenoiser | NetworkDenoiser:
    """As zoo.load_network, once in a process."""
    from diffcodec.zoo import load_network

    return load_network(model, device, threads, backend, label)


def _do(start: Callable[[], Callable[[Job], Result]], job: Job) -> Result:
    return start()(job)
