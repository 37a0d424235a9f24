"""Jobs on several processes of this machine, whose results come as they are done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from diffcodec.eval.common.progress import progress_bar

Job = TypeVar("Job")
Result = TypeVar("Result")


def spread(
    start: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[int, Result]]:
    """(number of the job, its result), as results come.

    start: makes the function that does a job; with several processes it is called once in each,
    and must be picklable.
    """
    if processes == 1:
        measure = start()
        for i, job in enumerate(jobs):
            yield i, measure(job)
        return
    # Spawned, not forked: a fork of a process whose libraries run threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker, (start,)) as pool:
        futures = {pool.submit(_in_worker, job): i for i, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error: do not finish the rest first


def in_order(
    start: Callable[[], Callable[[Job], Result]],
    jobs: Sequence[Job],
    processes: int,
    label: str,
) -> list[Result]:
    """The results of all jobs in the jobs' order, behind a progress bar; see `spread`."""
    found: dict[int, Result] = {}
    with progress_bar(label) as progress:
        for i, result in spread(start, jobs, processes):
            found[i] = result
            if progress:
                progress(len(found), len(jobs))
    return [found[i] for i in range(len(jobs))]


_measure: Callable[[Any], Any] | None = None  # of this worker process


def _start_worker(start: Callable[[], Callable[[Any], Any]]) -> None:
    global _measure
    _measure = start()


def _in_worker(job: Any) -> Any:
    assert _measure is not None
    return _measure(job)
