"""What whole files take, and how long: every effort, with steps and without any network.

Every image is coded, decoded and compared, each in one thread. Bytes are whole files, headers
included.

    python -m diffcodec.eval.experiments.lossless photo kodak/ --json lossless-kodak.json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.api import load_codec
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.codec import Codec
from diffcodec.eval.common import options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.progressive.residual import Residual
from diffcodec.zoo import load_graph

KINDS = ("total", "network", "trellis", "rest")


class Setting(NamedTuple):
    """How files are made; switch: in grey levels, "none", or "" for the effort's own."""

    effort: str
    switch: str
    residual: Residual = "adaptive"

    @property
    def name(self) -> str:
        """As tables have it."""
        return " ".join(filter(None, [self.effort, self.switch, self.residual]))

    @staticmethod
    def of(text: str) -> Setting:
        """From "default", "default:none" or "default:0.6:gaussian"."""
        effort, switch, residual = (*text.split(":"), "", "")[:3]
        return Setting(effort, switch, "gaussian" if residual == "gaussian" else "adaptive")


SETTINGS = ("fast", "default", "best", "fast:none", "default:none", "best:none")


class File(NamedTuple):
    """A file of one image: bytes, steps, and seconds of both sides by KINDS."""

    size: int
    steps: int
    encode: dict[str, float]
    decode: dict[str, float]


def opened(model: str) -> Callable[[tuple[NamedImage, Setting]], File]:
    """What measures one file with a network."""
    return partial(measured, load_codec(model, 1))


def measured(codec: Codec, job: tuple[NamedImage, Setting]) -> File:
    """Code and decode an image; raises BitstreamError if it comes back changed."""
    image, setting = job
    trace, clock = Trace(), Clock()
    switch: Any = setting.switch if setting.switch == "none" else float(setting.switch or 0) or None
    data = codec.encode(
        image.pixels, effort=setting.effort, switch=switch, residual=setting.residual, trace=trace
    )
    decoded = codec.decode(data, clock=clock)
    if not (decoded.lossless and np.array_equal(decoded.pixels, image.pixels)):
        raise BitstreamError(f"{image.name} is not exact at {setting.name}")
    return File(len(data), decoded.steps, _seconds(trace.clock), _seconds(clock))


def _seconds(clock: Clock) -> dict[str, float]:
    return {kind: round(getattr(clock, kind), 3) for kind in KINDS}


def summary(images: Sequence[NamedImage], setting: Setting, files: Sequence[File]) -> Result:
    """Means over images, ready for JSON; bpd: mean of the images' bits/dim."""
    bpd = [8 * file.size / image.pixels.size for image, file in zip(images, files, strict=True)]
    return {
        "setting": setting.name,
        "effort": setting.effort,
        "switch": setting.switch or "of the effort",
        "residual": setting.residual,
        "bpd": round(float(np.mean(bpd)), 5),
        "bytes": sum(file.size for file in files),
        "steps": round(float(np.mean([file.steps for file in files])), 2),
        "encode_seconds": _mean([file.encode for file in files]),
        "decode_seconds": _mean([file.decode for file in files]),
        "bpd_per_image": {
            image.name: round(bits, 5) for image, bits in zip(images, bpd, strict=True)
        },
    }


def _mean(seconds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {kind: round(float(np.mean([one[kind] for one in seconds])), 3) for kind in KINDS}


def to_text(result: Result) -> str:
    """The rows for people."""
    from tabulate import tabulate

    rows = [
        [one["setting"], one["bpd"], one["steps"]]
        + [one[f"{way}_seconds"][kind] for way in ("encode", "decode") for kind in KINDS]
        for one in result["rows"]
    ]
    head = ["setting", "bits/dim", "steps", "encode (s)", *KINDS[1:], "decode (s)", *KINDS[1:]]
    return tabulate(rows, head, floatfmt=("", ".4f", ".1f", *[".2f"] * 8))


@options.measurement
@click.argument("model")
@options.data_argument
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="EFFORT[:SWITCH[:RESIDUAL]]",
    help=f"Of {', '.join(SETTINGS)}, or others; may be repeated.",
)
@options.set_options
@options.processes_option
@options.json_option
def main(
    model: str,
    data: Path,
    settings: tuple[str, ...],
    split: str,
    tile: int,
    count: int | None,
    processes: int,
    json_path: Path | None,
) -> None:
    """Lossless files of the images in DATA by MODEL, at several settings: size and time."""
    images = load_named(data, split, tile, count)
    began, rows = time.perf_counter(), []
    for text in settings or SETTINGS:
        setting = Setting.of(text)
        jobs = [(image, setting) for image in images]
        files = in_order(partial(opened, model), jobs, processes, setting.name)
        rows.append(summary(images, setting, files))
    result: Result = {
        "model": {"name": model, "fingerprint": load_graph(model).fingerprint.hex()},
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "rows": rows,
        "minutes": round((time.perf_counter() - began) / 60, 1),
        **provenance(__name__, threads=1, processes=processes),
    }
    click.echo(to_text(result))
    write_result(json_path, result)


if __name__ == "__main__":
    main()
