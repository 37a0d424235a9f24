"""One JSON record a picture, made on several processes and kept, so that a stopped run resumes."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Record = dict[str, Any]
Measure = Callable[[Pixels], Record]


def collect(
    start: Callable[[], Measure],
    images: Sequence[Pixels],
    keys: Sequence[str],
    *,
    processes: int = 1,
    path: Path | None = None,
) -> list[Record]:
    """The record of every picture, in order.

    start: makes the function that measures a picture; with several processes it is called once in
    each, and must be picklable. keys: one name for each picture and all that its record depends
    on; what the JSONL file `path` holds under that name is not measured again.
    """
    records = _read(path)
    todo = [i for i, key in enumerate(keys) if key not in records]
    began = time.monotonic()
    results = _here(start, images, todo) if processes == 1 else _on(processes, start, images, todo)
    for count, (i, record) in enumerate(results, start=1):
        records[keys[i]] = record
        if path is not None:
            with path.open("a") as file:
                file.write(json.dumps({"key": keys[i], **record}, allow_nan=False) + "\n")
        left = (time.monotonic() - began) * (len(todo) - count) / count
        print(f"{count}/{len(todo)} pictures, {left:.0f} s left", file=sys.stderr)
    return [records[key] for key in keys]


def _here(
    start: Callable[[], Measure], images: Sequence[Pixels], todo: Sequence[int]
) -> Iterator[tuple[int, Record]]:
    measure = start()
    for i in todo:
        yield i, measure(images[i])


def _on(
    processes: int, start: Callable[[], Measure], images: Sequence[Pixels], todo: Sequence[int]
) -> Iterator[tuple[int, Record]]:
    # Spawned, not forked: a fork of a process whose libraries run threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker, (start,)) as pool:
        futures = {pool.submit(_in_worker, images[i]): i for i in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error: do not finish the rest first


_measure: Measure | None = None  # of this worker process


def _start_worker(start: Callable[[], Measure]) -> None:
    global _measure
    _measure = start()


def _in_worker(pixels: Pixels) -> Record:
    assert _measure is not None
    return _measure(pixels)


def _read(path: Path | None) -> dict[str, Record]:
    if path is None or not path.exists():
        return {}
    text, rows = path.read_text(), []
    if text and not text.endswith("\n"):  # the run was stopped while it wrote this line
        with path.open("a") as file:
            file.write("\n")
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return {row.pop("key"): row for row in rows}
