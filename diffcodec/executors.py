"""Where jobs run: in this process, in several of this machine, or on the machines of an engine.

Jobs are functions of a module's level and arguments, all picklable; results do not depend on where
they run. What a job writes, it writes as a whole (files.write_atomic), so that a worker may die and
its job run again elsewhere.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait as wait_for
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from diffcodec.errors import WorkerError, sentence
from diffcodec.files import remove_parts

if TYPE_CHECKING:
    from distributed import Client

Job = TypeVar("Job")
Result = TypeVar("Result")
P = ParamSpec("P")

CONNECT = 10  # seconds to wait for an engine
GRACE = 1.0  # seconds that a worker has to put its things away
AHEAD = 64  # jobs that an executor of unknown size gets at a time


@contextmanager
def executor(processes: int = 1, dask: str | None = None) -> Iterator[Executor]:
    """What runs jobs: `processes` of this machine, 1 for this one itself, or a dask.distributed
    scheduler at the address `dask`, whose workers have this package and see the same files.

    Leaving it by an exception, Ctrl-C say, ends what still runs. Raises WorkerError where there is
    no such engine.
    """
    if dask is not None:
        with _engine(dask) as pool:
            yield pool
    elif processes == 1:
        yield Here()
    else:
        with _spawned(processes) as pool:
            yield pool


def run_jobs(
    pool: Executor, function: Callable[[Job], Result], jobs: Iterable[Job]
) -> Iterator[tuple[int, Result]]:
    """(number of the job, its result), as they are done.

    Jobs are taken from `jobs` as workers get free, so that there may be many. What a job raises is
    raised here and ends the rest, unless the function is an `Attempt`. Raises WorkerError where a
    worker dies and nobody runs its job again.
    """
    ahead = getattr(pool, "ahead", AHEAD)
    numbered = enumerate(jobs)
    running: dict[Future[Result], int] = {}
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    try:
        while True:
            for number, job in islice(numbered, ahead - len(running)):
                future = pool.submit(function, job)
                running[future] = number
                future.add_done_callback(done.put)
            if not running:
                return
            future = done.get()
            yield running.pop(future), future.result()
    except BrokenExecutor as error:
        raise WorkerError(
            "a worker process died, perhaps for want of memory; try fewer processes"
        ) from error
    finally:
        for future in running:
            future.cancel()


@dataclass(frozen=True)
class Failed:
    """What came of a job that cannot be done: a sentence."""

    reason: str


@dataclass(frozen=True)
class Attempt(Generic[Job, Result]):
    """A function whose errors that a user can mend are a result, so that other jobs go on."""

    function: Callable[[Job], Result]

    def __call__(self, job: Job) -> Result | Failed:
        """The result; or why there is none. Raises what is a fault of the program."""
        try:
            return self.function(job)
        except Exception as error:
            if (reason := sentence(error)) is None:
                raise
            return Failed(reason)


class Here(Executor):
    """Runs a job in this process, at the moment that it is submitted."""

    ahead = 1

    def submit(
        self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[Result]:
        """A future that is done; what interrupts the job is raised at once."""
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


# --- processes of this machine ------------------------------------------------------------------


class _Processes(ProcessPoolExecutor):
    """Spawned, not forked: a fork of a process whose libraries run threads may hang."""

    def __init__(self, processes: int) -> None:
        super().__init__(processes, multiprocessing.get_context("spawn"), _start_worker)
        self.ahead = 2 * processes

    def submit(
        self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[Result]:
        """As every executor's; a worker that starts in here never sees a Ctrl-C."""
        with _signals_wait():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _spawned(processes: int) -> Iterator[Executor]:
    before = set(multiprocessing.active_children())
    pool = _Processes(processes)
    try:
        yield pool
    except BaseException:
        workers = set(multiprocessing.active_children()) - before
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(GRACE)
            if worker.is_alive():  # inside a long call
                worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """What would end this process comes later: a worker that has half begun would print a
    traceback. Processes that are started meanwhile do not get Ctrl-C at all.
    """
    came, before = list[int](), dict[int, Any]()
    if threading.current_thread() is threading.main_thread():
        known = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
        for number in [n for n in known if n is not None and callable(signal.getsignal(n))]:
            before[number] = signal.signal(number, lambda n, _: came.append(n))
    masked = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else set()
    try:
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _start_worker() -> None:
    """A worker ends when its parent says so, or is no more; never by the terminal's Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end_worker())
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait_for([parent.sentinel])
        _end_worker()


def _end_worker() -> None:
    remove_parts()
    os._exit(1)


# --- an engine ----------------------------------------------------------------------------------


class Engine(Executor):
    """A dask.distributed scheduler as an executor; what dies there, it runs again elsewhere."""

    ahead = 4000  # more than workers of most clusters; a job is a few hundred bytes

    def __init__(self, client: Client) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)

    @property
    def workers(self) -> int:
        """How many there are at present."""
        return len(self._client.nthreads())

    def submit(
        self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[Result]:
        """As every executor's."""
        return self._executor.submit(fn, *args, **kwargs)  # type: ignore[no-any-return]


@contextmanager
def _engine(address: str) -> Iterator[Engine]:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise WorkerError("--dask needs distributed: pip install 'diffcodec[dask]'") from error
    for name in ("distributed", "distributed.client"):  # what ends a run is raised, in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        distributed.comm.resolve_address(address)
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"no dask scheduler answers at {address}; start one with `dask scheduler`, and name "
            "its address, tcp://HOST:8786 for instance"
        ) from error
    try:
        with _what_an_engine_raises(address):
            yield Engine(client)
    finally:
        with suppress(OSError):  # it may be gone
            client.close(timeout=GRACE)


@contextmanager
def _what_an_engine_raises(address: str) -> Iterator[None]:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise WorkerError(
            f"a job ended several workers of {address} one after another, perhaps for want of "
            "memory"
        ) from error
    except CancelledError as error:
        raise WorkerError(f"the dask scheduler at {address} is gone") from error
