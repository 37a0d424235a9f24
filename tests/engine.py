"""A real dask.distributed scheduler and its workers, each a process of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE = 60  # seconds that a process may take to start


@contextmanager
def engine(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The scheduler's address, and the workers' processes; all are ended afterwards."""
    known = folder / "scheduler.json"
    place = ["--scheduler-file", str(known), "--no-dashboard"]
    started = [_start(folder, "scheduler", *place, "--host", "127.0.0.1", "--port", "0")]
    try:
        _wait(known.exists)
        address = json.loads(known.read_text())["address"]
        alone = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder / "dask")]
        started += [_start(folder, "worker", *place, *alone) for _ in range(workers)]
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """`dask WORDS`, which finds the tests' modules, and whose words are in a file."""
    with open(folder / "dask.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )


def _wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, "the scheduler does not start"
        time.sleep(0.1)
