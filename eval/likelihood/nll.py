"""Every term of the bound for every image of a set, whatever the batches, processes and stops.

The noise of an image at a timestep depends on the seed, the image and the timestep alone (in
the numbering of the full chain, so a subset of the steps sees the same x_t). An image's terms are
therefore the same number in whatever company it is evaluated, up to the rounding of a network's
batches, and can be kept: one JSON line an image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from diffcodec.bitstream.types import Float64, Int64, Pixels, Progress
from diffcodec.errors import OptionError
from diffcodec.eval.common.processes import spread
from diffcodec.eval.common.ranks import Ranks
from diffcodec.eval.common.records import Record, append, rows
from diffcodec.eval.likelihood.denoising import batches
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.elbo import GaussianDiffusion, Variance
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY, to_x0
from diffcodec.zoo import load_network

BATCH_PIXELS = {"cpu": 1 << 16, "cuda": 1 << 19}  # of all images in a call of the network
DIGITS = 9  # significant ones that are kept: more than a float32 network has
# With a stride, every image still meets t = 1..10: half of all bits, and most of the variance
# between images, lie in these terms.
DENSE = 10


class Network(BatchDenoiser, Protocol):
    """A denoiser with a name for its weights."""

    fingerprint: str


@dataclass(frozen=True)
class Settings:
    """What the terms of an image depend on besides network and pixels.

    chain: "linear", "cosine" with so many of the T = 1000 `steps`; sigma2: the variance of p_theta.
    stride m > 1: each image meets t = 1..10 and every m-th of the other steps; which ones rotates
    from image to image in random order, so that every term is still the mean of an unbiased
    sample of the images and the cost falls m-fold. levels: noise variances, increasing,
    that make another chain of so many steps; errors: what GaussianDiffusion expects at each step.
    """

    chain: str = "linear"
    steps: int = 1000
    sigma2: Variance = "beta"
    stride: int = 1
    seed: int = 0
    levels: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()

    @property
    def schedule(self) -> Schedule:
        """Raises ValueError for a chain that does not exist."""
        if self.levels:
            return Schedule.of_noise(self.chain, self.levels)
        return Schedule.named(self.chain).respaced(self.steps)

    @property
    def diffusion(self) -> GaussianDiffusion:
        """q and p_theta."""
        errors = np.array(self.errors) if self.errors else None
        return GaussianDiffusion(self.schedule, self.sigma2, error=errors)

    def offsets(self, N: int) -> Int64:
        """Which steps each of N images meets with a stride, (N,) in 0 .. stride - 1.

        Raises OptionError for a stride above N: some steps would be met by no image.
        """
        if self.stride > N:
            raise OptionError(f"the stride must lie between 1 and the number of images, {N}")
        return np.asarray(np.random.default_rng(self.seed).permutation(N) % self.stride)


@dataclass(frozen=True, eq=False)
class NamedImage:
    """(H, W, C) uint8 pixels and the timesteps they meet; key: of all that its terms depend on."""

    name: str
    pixels: Pixels
    t: Int64
    key: str


@dataclass(frozen=True, eq=False)
class Terms:
    """The bound of N images, as diffcodec.theory.elbo.BpdTerms: bits/dim, and MSE in x0
    units.

    prior: (N,); vb, mse: (N, T), column t - 1 holds L_{t-1}; NaN: not evaluated (stride).
    """

    prior: Float64
    vb: Float64
    mse: Float64


def plan(T: int, stride: int, offset: Int64) -> Int64:
    """(K, N) timesteps, row by row, 0 for none: 1..DENSE for all, then every stride-th of the rest
    with each image's `offset` (N,) in 0..stride - 1."""
    dense = np.arange(1, min(T, DENSE) + 1)
    sparse = np.arange(DENSE + 1, T + 1, stride)
    rows = np.concatenate([dense[:, None] + 0 * offset, sparse[:, None] + offset])
    rows[rows > T] = 0
    return np.asarray(rows[rows.any(axis=1)][::-1], dtype=np.int64)


