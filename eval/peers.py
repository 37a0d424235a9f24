"""The codecs people use, as Pillow and cjxl write them: what a diffusion codec is compared with.

Every rate counts the whole file, as ours do. To be fair to the peers each one gets what a careful
user would choose: JPEG with optimised Huffman tables, the smaller of baseline and progressive, and
the better of 4:2:0 and 4:4:4; WebP and JPEG XL with their slowest search; JPEG 2000 as a bare
codestream (85 bytes shorter than a .jp2), the better of the 9/7 and the 5/3 wavelet. JPEG XL needs
the programs cjxl and djxl (Debian's libjxl-tools); without them it is left out.

A codec with a quality dial cannot hit a size, so at every budget a picture is represented by *the
best of its files that are not larger than the budget*, found by bisection over the dial: no
interpolation, and no better quality setting is left out.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffcodec.eval import metrics

Pixels = NDArray[np.uint8]

# WebP's quality 100 starts a brute-force search: 20 times the time of 99 for 0.3 % fewer bytes.
LOSSLESS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "optimize": True},
    "webp": {"format": "WEBP", "lossless": True, "quality": 99, "method": 6, "exact": True},
    "jpeg2000": {"format": "JPEG2000", "irreversible": False, "no_jp2": True, "mct": 1},
}


@dataclass(frozen=True)
class Point:
    """One file: its size, MSE of its pixels in grey levels squared, seconds to make and to read."""

    bytes: int
    mse: float
    encode_seconds: float
    decode_seconds: float


def measure(pixels: Pixels, **settings: Any) -> Point:
    """Write `pixels` (H, W, 3) uint8 with Pillow's `save(**settings)` and read the file again."""
    start = time.perf_counter()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **settings)
    encoded = time.perf_counter()
    with Image.open(io.BytesIO(buffer.getvalue())) as file:
        decoded = np.asarray(file.convert("RGB"))
    done = time.perf_counter()
    size = len(buffer.getvalue())
    return Point(size, metrics.mse(pixels, decoded), encoded - start, done - encoded)


def jpegxl(pixels: Pixels, *options: str) -> Point:
    """Write `pixels` with cjxl and these options, and read the file again with djxl."""
    with tempfile.TemporaryDirectory() as folder:
        original, coded, back = (Path(folder) / name for name in ("a.ppm", "a.jxl", "b.ppm"))
        Image.fromarray(pixels).save(original)
        start = time.perf_counter()
        _run("cjxl", original, coded, *options)
        encoded = time.perf_counter()
        _run("djxl", coded, back)
        done = time.perf_counter()
        with Image.open(back) as file:
            decoded = np.asarray(file.convert("RGB"))
        mse = metrics.mse(pixels, decoded)
        return Point(coded.stat().st_size, mse, encoded - start, done - encoded)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def lossless(pixels: Pixels) -> dict[str, Point]:
    """The picture's lossless file of each codec at hand, verified to be exact."""
    points = {name: measure(pixels, **settings) for name, settings in LOSSLESS.items()}
    if shutil.which("cjxl") and shutil.which("djxl"):
        points["jpegxl"] = jpegxl(pixels, "-d", "0", "-e", "9")
    for name, point in points.items():
        if point.mse:
            raise ArithmeticError(f"{name} did not return the exact pixels")
    return points


def jpeg(pixels: Pixels, budgets: Sequence[int]) -> list[Point | None]:
    """The best JPEG file within each budget (bytes); None where even quality 1 is larger."""
    full = _within_budgets(lambda q: _jpeg(pixels, q, 0), budgets)
    halved = _within_budgets(lambda q: _jpeg(pixels, q, 2), budgets)
    return [_better(a, b) for a, b in zip(full, halved, strict=True)]


def _jpeg(pixels: Pixels, quality: int, subsampling: int) -> Point:
    settings = {
        "format": "JPEG",
        "quality": max(quality, 1),
        "subsampling": subsampling,
        "optimize": True,
    }
    baseline = measure(pixels, progressive=False, **settings)
    progressive = measure(pixels, progressive=True, **settings)
    return min(baseline, progressive, key=lambda point: point.bytes)


