"""The step codes in whole files of images: bytes, seconds, the noise they leave, and cuts.

After every step the state y should be x0 plus Gaussian noise of exactly the chain's variance, for
that is what the network is told. And a step that a cut leaves incomplete should lie on the curve
between the steps before and after it: what it loses there is told in dB, at two places in every
step.

    python -m diffcodec.eval.experiments.step_codes photo kodak/ --count 4 --json step-codes.json
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from diffcodec.accounting.trace import Trace
from diffcodec.api import load_codec
from diffcodec.bitstream.plan import Step
from diffcodec.codec import Codec
from diffcodec.eval.common import options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.common.results import Result, ResultError, provenance, write_result
from diffcodec.progressive.sender import psnr
from diffcodec.progressive.shared import known
from diffcodec.progressive.steps import Walk
from diffcodec.zoo import load_graph

CODES = (
    *("trellis:14", "trellis:16", "butterfly:14", "butterfly:16", "butterfly:18"),
    *("polar:32", "polar:64"),
)
SHARES = (0.42, 0.98)  # where of a polar code's 8 blocks a third is lost, and most of one
RANGES = ((0.0, 0.25), (0.25, 1.0), (1.0, 24.0))  # bpp at which a step begins


class Noise(NamedTuple):
    """Of the state after a step: its variance over the chain's, and its kurtosis."""

    variance: float
    kurtosis: float


class Cut(NamedTuple):
    """Inside a step: bpp where the step begins, and dB below the line between its ends."""

    bpp: float
    lost: float


class File(NamedTuple):
    """One image by one code; bits of its steps, spent and ideal; seconds by kind."""

    size: int
    spent: int
    ideal: float
    seconds: dict[str, float]
    noise: list[Noise]
    cuts: list[Cut]


def opened(model: str) -> Any:
    """What measures one file with a network."""
    return partial(measured, load_codec(model, 1))


def measured(codec: Codec, job: tuple[NamedImage, str]) -> File:
    """Code an image, then follow its steps."""
    image, code = job
    trace = Trace()
    data = codec.encode(image.pixels, code=code, trace=trace)
    file = codec.open(data)
    walk = Walk(codec.shared(file.header, file.chain, trace.clock))
    kinds = {kind: round(getattr(trace.clock, kind), 3) for kind in ("total", "network", "trellis")}
    noise, cuts = list[Noise](), list[Cut]()
    planes = np.ascontiguousarray(image.pixels.transpose(2, 0, 1))
    x0 = planes / walk.shared.format.half - 1
    begin, bits = psnr(planes, walk.x0_hat, walk.shared.format), 0
    for step in file.payload.steps:
        inside = [psnr(planes, one.x0_hat, walk.shared.format) for one in _cut(walk, step)]
        walk.take(step)
        error = (walk.state.y - x0).reshape(-1)
        square = float(np.mean(error**2))
        noise.append(Noise(square / walk.state.v, float(np.mean(error**4)) / square**2))
        end = psnr(planes, walk.x0_hat, walk.shared.format)
        lines = [begin + share * (end - begin) for share in SHARES]
        bpp = bits / planes[0].size
        cuts += [Cut(bpp, line - found) for line, found in zip(lines, inside, strict=True)]
        begin, bits = end, bits + step.n_bits
    ideal = sum(one.mi_bits for one in trace.steps)
    return File(len(data), bits, ideal, kinds, noise, cuts)


def _cut(walk: Walk, step: Step) -> Iterator[Walk]:
    """Where the shares of a step's bits lead."""
    for share in SHARES:
        part = dataclasses.replace(step, bits=step.bits[: int(share * step.n_bits)])
        yield walk.beyond(part) if known(walk.shared, part) else walk


def summary(images: Sequence[NamedImage], code: str, files: Sequence[File]) -> Result:
    """Means over images, ready for JSON."""
    spent, ideal = sum(file.spent for file in files), sum(file.ideal for file in files)
    noise = [one for file in files for one in file.noise]
    if not noise:
        raise ResultError("no file has steps: the images are too small, or no photographs")
    row: Result = {
        "code": code,
        "bytes": sum(file.size for file in files),
        "bpd": round(8 * sum(f.size for f in files) / sum(i.pixels.size for i in images), 5),
        "step_bytes": spent // 8,
        "overhead_percent": round(100 * (spent / ideal - 1), 2),
        "encode_seconds": {
            kind: round(float(np.mean([file.seconds[kind] for file in files])), 2)
            for kind in files[0].seconds
        },
        "noise_variance": _range([one.variance for one in noise]),
        "noise_kurtosis": _range([one.kurtosis for one in noise]),
    }
    for low, high in RANGES:
        lost = [cut.lost for file in files for cut in file.cuts if low <= cut.bpp < high]
        if lost:
            row[f"cut_loss_db_from_{low:g}_bpp"] = _range(lost)
    return row


def _range(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(float(np.mean(values)), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


def to_text(result: Result) -> str:
    """The rows for people."""
    from tabulate import tabulate

    rows = [
        [row["code"], row["bpd"], row["step_bytes"], row["overhead_percent"]]
        + [row["encode_seconds"][kind] for kind in ("total", "network", "trellis")]
        + [f"{row[f'noise_{what}']['mean']:.3f}" for what in ("variance", "kurtosis")]
        + [
            f"{row[key]['mean']:.2f} / {row[key]['most']:.2f}" if key in row else ""
            for key in (f"cut_loss_db_from_{low:g}_bpp" for low, _ in RANGES)
        ]
        for row in result["rows"]
    ]
    head = ["code", "bits/dim", "steps, bytes", "over ideal, %", "encode (s)", "network", "trellis"]
    head += ["noise", "kurtosis", *(f"cut from {low:g} bpp, dB" for low, _ in RANGES)]
    return tabulate(rows, head)


@options.measurement
@click.argument("model")
@options.data_argument
@click.option("--code", "codes", multiple=True, metavar="NAME", help=", ".join(CODES))
@options.set_options
@options.processes_option
@options.json_option
def main(
    model: str,
    data: Path,
    codes: tuple[str, ...],
    split: str,
    tile: int,
    count: int | None,
    processes: int,
    json_path: Path | None,
) -> None:
    """Files of the images in DATA by MODEL with every step code: size, time, noise and cuts."""
    images = load_named(data, split, tile, count)
    names = codes or CODES
    jobs = [(image, code) for code in names for image in images]
    files = in_order(partial(opened, model), jobs, processes, "coding")
    by_code = {code: files[i * len(images) :][: len(images)] for i, code in enumerate(names)}
    result: Result = {
        "model": {"name": model, "fingerprint": load_graph(model).fingerprint.hex()},
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "rows": [summary(images, code, found) for code, found in by_code.items()],
        **provenance(__name__, threads=1, processes=processes),
    }
    click.echo(to_text(result))
    write_result(json_path, result)


if __name__ == "__main__":
    main()