def images_of(
    named: Sequence[tuple[str, Pixels]], settings: Settings, fingerprint: str
) -> list[NamedImage]:
    """Names and pixels with the work that each needs."""
    T, own = settings.schedule.T, [settings.levels, settings.errors]
    plans = plan(T, settings.stride, settings.offsets(len(named)))  # (K, N)
    images = []
    for (name, pixels), column in zip(named, plans.T, strict=True):
        t = column[column > 0]
        about = [fingerprint, settings.chain, T, settings.sigma2, settings.seed, t.tolist()]
        about += own if any(own) else []
        key = hashlib.sha256(_digest(pixels) + json.dumps(about).encode()).hexdigest()
        images.append(NamedImage(name, pixels, t, key))
    return images


def _digest(pixels: Pixels) -> bytes:
    shape = json.dumps(pixels.shape).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).digest()


def noise(pixels: Pixels, timestep: int, seed: int) -> Float64:
    """N(0, 1) for one image at one timestep of the full chain: (C, H, W) float64."""
    height, width, channels = pixels.shape
    words = np.frombuffer(_digest(pixels), "<u4").tolist()
    return np.random.default_rng([seed, timestep, *words]).standard_normal(
        (channels, height, width)
    )


def measure(
    denoiser: BatchDenoiser,
    settings: Settings,
    batch: Callable[[Pixels], int],
    images: Sequence[NamedImage],
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
) -> Callable[[Sequence[NamedImage]], list[Record]]:
    """`measure` with a network of its own: what a worker process starts with."""
    return partial(measure, load_network(model, device, threads, backend), settings, batch)


def batch_size(device: str, given: int | None, pixels: Pixels) -> int:
    """Images of this size in a call of the network."""
    kind = device.partition(":")[0]
    return given or max(1, BATCH_PIXELS[kind] // (pixels.shape[0] * pixels.shape[1]))


def evaluate(
    denoiser: BatchDenoiser,
    images: Sequence[NamedImage],
    settings: Settings,
    *,
    batch: Callable[[Pixels], int],
    ranks: Ranks | None = None,
    worker: Callable[[], Callable[[Sequence[NamedImage]], list[Record]]] | None = None,
    processes: int = 1,
    path: Path | None = None,
    progress: Progress | None = None,
) -> Terms | None:
    """The terms of all images, in their order; None on all ranks but the first.

    What `path` (JSONL) holds is not evaluated again. worker: starts a process's `measure`, needed
    where processes > 1; batch: how many images of a size make a batch.
    """
    ranks = ranks or Ranks()
    known: dict[str, Record] = {}
    if ranks.first:
        wanted = {image.key for image in images}
        known = {row["key"]: _compact(row) for row in rows(path) if row["key"] in wanted}
    done = ranks.broadcast(set(known))
    # One image a key: copies of an image have the same noise and the same terms.
    todo = list({p.key: p for p in images if p.key not in done}.values())[ranks.share]
    jobs = _jobs(todo, batch, processes)
    total, count = sum(len(image.t) for image in todo), 0

    def report(pairs: int) -> None:
        nonlocal count
        count += pairs
        if progress:
            progress(count, total)

    here = partial(measure, denoiser, settings, batch, report=report)
    if processes > 1:
        assert worker is not None
    for i, found in spread(worker if processes > 1 and worker else lambda: here, jobs, processes):
        for row in found:
            append(path, row)
            known[row["key"]] = _compact(row)
        if processes > 1:
            report(sum(len(image.t) for image in jobs[i]))
    parts = ranks.gather({key: row for key, row in known.items() if key not in done})
    if parts is None:
        return None
    for part in parts:
        known.update(part)
    return _terms([known[image.key] for image in images], settings.schedule.T)


def _jobs(
    images: Sequence[NamedImage], batch: Callable[[Pixels], int], processes: int
) -> list[list[NamedImage]]:
    """Images of one size that fill a batch together, but no more: a stop loses what is open."""
    by_shape: dict[tuple[int, ...], list[NamedImage]] = {}
    for image in images:
        by_shape.setdefault(image.pixels.shape, []).append(image)
    jobs = []
    for alike in by_shape.values():
        size = max(1, batch(alike[0].pixels) // len(alike[0].t))
        size = min(size, -(-len(alike) // processes))
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
