"""Rate-distortion of the progressive codec, measured on files, beside what theory asks for.

Every image is encoded once, as its own file. The file is cut at a grid of sizes, every cut is
decoded, and rate is what the cut file weighs, header and all. Beside it stand, for the same
network, images and steps, the two rates an ideal coder would need up to each noise level: the sum
of the KL divergences L_{t-1} of DDPM's p_theta (equal variances), and the sum of the mutual
informations 1/2 log2(1 + sigma^2), which is what the widened p_theta of this codec costs.

The lossless end is a number of its own: a file that does not come back exactly is counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffcodec import __version__
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.data import digest
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import save
from diffcodec.eval.common.environment import peak_memory_bytes
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.common.records import Record, collect, key_of
from diffcodec.eval.common.similarity import similarities
from diffcodec.eval.rd import pooling
from diffcodec.eval.rd.room import HEADER
from diffcodec.progressive.residual import RESIDUAL, Residual, Switch
from diffcodec.theory.units import GREY

if TYPE_CHECKING:
    from diffcodec.accounting.trace import Clock, Trace
    from diffcodec.codec import Codec


@dataclass(frozen=True)
class Settings:
    """What an image's record depends on, besides its pixels and the network."""

    cuts_bpp: tuple[float, ...]
    chain: str | None = None
    threads: int = 1
    reconstructions: str | None = None  # folder for the decoded cuts
    effort: str = "default"
    backend: str | None = None  # as in Codec.from_pretrained
    switch: Switch | None = None  # this and the next: as in Codec.encode
    residual: Residual = RESIDUAL
    label: int | None = None


