"""A large photograph through the commands: seconds and peak memory of encode and decode.

IMAGE is laid out again and again, every other time mirrored, until it has so many megapixels, and
gets a little grain: so it is a photograph everywhere, without edges that are not in it and without
the repetitions that would make it graphics.

    python -m diffcodec.eval.experiments.large_image photo.png --megapixels 24 --json large.json
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.api import info
from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import options
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.image import load, save
from diffcodec.progressive.effort import EFFORTS


def enlarged(pixels: Pixels, megapixels: float) -> Pixels:
    """(H, W, C) uint8 as a mirrored mosaic of about so many megapixels, 3 : 2, with grain."""
    height = round(math.sqrt(megapixels * 1e6 / 1.5))
    width = round(1.5 * height)
    rows, columns = (
        np.resize(np.concatenate([np.arange(n), np.arange(n)[::-1]]), wanted)
        for n, wanted in zip(pixels.shape, (height, width), strict=False)
    )
    mosaic = pixels[rows[:, None], columns].astype(np.int16)
    mosaic += np.random.default_rng(0).integers(-1, 2, mosaic.shape, np.int16)
    return mosaic.clip(0, 255).astype(np.uint8)


def run(*arguments: str) -> dict[str, float]:
    """A command of diffcodec in a process of its own: seconds, bytes of memory at its peak."""
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "diffcodec", *arguments], dict(os.environ)
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise click.ClickException(f"diffcodec {' '.join(arguments)} failed")
    return {"seconds": time.perf_counter() - began, "peak_memory_bytes": usage.ru_maxrss * 1024}


@options.measurement
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--megapixels", type=float, multiple=True, default=(24.0,), show_default=True)
@click.option("--effort", type=click.Choice(list(EFFORTS)), default="fast", show_default=True)
@options.model_option("photo-large")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), help="Default: all.")
@options.json_option
def main(
    image: Path,
    megapixels: tuple[float, ...],
    effort: str,
    model: str,
    threads: int,
    json_path: Path | None,
) -> None:
    """Encode and decode IMAGE, enlarged, losslessly: time and memory. Needs POSIX."""
    rows = []
    for wanted in megapixels:
        rows.append(measure(enlarged(load(image), wanted), effort, model, threads))
        click.echo(to_text(rows[-1]))
    result: Result = {
        "large": rows,
        "picture": image.stem,
        "effort": effort,
        "model": {"name": model, "fingerprint": rows[0].pop("fingerprint")},
        **provenance(__name__, threads=threads, processes=1),
    }
    for row in rows[1:]:
        del row["fingerprint"]
    write_result(json_path, result)
    if not all(row["exact"] for row in rows):
        raise click.ClickException("an image did not come back exactly")


def measure(pixels: Pixels, effort: str, model: str, threads: int) -> dict[str, Any]:
    """A row of the result: size, bytes of the file, seconds and memory both ways."""
    with tempfile.TemporaryDirectory() as folder:
        source, file, back = (str(Path(folder) / name) for name in ("a.png", "a.dfc", "b.png"))
        save(pixels, Path(source))
        common = ["-m", model, "--threads", str(threads), "-q"]
        encode = run("encode", source, file, "--effort", effort, *common)
        decode = run("decode", file, back, *common)
        data = Path(file).read_bytes()
        return {
            "shape": list(pixels.shape),
            "bytes": len(data),
            "bpd": 8 * len(data) / pixels.size,
            "exact": bool(np.array_equal(load(Path(back)), pixels)),
            "encode": encode,
            "decode": decode,
            "fingerprint": info(data, model)["fingerprint"],
        }


def to_text(row: dict[str, Any]) -> str:
    """A row for people."""
    height, width, _ = row["shape"]
    ways = ", ".join(
        f"{way} {row[way]['seconds']:.1f} s and {row[way]['peak_memory_bytes'] / 2**20:.0f} MiB"
        for way in ("encode", "decode")
    )
    return f"{width}x{height}: {row['bytes']:,} bytes, {row['bpd']:.3f} bits/dim; {ways}"


if __name__ == "__main__":
    main()
