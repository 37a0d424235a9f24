"""One JSON record a job, made on several processes and kept, so that a stopped run resumes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from diffcodec.bitstream.types import Progress

Record = dict[str, Any]
Job = TypeVar("Job")
Result = TypeVar("Result")


class RecordsError(ValueError):
    """A file that does not hold records, and must not get any."""


def collect(
    start: Callable[[], Callable[[Job], Record]],
    jobs: Sequence[Job],
    keys: Sequence[str],
    *,
    processes: int = 1,
    path: Path | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """The record of every job (an image, or an image and a codec), in order.

    start: makes the function that does a job; with several processes it is called once in each,
    and must be picklable. keys: one name for each job and all that its record depends on; what the
    JSONL file `path` holds under that name is not measured again.
    """
    wanted = set(keys)
    records = {row.pop("key"): row for row in rows(path) if row["key"] in wanted}
    todo = [i for i, key in enumerate(keys) if key not in records]
    results = spread(start, [jobs[i] for i in todo], processes) if todo else ()
    for count, (job, record) in enumerate(results, start=1):
        key = keys[todo[job]]
        records[key] = record
        append(path, {"key": key, **record})
        if progress is not None:
            progress(count, len(todo))
    return [records[key] for key in keys]


# --- the file -----------------------------------------------------------------------------------


def rows(path: Path | None) -> Iterator[Record]:
    """The records of a JSONL file, one by one; none where there is no file.

    A line that a stop cut short is skipped, and ended, so that the next record gets its own.
    Raises RecordsError if the file's first line is no record.
    """
    if path is None or not path.exists():
        return
    last = b"\n"
    with path.open("rb") as file:
        for number, line in enumerate(file):
            last = line
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict) and "key" in row:
                yield row
            elif number == 0 and line.endswith(b"\n"):
                raise RecordsError(f"{path} does not hold records; name another file")
    if not last.endswith(b"\n"):
        _write(path, b"\n")


def append(path: Path | None, row: Record) -> None:
    """One more line. Processes may share the file."""
    if path is not None:
        _write(path, (json.dumps(row, allow_nan=False) + "\n").encode())


def _write(path: Path, line: bytes) -> None:
    with path.open("ab", buffering=0) as file:  # one call: lines of several processes do not mix
        file.write(line)


# --- the processes ------------------------------------------------------------------------------


def spread(
    start: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[int, Result]]:
    """(number of the job, its result), as results come; `start` as in `collect`."""
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


_measure: Callable[[Any], Any] | None = None  # of this worker process


def _start_worker(start: Callable[[], Callable[[Any], Any]]) -> None:
    global _measure
    _measure = start()


def _in_worker(job: Any) -> Any:
    assert _measure is not None
    return _measure(job)
