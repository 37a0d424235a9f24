"""Jobs in this process, in several, and on an engine, of which a worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffcodec.errors import CheckpointError, WorkerError, sentence
from diffcodec.executors import Attempt, Failed, _signals_wait, executor, run_jobs
from tests.engine import ROOT, engine
from tests.jobs import dying, fussy, squared, written


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_with_the_numbers_of_their_jobs(processes: int) -> None:
    with executor(processes) as pool:
        found = dict(run_jobs(pool, squared, range(9)))
    assert {number: square for number, (square, _) in found.items()} == {
        number: number * number for number in range(9)
    }
    here = {process == os.getpid() for _, process in found.values()}
    assert here == {processes == 1}


def test_one_process_works_when_a_result_is_asked_for() -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for number in range(10**9):
            taken.append(number)
            yield number

    with executor() as pool:
        results = run_jobs(pool, squared, jobs())
        assert [next(results)[1][0] for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 4


def test_jobs_are_taken_as_workers_get_free() -> None:
    numbers = iter(range(10**9))
    with executor(2) as pool:
        results = run_jobs(pool, squared, numbers)
        next(results)
        assert next(numbers) <= 6
        results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_attempt_fails_in_a_sentence(processes: int) -> None:
    with executor(processes) as pool:
        found = dict(run_jobs(pool, Attempt(fussy), [1, 2, 3, 5]))
        assert found == {0: 1, 1: 2, 2: Failed("3 is not liked"), 3: 5}
        with pytest.raises(KeyError):
            list(run_jobs(pool, Attempt(fussy), [4]))


def test_a_worker_that_dies_is_told_in_a_sentence() -> None:
    with pytest.raises(WorkerError, match="a worker process died"), executor(2) as pool:
        list(run_jobs(pool, dying, [1]))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CheckpointError("it is torn"), "it is torn"),
        (FileNotFoundError(2, "No such file", "a.png"), "a.png: No such file"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (MemoryError(), "there is not enough memory for this"),
        (RuntimeError("not enough memory: you tried"), "there is not enough memory for this"),
        (RuntimeError("a bug"), None),
        (ValueError("a bug"), None),
    ],
)
def test_sentences(error: Exception, expected: str | None) -> None:
    assert sentence(error) == expected


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_workers_at_once_and_removes_what_they_had_begun(
    tmp_path: Path, number: int
) -> None:
    """Like Ctrl-C, and like a system that shuts down: all processes get the signal."""
    script = f"""
        import signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from diffcodec.executors import executor, run_jobs
        from tests.jobs import endless

        def end(*_):
            raise KeyboardInterrupt

        if __name__ == "__main__":
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, end)
            with executor(2) as pool:
                list(run_jobs(pool, endless, [Path({str(tmp_path)!r})] * 8))
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(script))
    with subprocess.Popen(
        [sys.executable, str(program)], start_new_session=True, stderr=subprocess.PIPE
    ) as process:
        end = time.monotonic() + 60
        while len(list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        began = time.monotonic()
        os.killpg(process.pid, number)
        process.wait(60)
        assert time.monotonic() - began < 5
        assert process.stderr is not None
        told = process.stderr.read()
        assert (
            b"Traceback" in told and b"SpawnProcess" not in told
        )  # of the program, not of workers
    time.sleep(0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_worker_that_has_half_begun(number: int) -> None:
    class Ended(BaseException): ...

    def end(*_: object) -> None:
        raise Ended

    before, done = signal.signal(number, end), []
    try:
        with pytest.raises(Ended), _signals_wait():
            signal.raise_signal(number)
            done.append("begun")
        assert done == ["begun"] and signal.getsignal(number) is end
    finally:
        signal.signal(number, before)


# --- an engine ----------------------------------------------------------------------------------


def test_an_engine_that_is_not_there_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("diffcodec.executors.CONNECT", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://nowhere"):
        with pytest.raises(WorkerError, match="no dask scheduler answers"), executor(1, address):
            pass


def test_without_distributed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WorkerError, match=r"pip install 'diffcodec\[dask\]'"), executor(1, "a"):
        pass


@pytest.mark.slow
def test_an_engine_goes_on_when_a_worker_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    results = tmp_path / "results"
    results.mkdir()
    paths = [results / f"{i}.txt" for i in range(12)]
    with engine(tmp_path, 2) as (address, workers), executor(1, address) as pool:
        found: dict[int, int] = {}
        killed = 0
        for number, process in run_jobs(pool, written, paths):
            found[number] = process
            if not killed and len(set(found.values())) == 2:
                (victim,) = (worker for worker in workers if worker.pid == process)
                victim.kill()
                killed = victim.pid
        assert killed and list(found.values()).count(killed) < 6
        assert {number: int(path.read_bytes()) for number, path in enumerate(paths)} == found
        assert sorted(results.iterdir()) == sorted(paths)
        failed = list(run_jobs(pool, Attempt(fussy), [1, 3]))
        assert sorted(failed, key=lambda pair: pair[0]) == [(0, 1), (1, Failed("3 is not liked"))]
