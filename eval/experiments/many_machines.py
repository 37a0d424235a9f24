"""Many small images by processes of this machine, and by the workers of an engine.

The same command, `diffcodec encode`, with `-j 1`, `-j 2`, and with `--dask`: a scheduler and two
workers of one thread each, all on this machine. Then again with one of the workers killed in the
middle. All have to write the same files.

    python -m diffcodec.eval.experiments.many_machines tests/images --json many-machines.json
"""

from __future__ import annotations

import filecmp
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_named
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.image import save
from diffcodec.progressive.effort import EFFORTS
from diffcodec.zoo import find, stated_fingerprint

Process = subprocess.Popen[bytes]

WAIT = 60  # seconds for an engine's processes
LOOK = 0.05  # seconds between looks at what is done


def crops(images: Sequence[Pixels], side: int, count: int) -> Iterator[Pixels]:
    """So many (side, side, C) from images, in turns: a whole one of that size, else some part."""
    rng = np.random.default_rng(0)
    large = [pixels for pixels in images if min(pixels.shape[:2]) >= side]
    if not large:
        raise click.ClickException(f"there is no image of at least {side} x {side} pixels")
    for i in range(count):
        pixels = large[i % len(large)]
        top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
        yield pixels[top : top + side, left : left + side]


class Run:
    """A command that encodes the folder `in` into another one, and how far it is."""

    def __init__(self, folder: Path, name: str, words: Sequence[str]) -> None:
        self.out, self.began = folder / name, time.time()
        command = [sys.executable, "-m", "diffcodec", "encode", "in", "-o", name, *words, "-q"]
        self.process = subprocess.Popen(command, cwd=folder)

    def done(self) -> int:
        """Files that are there."""
        return len(files_in(self.out))

    def wait_for(self, count: int) -> int:
        """Until so many files are there; how many are."""
        while (done := self.done()) < count and self.process.poll() is None:
            time.sleep(LOOK)
        return done

    def finish(self) -> dict[str, float]:
        """Wait for its end: seconds in all, to the first file, and images a second after that."""
        if self.process.wait():
            raise click.ClickException("diffcodec encode failed")
        seconds = time.time() - self.began
        written = sorted(path.stat().st_mtime for path in files_in(self.out))
        spent = max(written[-1] - written[0], LOOK)
        return {
            "seconds": seconds,
            "first_seconds": written[0] - self.began,
            "images_per_second": (len(written) - 1) / spent,
        }


def files_in(folder: Path) -> list[Path]:
    """Results in a folder; none of one that is not there yet."""
    return sorted(folder.glob("*.dfc"))


@contextmanager
def engine(folder: Path, workers: int = 2) -> Iterator[tuple[str, list[Process]]]:
    """A scheduler's address, and its workers of one thread; nobody starts these again."""
    stated = folder / "scheduler.json"
    with open(folder / "engine.log", "ab") as log, ExitStack() as started:

        def start(module: str, *words: str) -> Process:
            command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *words]
            command += ["--scheduler-file", str(stated)]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            started.callback(process.wait)
            started.callback(process.terminate)
            return process

        started.callback(stated.unlink, missing_ok=True)
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        address = _address(stated)
        one = ("dask_worker", "--nthreads", "1", "--no-nanny")
        processes = [start(*one) for _ in range(workers)]
        _wait_for_workers(address, workers)
        yield address, processes


def _address(path: Path) -> str:
    """That a scheduler states in its file."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            return str(json.loads(path.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(LOOK)
    raise click.ClickException("the dask scheduler does not start")


def _wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=WAIT)


def survey(folder: Path, words: Sequence[str]) -> tuple[list[Result], Result]:
    """The runs, and the one with a worker killed; `folder` has the images in `in`."""
    count = len(list((folder / "in").iterdir()))
    runs: list[Result] = []
    for processes in (1, 2):
        run = Run(folder, f"j{processes}", [*words, "-j", str(processes)])
        runs.append({"how": f"-j {processes}", **run.finish()})
    with engine(folder) as (address, _):
        run = Run(folder, "dask", [*words, "--dask", address])
        runs.append({"how": "two dask workers", **run.finish()})
    with engine(folder) as (address, workers):
        run = Run(folder, "killed", [*words, "--dask", address])
        done = run.wait_for(count // 2)
        workers[0].send_signal(signal.SIGKILL)
        killed: Result = {"done": done, **run.finish()}
    for name in ("j2", "dask", "killed"):
        same = equal(folder / "j1", folder / name)
        if not same:
            raise click.ClickException(f"the files of {name} are others than those of -j 1")
    return runs, {**killed, "equal": True}


def equal(one: Path, other: Path) -> bool:
    """Whether two folders have the same results, byte for byte."""
    names = [path.name for path in files_in(one)]
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    return len(same) == len(names) == len(files_in(other))


@options.measurement
@options.data_argument
@options.set_options
@click.option("--side", type=click.IntRange(8), default=32, show_default=True, help="Pixels.")
@click.option("--effort", type=click.Choice(list(EFFORTS)), default="fast", show_default=True)
@options.model_option("cifar10")
@options.json_option
def main(
    data: Path,
    split: str,
    tile: int,
    count: int | None,
    side: int,
    effort: str,
    model: str,
    json_path: Path | None,
) -> None:
    """Encode parts of the images of DATA, 1,000 by default, in processes and by dask's workers."""
    count = count or 1000
    images = load_named(data, split, tile, count, lambda line: click.echo(line, err=True))
    words = ("--effort", effort, "-m", str(find(model).resolve()), "--threads", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        pixels = [image.pixels for image in images]
        for i, part in enumerate(crops(pixels, side, count)):
            save(part, folder / "in" / f"{i:05}.png")
        runs, killed = survey(folder, words)
        size = sum(path.stat().st_size for path in files_in(folder / "j1"))
    fingerprint = stated_fingerprint(find(model))
    result: Result = {
        "runs": runs,
        "killed": killed,
        "images": count,
        "side": side,
        "bytes": size,
        "effort": effort,
        "model": {"name": find(model).stem, "fingerprint": fingerprint and fingerprint.hex()},
        **provenance(__name__, threads=1, processes=2, distributed=metadata.version("distributed")),
    }
    write_result(json_path, result)
    click.echo(to_text(result))


def to_text(result: Result) -> str:
    """For people."""
    from tabulate import tabulate

    rows: list[list[Any]] = [list(run.values()) for run in result["runs"]]
    killed = result["killed"]
    rows.append([f"one of two killed after {killed['done']}", *list(killed.values())[1:4]])
    head = ["run", "seconds", "to the first", "images/s after it"]
    return tabulate(rows, head, floatfmt=".2f")


if __name__ == "__main__":
    main()