def webp(pixels: Pixels, budgets: Sequence[int]) -> list[Point | None]:
    """The best lossy WebP file within each budget (bytes); None where even quality 0 is larger."""
    return _within_budgets(
        lambda q: measure(pixels, format="WEBP", quality=q, method=6, exact=True), budgets
    )


def jpeg2000(pixels: Pixels, budgets: Sequence[int]) -> list[Point | None]:
    """The best JPEG 2000 file within each budget (bytes), its rate control aimed at the budget."""
    return [
        _better(_jpeg2000(pixels, b, irreversible=True), _jpeg2000(pixels, b, irreversible=False))
        for b in budgets
    ]


def _jpeg2000(pixels: Pixels, budget: int, irreversible: bool) -> Point | None:
    # The rate control misses its aim by a fraction of a percent: aim lower until the file fits.
    aim = float(budget)
    for _ in range(6):
        point = measure(
            pixels,
            format="JPEG2000",
            irreversible=irreversible,
            no_jp2=True,
            mct=1,
            quality_mode="rates",
            quality_layers=[max(pixels.size / aim, 1.0)],
        )
        if point.bytes <= budget:
            return point
        aim = max(aim - 1.5 * (point.bytes - budget), 1.0)
    return None


LOSSY: dict[str, Callable[[Pixels, Sequence[int]], list[Point | None]]] = {
    "jpeg": jpeg,
    "webp": webp,
    "jpeg2000": jpeg2000,
}


def _within_budgets(
    at_quality: Callable[[int], Point], budgets: Sequence[int]
) -> list[Point | None]:
    """For each budget the best file that bisection over quality 0..100 meets and that fits."""
    seen: dict[int, Point] = {}
    for budget in budgets:
        low, high = -1, 101  # the largest quality that fits lies in [low, high)
        while high - low > 1:
            middle = (low + high) // 2
            if middle not in seen:
                seen[middle] = at_quality(middle)
            low, high = (middle, high) if seen[middle].bytes <= budget else (low, middle)
    # Sizes are not quite monotone in quality: what any of the searches met may serve any budget.
    return [
        min((p for p in seen.values() if p.bytes <= budget), key=lambda p: p.mse, default=None)
        for budget in budgets
    ]


def _better(a: Point | None, b: Point | None) -> Point | None:
    return min((p for p in (a, b) if p is not None), key=lambda p: p.mse, default=None)


def curve(
    points: Sequence[Sequence[Point | None]], shapes: Sequence[tuple[int, ...]]
) -> dict[str, list[float | None]]:
    """Mean curve of one codec in results form, from its points per picture and budget.

    points[i][j]: picture i within budget j; shapes[i]: its (H, W, C). A budget counts where every
    picture has a file, none is exact, and not all are those of the budget before. "bpp" is the mean
    of the files' own rates, at most the budget's.
    """
    rows = []
    samples = [int(np.prod(shape)) for shape in shapes]
    previous: list[Point] = []
    for column in zip(*points, strict=True):
        files = [point for point in column if point is not None]
        mses = [point.mse for point in files]
        pairs = zip(files, shapes, strict=False)  # as long unless a file is missing
        if len(files) < len(column) or not all(mses) or files == previous:
            continue
        previous = files
        rows.append(
            {
                "bpp": float(np.mean([metrics.bpp(p.bytes, s) for p, s in pairs])),
                "psnr-rgb": metrics.mean_psnr(mses),
                "psnr-rgb-pooled": metrics.pooled_psnr(mses, samples),
                "encoding_time": float(np.mean([p.encode_seconds for p in files])),
                "decoding_time": float(np.mean([p.decode_seconds for p in files])),
            }
        )
    keys = ("bpp", "psnr-rgb", "psnr-rgb-pooled", "encoding_time", "decoding_time")
    return {key: [row[key] for row in rows] for key in keys}
