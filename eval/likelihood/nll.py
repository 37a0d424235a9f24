"""Every term of the bound for every image of a set, whatever the batches, processes and stops.

An image's noise depends on nothing but the image, the timestep and the seed (plan.py). Its terms
are therefore the same numbers in whatever company it is evaluated, up to the rounding of a
network's batches, and can be kept: one JSON line an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float64, Pixels, Progress
from diffcodec.eval.common.processes import network_of, spread
from diffcodec.eval.common.ranks import Ranks
from diffcodec.eval.common.records import Record, append, rows
from diffcodec.eval.likelihood.denoising import batches
from diffcodec.eval.likelihood.plan import PlannedImage, Settings, noise
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.units import GREY, to_x0

BATCH_PIXELS = {"cpu": 1 << 16, "cuda": 1 << 19}  # of all images in a call of the network
DIGITS = 9  # significant ones that are kept: more than a float32 network has


@dataclass(frozen=True, eq=False)
class Terms:
    """The bound of N images, as diffcodec.theory.elbo.BpdTerms: bits/dim, and MSE in x0 units.

    prior: (N,); vb, mse: (N, T), column t - 1 holds L_{t-1}; NaN: not evaluated (stride).
    """

    prior: Float64
    vb: Float64
    mse: Float64


def measure(
    denoiser: BatchDenoiser,
    settings: Settings,
    batch: Callable[[Pixels], int],
    images: Sequence[PlannedImage],
    report: Callable[[int], None] = lambda count: None,
) -> list[Record]:
    """The records of images of one size, (image, t) pairs in batches; report: pairs done."""
    diffusion = settings.diffusion
    schedule = diffusion.schedule
    x_0 = to_x0(np.stack([image.pixels for image in images]))
    n = np.repeat(np.arange(len(images)), [len(image.t) for image in images])
    t = np.concatenate([image.t for image in images])
    vb, mse = np.empty(len(t)), np.empty(len(t))
    for part in batches(len(t), batch(images[0].pixels)):
        draws = [
            noise(images[i].pixels, int(schedule.timesteps[j - 1]), settings.seed)
            for i, j in zip(n[part], t[part], strict=True)
        ]
        x_t = diffusion.q_sample(x_0[n[part]], t[part], np.stack(draws))
        vb[part], mse[part] = diffusion.vb_terms_bpd(denoiser, x_0[n[part]], x_t, t[part])
        report(len(draws))
    prior = diffusion.prior_bpd(x_0)
    return [
        {
            "key": image.key,
            "name": image.name,
            "shape": list(image.pixels.shape),
            "L_T_bpd": _kept(prior[i]),
            "t": image.t.tolist(),
            "L_bpd": [_kept(x) for x in vb[n == i]],
            "mse_grey": [_kept(x * GREY**2) for x in mse[n == i]],
        }
        for i, image in enumerate(images)
    ]


def _kept(number: float) -> float:
    """As the file holds it, so that a resumed run ends with the same numbers."""
    return float(f"{number:.{DIGITS}g}")


def measurer(
    model: str,
    device: str,
    threads: int,
    settings: Settings,
    batch: Callable[[Pixels], int],
    backend: str | None = None,
    label: int | None = None,
) -> Callable[[Sequence[PlannedImage]], list[Record]]:
    """`measure` with a network that is read once in a process: what other processes call."""
    return partial(measure, network_of(model, device, threads, backend, label), settings, batch)


def batch_size(device: str, given: int | None, pixels: Pixels) -> int:
    """Images of this size in a call of the network."""
    kind = device.partition(":")[0]
    return given or max(1, BATCH_PIXELS[kind] // (pixels.shape[0] * pixels.shape[1]))


def evaluate(
    denoiser: BatchDenoiser,
    images: Sequence[PlannedImage],
    settings: Settings,
    *,
    batch: Callable[[Pixels], int],
    ranks: Ranks | None = None,
    worker: Callable[[], Callable[[Sequence[PlannedImage]], list[Record]]] | None = None,
    pool: Executor | None = None,
    jobs: int = 1,
    path: Path | None = None,
    progress: Progress | None = None,
) -> Terms | None:
    """The terms of all images, in their order; None on all ranks but the first.

    What `path` (JSONL) holds is not evaluated again. pool: where it is done, None for in this
    process; worker: makes `measure` in another process, needed with a pool; jobs: how many there
    are at least, if the images allow; batch: how many images of a size make a batch.
    """
    ranks = ranks or Ranks()
    known: dict[str, Record] = {}
    if ranks.first:
        wanted = {image.key for image in images}
        known = {row["key"]: _compact(row) for row in rows(path) if row["key"] in wanted}
    done = ranks.broadcast(set(known))
    # One image a key: copies of an image have the same noise and the same terms.
    todo = list({p.key: p for p in images if p.key not in done}.values())[ranks.share]
    work = _jobs(todo, batch, jobs)
    total, count = sum(len(image.t) for image in todo), 0

    def report(pairs: int) -> None:
        nonlocal count
        count += pairs
        if progress:
            progress(count, total)

    here = partial(measure, denoiser, settings, batch, report=report)
    assert pool is None or worker is not None
    for i, found in spread(worker if pool and worker else lambda: here, work, pool):
        for row in found:
            append(path, row)
            known[row["key"]] = _compact(row)
        if pool is not None:
            report(sum(len(image.t) for image in work[i]))
    parts = ranks.gather({key: row for key, row in known.items() if key not in done})
    if parts is None:
        return None
    for part in parts:
        known.update(part)
    return _terms([known[image.key] for image in images], settings.schedule.T)


def _jobs(
    images: Sequence[PlannedImage], batch: Callable[[Pixels], int], least: int
) -> list[list[PlannedImage]]:
    """Images of one size that fill a batch together, but no more: a stop loses what is open."""
    by_shape: dict[tuple[int, ...], list[PlannedImage]] = {}
    for image in images:
        by_shape.setdefault(image.pixels.shape, []).append(image)
    jobs = []
    for alike in by_shape.values():
        size = max(1, batch(alike[0].pixels) // len(alike[0].t))
        size = min(size, -(-len(alike) // least))
        jobs += [alike[part] for part in batches(len(alike), size)]
    return jobs


def _compact(row: dict[str, Any]) -> Record:
    """A record as arrays: a large set's records fit in memory only so."""
    return {
        "prior": float(row["L_T_bpd"]),
        "t": np.array(row["t"], np.int64),
        "vb": np.array(row["L_bpd"], np.float64),
        "mse": np.array(row["mse_grey"], np.float64) / GREY**2,
    }


def _terms(found: Sequence[Record], T: int) -> Terms:
    vb, mse = np.full((2, len(found), T), np.nan)
    for i, row in enumerate(found):
        vb[i, row["t"] - 1], mse[i, row["t"] - 1] = row["vb"], row["mse"]
    return Terms(np.array([row["prior"] for row in found]), vb, mse)
