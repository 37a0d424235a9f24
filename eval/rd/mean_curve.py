"""The mean curve over images of any codec, ours and others alike: what "results" lists hold.

Lists have one entry a rate, CompressAI's keys where it has one. Every rate is a mean over images
of their own bits per pixel or dimension; the two means of PSNR are those of `metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import Point
from diffcodec.eval.common.similarity import SIMILARITIES

Record = dict[str, Any]
SIMILAR = {one.columns[0]: one.field for one in SIMILARITIES.values()}
COLUMNS = (
    "bpp",
    "bpd",
    "psnr-rgb",
    "psnr-rgb-pooled",
    "rmse-rgb-pooled",
    *SIMILAR,
    "encoding_time",
    "decoding_time",
)


def curve(
    points: Sequence[Sequence[Point | None]],
    shapes: Sequence[tuple[int, ...]],
    qualities: Sequence[str] = (),
) -> dict[str, list[Any]]:
    """Mean curve of one codec in results form, from its points per image and budget.

    points[i][j]: image i within budget j; shapes[i]: its (H, W, C). A budget counts where every
    image has a file, none is exact, and not all are those of the budget before. "bpp" is the mean
    of the files' own rates, at most the budget's. qualities: name the columns instead of budgets.
    """
    rows: list[Record] = []
    previous: list[Point] = []
    for j, column in enumerate(zip(*points, strict=True)):
        files = [point for point in column if point is not None]
        if len(files) < len(column) or not all(p.mse for p in files) or files == previous:
            continue
        previous = files
        rows.append(
            {"q": qualities[j], **mean(files, shapes)} if qualities else mean(files, shapes)
        )
    keys = [*(["q"] if qualities else []), *COLUMNS]
    columns = {key: [row[key] for row in rows] for key in keys}
    return {k: column for k, column in columns.items() if k not in SIMILAR or None not in column}


def mean(files: Sequence[Point], shapes: Sequence[tuple[int, ...]]) -> Record:
    """One entry of a mean curve: a file of each image, none exact, and its (H, W, C).

    One of SIMILARITIES is None unless all images have it, "psnr-rgb" where a part of a stack is
    exact.
    """
    samples = [int(np.prod(shape)) for shape in shapes]
    mses = [point.mse for point in files]
    apart = [mse for point in files for mse in point.part_mses or (point.mse,)]
    pairs = list(zip(files, shapes, strict=True))
    return {
        "bpp": float(np.mean([metrics.bpp(p.bytes, s) for p, s in pairs])),
        "bpd": float(np.mean([metrics.bpd(p.bytes, s) for p, s in pairs])),
        "psnr-rgb": metrics.mean_psnr(apart),
        "psnr-rgb-pooled": metrics.pooled_psnr(mses, samples),
        "rmse-rgb-pooled": metrics.pooled_rmse(mses, samples),
        **{key: _mean([getattr(p, field) for p in files]) for key, field in SIMILAR.items()},
        "encoding_time": float(np.mean([p.encode_seconds for p in files])),
        "decoding_time": float(np.mean([p.decode_seconds for p in files])),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def rate_at(bpp: Sequence[float], quality: Sequence[float | None], decibels: float) -> float | None:
    """The rate at which a curve, by rising rate, has a quality; None outside of it.

    Between two of its points the logarithm of the rate is linear in dB.
    """
    known = [(db, rate) for rate, db in zip(bpp, quality, strict=True) if db is not None]
    if not known or not known[0][0] <= decibels <= max(known)[0]:
        return None
    values, rates = zip(*known, strict=True)
    rising = np.maximum.accumulate(values)
    return float(np.exp(np.interp(decibels, rising, np.log(rates))))


def quality_at(bpp: Sequence[float], quality: Sequence[float | None], rate: float) -> float | None:
    """The quality, in dB, of a curve at a rate, linear between two points; None outside of it."""
    known = [(r, db) for r, db in zip(bpp, quality, strict=True) if db is not None]
    if not known or not min(known)[0] <= rate <= max(known)[0]:
        return None
    rates, values = zip(*sorted(known), strict=True)
    return float(np.interp(rate, rates, values))
