"""One JSON record a job, made on several processes and kept, so that a stopped run resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.eval.common.processes import Job, spread

Record = dict[str, Any]


LONGEST = 2**24  # bytes of a line, and far more than any record has
BEGINNING = b'{"key": "'  # of every record's line


class RecordsError(ValueError):
    """A file that does not hold records, and must not get any."""


def collect(
    start: Callable[[], Callable[[Job], Record]],
    jobs: Sequence[Job],
    keys: Sequence[str],
    *,
    pool: Executor | None = None,
    path: Path | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """The record of every job (an image, or an image and a codec), in order.

    start, pool: as in `spread`. keys: one name for each job and all that its record depends on;
    what the JSONL file `path` holds under that name is not measured again.
    """
    wanted = set(keys)
    records = {row.pop("key"): row for row in rows(path) if row["key"] in wanted}
    todo = [i for i, key in enumerate(keys) if key not in records]
    results = spread(start, [jobs[i] for i in todo], pool) if todo else ()
    for count, (job, record) in enumerate(results, start=1):
        key = keys[todo[job]]
        records[key] = record
        append(path, {"key": key, **record})
        if progress is not None:
            progress(count, len(todo))
    return [records[key] for key in keys]


def key_of(facts: Sequence[Any], pixels: Pixels) -> str:
    """The name of a record of these pixels that depends on these facts too, plain JSON."""
    data = np.ascontiguousarray(pixels).tobytes()
    return hashlib.sha256(json.dumps(facts).encode() + data).hexdigest()


def rows(path: Path | None) -> Iterator[Record]:
    """The records of a JSONL file, one by one; none where there is no file.

    A line that a stop cut short is skipped, and ended, so that the next record gets its own.
    Raises RecordsError if the file's first line is no record, a line does not end, or it is no file
    but a pipe or a device.
    """
    if path is None or not path.exists():
        return
    if not path.is_file():
        raise RecordsError(f"{path} is not a file that can be read again; name another one")
    last = b"\n"
    with path.open("rb") as file:
        for number, line in enumerate(iter(partial(file.readline, LONGEST), b"")):
            last = line
            if len(line) == LONGEST:
                raise RecordsError(f"{path} does not hold records; name another file")
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict) and "key" in row:
                yield row
            elif number == 0 and line.endswith(b"\n") and not _cut_short(line[:-1]):
                raise RecordsError(f"{path} does not hold records; name another file")
    if not last.endswith(b"\n"):
        _write(path, b"\n")


def _cut_short(line: bytes) -> bool:
    """Whether this is the beginning of a record's line."""
    return bool(line) and (line.startswith(BEGINNING) or BEGINNING.startswith(line))


def check(path: Path | None) -> None:
    """Raise RecordsError, as `rows`, for a file that cannot be one of records."""
    next(rows(path), None)


def append(path: Path | None, row: Record) -> None:
    """One more line. Processes may share the file."""
    if path is not None:
        _write(path, (json.dumps(row, allow_nan=False) + "\n").encode())


def _write(path: Path, line: bytes) -> None:
    try:
        with path.open("ab", buffering=0) as file:
            while line:  # one call, so that lines of several processes do not mix
                line = line[file.write(line) :]  # but on a disk that is full: the next one says so
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