def measure(codec: Codec, settings: Settings, image: NamedImage) -> Record:
    """Encode an image, decode every cut and the whole: one JSON record.

    Errors are MSE in grey levels squared: of 8-bit pixels in "cuts"; in "steps" of x0_hat, not
    rounded, after the step. Decoded cuts go to the folder of the settings. A stack of images is
    one file (diffcodec.eval.rd.joint); "part_mse" has the error of each in a cut.
    """
    from diffcodec.accounting.trace import Clock, Trace
    from diffcodec.eval.rd.joint import as_one

    pixels, label = image.pixels, settings.label
    if image.parts > 1:
        codec, label = as_one(codec, pixels.shape[0] // image.parts, label), None
    trace, clock = Trace(), Clock()
    start = time.perf_counter()
    data = codec.encode(
        pixels,
        effort=settings.effort,
        chain=settings.chain,
        switch=settings.switch,
        residual=settings.residual,
        label=label,
        trace=trace,
    )
    encoded = time.perf_counter()
    exact = _exact(codec, data, pixels, clock)
    decoded = time.perf_counter()
    budgets = [int(b * pixels.shape[0] * pixels.shape[1] / 8) for b in settings.cuts_bpp]
    record: Record = {
        "codec": "diffcodec",
        "name": image.name,
        "sha256": digest([pixels]),
        "shape": list(pixels.shape),
        "bytes": len(data),
        "exact": exact,
        "cuts": _cuts(codec, data, budgets, image, settings),
        "prior_mse": (trace.steps[0].mse if trace.steps else trace.final_mse) * GREY**2,
        "steps": _steps(trace),
        "lossless_ideal_bits": trace.lossless_bits,
        "lossless_bytes": trace.lossless_bytes,
        "encode_seconds": _seconds(trace.clock, encoded - start),
        "decode_seconds": _seconds(clock, decoded - encoded),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return record


def _exact(codec: Codec, data: bytes, pixels: Pixels, clock: Clock) -> bool:
    """Does the whole file come back exactly? A decoder that refuses it counts as no."""
    try:
        whole = codec.decode(data, clock=clock)
    except ValueError as error:
        print(f"a whole file was refused: {error}", file=sys.stderr)
        return False
    return whole.lossless and np.array_equal(whole.pixels, pixels)


def _cuts(
    codec: Codec, data: bytes, budgets: Sequence[int], image: NamedImage, settings: Settings
) -> list[Record | None]:
    """Every cut decoded, None where the budget (bytes, rising) is no cut or barely holds a header.

    What cuts share is decoded once; "seconds" counts from the start, so it is a little more than
    decoding this cut alone would take.
    """
    sizes = [size for size in budgets if HEADER <= size < len(data)]
    seconds, records, start = 0.0, {}, time.perf_counter()
    for size, decoded in zip(sizes, codec.decode_cuts(data, sizes), strict=True):
        seconds += time.perf_counter() - start
        records[size] = {
            "bytes": size,
            "mse": metrics.mse(decoded.pixels, image.pixels),
            **_similarity(decoded.pixels, image),
            "steps": decoded.steps,
            "seconds": seconds,
        }
        if settings.reconstructions is not None:
            bpp = settings.cuts_bpp[budgets.index(size)]
            name = f"{image.name}-{bpp:g}bpp.png"
            save(decoded.pixels, Path(settings.reconstructions) / "diffcodec" / name)
        start = time.perf_counter()  # the decoder's time alone
    return [records.get(size) for size in budgets]


def _similarity(decoded: Pixels, image: NamedImage) -> Record:
    """What else is known of a decoded cut: of an image SIMILARITIES, of a stack parts' errors."""
    if image.parts == 1:
        return {**similarities(image.pixels, decoded)}
    pairs = (np.split(pixels, image.parts) for pixels in (decoded, image.pixels))
    return {"part_mse": [metrics.mse(*pair) for pair in zip(*pairs, strict=True)]}


def _steps(trace: Trace) -> list[Record]:
    if not trace.steps:
        return []  # a tiny image
    after = [step.mse for step in trace.steps[1:]] + [trace.final_mse]
    return [
        {
            "sigma_grey": float(np.sqrt(step.v_to) * GREY),
            "mse": mse * GREY**2,
            "bytes": step.bytes_so_far,
            "kl_bits": step.kl_bits,
            "mi_bits": step.mi_bits,
            "path_bits": step.path_bits,
            "side_bits": step.side_bits,
        }
        for step, mse in zip(trace.steps, after, strict=True)
    ]


def _seconds(clock: Clock, total: float) -> dict[str, float]:
    """Wall time, split: the network, the relative entropy coder, all the rest."""
    rest = total - clock.network - clock.trellis
    return {"total": total, "network": clock.network, "trellis": clock.trellis, "rest": rest}


def measurer(model: str, settings: Settings) -> Callable[[NamedImage], Record]:
    """`measure` with a codec that is read once in a process: what other processes call."""
    from diffcodec.api import load_codec

    return partial(measure, load_codec(model, settings.threads, settings.backend), settings)


def record_key(codec: Codec, settings: Settings, image: NamedImage) -> str:
    """Names an image's record by all it depends on."""
    pixels = image.pixels
    chosen = {k: v for k, v in asdict(settings).items() if k != "label" or v is not None}
    about: list[Any] = [codec.fingerprint.hex(), __version__, pixels.shape, chosen]
    about += [image.parts] if image.parts > 1 else []
    return key_of(about, pixels)


def evaluate(
    codec: Codec,
    images: Sequence[NamedImage],
    settings: Settings,
    *,
    small: Sequence[str] = (),
    model: str | None = None,
    pool: Executor | None = None,
    path: Path | None = None,
    progress: Progress | None = None,
) -> Record:
    """The mean curves of `pooling.pool` over images, "results" in CompressAI's form first.

    small: names of images whose cuts do not count (diffcodec.eval.rd.room), "too_small" there.
    pool: where it is done, None for in this process; model: what other processes load, needed with
    a pool; path: a JSONL file to resume from.
    """
    assert pool is None or model is not None
    rows = collect(
        partial(partial, measure, codec, settings)
        if pool is None or model is None
        else partial(measurer, model, settings),
        images,
        [record_key(codec, settings, image) for image in images],
        pool=pool,
        path=path,
        progress=progress,
    )
    most = max(image.parts for image in images)
    what = "an image" if most == 1 else f"for {most} images"
    return {
        "name": f"diffcodec {codec.name}" + (f", {most} images a file" if most > 1 else ""),
        "description": f"One file {what}, cut at each rate; whole-file bytes; 8-bit PSNR in RGB.",
        **pooling.pool(rows, small),
        "too_small": list(small),
        "model": {
            "name": codec.name,
            "fingerprint": codec.fingerprint.hex(),
            "effort": settings.effort,
            "chain": settings.chain or "default",
            "steps": float(np.mean([len(row["steps"]) for row in rows])),
        },
    }


def summary(result: Record) -> str:
    """The curve, then the lossless end and the cost in seconds and memory, as text."""
    rows = zip(*(result["results"][k] for k in ("bpp", "psnr-rgb", "psnr-rgb-pooled")), strict=True)
    lines = ["    bpp  mean PSNR  pooled PSNR (dB)"]
    lines += [f"{b:7.3f} {'-' if p is None else f'{p:.2f}':>10} {q:12.2f}" for b, p, q in rows]
    if result["results"]["bpp"] and not result["theory"]["bpp"]:
        lines.append("no theory beside it: at every rate a cut lies in an image's exact pixels")
    end = result["lossless"]
    error = "" if end["standard_error"] is None else f" +- {end['standard_error']:.4f}"
    over = end["overhead_percent_over_mi"]
    lines.append(
        f"lossless: {end['bpd']:.4f}{error} bits/dim, {end['exact']} of {end['images']} exact"
        + ("" if over is None else f", {over:.1f} % over the ideal")
    )
    for way, seconds in result["seconds_per_picture"].items():
        parts = ", ".join(f"{part} {seconds[part]:.2f}" for part in ("network", "trellis", "rest"))
        lines.append(f"{way} {seconds['total']:.2f} s an image ({parts})")
    if result["peak_memory_bytes"]:
        lines.append(f"peak memory {result['peak_memory_bytes'] / 2**20:.0f} MiB")
    return "\n".join(lines)
