"""Other codecs on the same images, sizes and measures as ours: a record a codec and image.

What a record holds is the codec's files at the budgets, and its exact file; what they mean together
is `mean_curve`'s, as for our own files. Records of different codecs may lie in one JSONL file, and
beside our own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec import __version__
from diffcodec.bitstream.types import Progress
from diffcodec.data import digest
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import File, PeerError, Point, finish
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.common.records import Record, collect, key_of
from diffcodec.eval.peers import jpegxl
from diffcodec.eval.peers.peers import Peer, exact
from diffcodec.eval.rd.mean_curve import curve


@dataclass(frozen=True)
class Job:
    """One codec on one image."""

    name: str
    peer: Peer
    image: NamedImage


def bench(
    peers: Mapping[str, Peer],
    images: Sequence[NamedImage],
    rates_bpp: Sequence[float],
    *,
    pool: Executor | None = None,
    path: Path | None = None,
    reconstructions: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Record]]:
    """The records of every image, in order, by codec.

    rates_bpp: rising; pool: where it is done, None for in this process; path: a JSONL file to
    resume from; reconstructions: a folder for the decoded images, each codec in one of its own.
    Raises PeerError for a codec that fails.
    """
    work = partial(measure, tuple(rates_bpp), reconstructions)
    jobs = [Job(name, peer, image) for name, peer in peers.items() for image in images]
    about = [*versions().values(), list(rates_bpp), str(reconstructions or "")]
    found = collect(
        partial(partial, work),
        jobs,
        [_key(job, about) for job in jobs],
        pool=pool,
        path=path,
        progress=progress,
    )
    n = len(images)
    return {name: found[i * n : (i + 1) * n] for i, name in enumerate(peers)}


def measure(rates_bpp: Sequence[float], reconstructions: Path | None, job: Job) -> Record:
    """The record of one codec and image: points at the rates' budgets, None where none fits."""
    pixels, peer = job.image.pixels, job.peer
    height, width = pixels.shape[:2]
    budgets = [int(bpp * height * width / 8) for bpp in rates_bpp]
    labels = peer.qualities or [f"{bpp:g}bpp" for bpp in rates_bpp]
    folder = reconstructions and reconstructions / job.name
    try:
        files = peer.lossy(pixels, budgets) if peer.lossy else []
        points = _finish(files, labels, job.image, folder)
        whole = exact(job.name, peer.lossless(pixels)) if peer.lossless else None
    except PeerError as error:
        raise PeerError(f"{job.name} on {job.image.name}: {error}") from error
    return {
        "codec": job.name,
        "name": job.image.name,
        "sha256": digest([pixels]),
        "shape": list(pixels.shape),
        "points": [point and asdict(point) for point in points],
        "lossless": whole and asdict(whole),
    }


def _finish(
    files: Sequence[File | None], labels: Sequence[str], image: NamedImage, folder: Path | None
) -> list[Point | None]:
    done: dict[int, Point] = {}
    points: list[Point | None] = []
    for file, label in zip(files, labels, strict=True) if files else ():
        if file is not None and id(file) not in done:
            target = folder and folder / f"{image.name}-{label or 'all'}.png"
            done[id(file)] = finish(file, image.pixels, target)
        points.append(None if file is None else done[id(file)])
    return points


def pool(
    peers: Mapping[str, Peer],
    found: Mapping[str, Sequence[Record]],
    small: Collection[str] = (),
) -> tuple[Record, Record]:
    """Curves and the lossless table, by codec, from the records of `bench`.

    A codec given by a command has its exact files among the others: the smallest quality at which
    every image is exact counts as its lossless one. small: names of images that are in no curve.
    """
    curves, table = {}, {}
    for name, records in found.items():
        shapes = [tuple(record["shape"]) for record in records]
        points = [[p and Point(**p) for p in record["points"]] for record in records]
        if peers[name].lossy is not None:
            curved = [i for i, record in enumerate(records) if record["name"] not in small]
            curves[name] = curve(
                [points[i] for i in curved], [shapes[i] for i in curved], peers[name].qualities
            )
        whole = [record["lossless"] and Point(**record["lossless"]) for record in records]
        columns = [whole, *zip(*points, strict=True)] if peers[name].qualities else [whole]
        sizes = [
            [point.bytes for point in column]
            for column in columns
            if all(point is not None and point.mse == 0 for point in column)
        ]
        if sizes:
            table[name] = _lossless(min(sizes, key=sum), shapes)
    return curves, table


def _lossless(sizes: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> Record:
    rates = [metrics.bpd(size, shape) for size, shape in zip(sizes, shapes, strict=True)]
    mean, error = metrics.mean_and_error(rates)
    bpp = np.mean([metrics.bpp(size, shape) for size, shape in zip(sizes, shapes, strict=True)])
    return {"bpd": mean, "standard_error": error, "bpp": float(bpp)}


def _key(job: Job, about: Sequence[Any]) -> str:
    """Names a record by all it depends on."""
    pixels = job.image.pixels
    return key_of([job.name, job.peer.about, job.peer.qualities, pixels.shape, *about], pixels)


def versions() -> dict[str, str | None]:
    """Of what the files of other codecs depend on."""
    import PIL

    return {"diffcodec": __version__, "pillow": PIL.__version__, "cjxl": jpegxl.version()}


def summary(peers: Mapping[str, Peer], curves: Mapping[str, Record], lossless: Record) -> str:
    """Every codec's curve and the lossless sizes, as text."""
    lines = []
    for name, found in curves.items():
        if not found["bpp"]:
            lines.append(f"{peers[name].label}: no files at these rates")
            continue
        lines += [f"{peers[name].label}", "      bpp  mean PSNR  pooled PSNR (dB)"]
        columns = (found[key] for key in ("bpp", "psnr-rgb", "psnr-rgb-pooled"))
        lines += [f"  {b:7.3f} {p:10.2f} {q:12.2f}" for b, p, q in zip(*columns, strict=True)]
    if lossless:
        lines.append("lossless, bits/dim")
    ranked = sorted(lossless.items(), key=lambda item: float(item[1]["bpd"]))
    lines += [f"  {row['bpd']:7.4f}  {peers[name].label}" for name, row in ranked]
    return "\n".join(lines)
