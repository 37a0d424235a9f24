"""Mean curves over images, from the records of rate_distortion: what a results file holds.

"results" and "theory" belong together: the theory is what ideal coders would spend on each image
to reach the same MSE as its cut. "steps" compares at the ends of the codec's own steps instead,
where nothing needs to be interpolated, and images meet at equal noise rather than equal rate.

Lists have one entry a cut, a step or a budget. Every rate is the mean over images of their own
bits per pixel (or bits/dim); the two means of PSNR are those of `metrics`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import Point
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.rd.mean_curve import curve

Record = dict[str, Any]
Shapes = Sequence[tuple[int, ...]]

TINY = 1e-9  # grey levels squared: stands for an error of 0 where a logarithm is taken


def pool(records: Sequence[Record], small: Collection[str] = ()) -> Record:
    """Mean curves over images: everything in the results file that is measured.

    small: names of images that are in no curve; their whole files and their seconds do count.
    """
    all_shapes = [tuple(record["shape"]) for record in records]
    curved = [record for record in records if not small or record["name"] not in small]
    shapes = [tuple(record["shape"]) for record in curved]
    samples = [int(np.prod(shape)) for shape in shapes]
    theory, overhead = _theory(curved, shapes, samples)
    seconds = {
        way: {
            part: float(np.mean([record[f"{way}_seconds"][part] for record in records]))
            for part in records[0][f"{way}_seconds"]
        }
        for way in ("encode", "decode")
    }
    return {
        "results": curve([_points(record) for record in curved], shapes),
        "theory": theory,
        "overhead_percent": overhead,
        "steps": _at_steps(curved, shapes, samples),
        "lossless": _lossless(records, all_shapes),
        "seconds_per_picture": seconds,
        "peak_memory_bytes": max(r["peak_memory_bytes"] or 0 for r in records) or None,
    }


def _points(record: Record) -> list[Point | None]:
    """The cuts of an image, as files of any other codec."""
    encode = record["encode_seconds"]["total"]
    return [
        cut
        and Point(
            cut["bytes"],
            cut["mse"],
            encode,
            cut["seconds"],
            part_mses=tuple(cut.get("part_mse", ())),
            **{one.field: cut.get(one.field) for one in SIMILARITIES.values()},
        )
        for cut in record["cuts"]
    ]


def _theory(
    records: Sequence[Record], shapes: Shapes, samples: Sequence[int]
) -> tuple[Record, Record]:
    """Real and ideal rates at equal MSE, at every cut that theory reaches.

    Out of its reach are cuts in the pixels' exact code, where some pixels are right and others not.
    """
    rows: list[Record] = []
    for column in zip(*(record["cuts"] for record in records), strict=True):
        pairs = list(zip(records, column, strict=True))
        if any(cut is None or cut["mse"] < _last_mse(record) for record, cut in pairs):
            continue
        row = {
            "bpp": _mean_bpp([cut["bytes"] for cut in column], shapes),
            "psnr-rgb-pooled": metrics.pooled_psnr([cut["mse"] for cut in column], samples),
        }
        for key in ("kl", "mi"):
            ideal = [_bits_at_mse(record, f"{key}_bits", cut["mse"]) / 8 for record, cut in pairs]
            row[f"bpp_{key}"] = _mean_bpp(ideal, shapes)
        rows.append(row)
    theory = {
        key: [row[key] for row in rows] for key in ("bpp", "psnr-rgb-pooled", "bpp_kl", "bpp_mi")
    }
    overhead = {
        "bpp": theory["bpp"],
        "over_kl": _percent(theory["bpp"], theory["bpp_kl"]),
        "over_mi": _percent(theory["bpp"], theory["bpp_mi"]),
    }
    return theory, overhead


def _last_mse(record: Record) -> float:
    """Of x0_hat after all steps; tiny images may have none."""
    return float(record["steps"][-1]["mse"] if record["steps"] else record["prior_mse"])


def _bits_at_mse(record: Record, key: str, mse: float) -> float:
    """Sum of a step quantity up to where x0_hat has this MSE; linear in dB inside a step."""
    errors = [record["prior_mse"], *(step["mse"] for step in record["steps"])]
    bits = np.cumsum([0.0, *(step[key] for step in record["steps"])])
    rising = -np.log(np.minimum.accumulate(np.maximum(errors, TINY)))  # as interp wants it
    return float(np.interp(-np.log(max(mse, TINY)), rising, bits))


def _at_steps(records: Sequence[Record], shapes: Shapes, samples: Sequence[int]) -> Record:
    """Real and ideal rates at the ends of the steps, where both stand at the same x0_hat.

    The nodes are all noise levels that lie between every image's first and last. An image that
    did not stop at a node (small ones skip steps) is interpolated linearly in log noise.
    """
    visited = [[step["sigma_grey"] for step in record["steps"]] for record in records]
    if not all(visited):
        return _at_no_steps()
    top, bottom = min(levels[0] for levels in visited), max(levels[-1] for levels in visited)
    nodes = sorted({v for levels in visited for v in levels if bottom <= v <= top}, reverse=True)
    at = [_at_nodes(record["steps"], nodes) for record in records]
    columns = {
        key: [_mean_bpp([a[key][k] / 8 for a in at], shapes) for k in range(len(nodes))]
        for key in ("file", "kl", "mi", "steps")
    }
    mses = [[a["mse"][k] for a in at] for k in range(len(nodes))]
    return {
        "sigma_grey": nodes,
        "psnr-rgb": [metrics.mean_psnr(m) for m in mses],
        "psnr-rgb-pooled": [metrics.pooled_psnr(m, samples) for m in mses],
        "bpp_file": columns["file"],
        "bpp_kl": columns["kl"],
        "bpp_mi": columns["mi"],
        "overhead_percent": {
            "file_over_kl": _percent(columns["file"], columns["kl"]),
            "file_over_mi": _percent(columns["file"], columns["mi"]),
            "steps_over_mi": _percent(columns["steps"], columns["mi"]),  # no header, no checksums
        },
    }


def _at_no_steps() -> Record:
    """Where some image, a tiny one, is coded without steps."""
    keys = ("sigma_grey", "psnr-rgb", "psnr-rgb-pooled", "bpp_file", "bpp_kl", "bpp_mi")
    over: Record = {key: [] for key in ("file_over_kl", "file_over_mi", "steps_over_mi")}
    return {**{key: [] for key in keys}, "overhead_percent": over}


def _at_nodes(steps: Sequence[Record], nodes: Sequence[float]) -> Record:
    """Cumulative bits and the MSE of one image at noise levels `nodes` (grey levels)."""
    log_noise = [-np.log(step["sigma_grey"]) for step in steps]  # rising, as interp wants it
    bits: dict[str, Any] = {
        "file": [8 * step["bytes"] for step in steps],
        "kl": np.cumsum([step["kl_bits"] for step in steps]),
        "mi": np.cumsum([step["mi_bits"] for step in steps]),
        "steps": np.cumsum([step["path_bits"] + step["side_bits"] for step in steps]),
    }
    wanted = -np.log(nodes)
    columns = {key: np.interp(wanted, log_noise, value).tolist() for key, value in bits.items()}
    log_mse = np.log([max(step["mse"], TINY) for step in steps])
    return {**columns, "mse": np.exp(np.interp(wanted, log_noise, log_mse)).tolist()}


def _percent(real: Sequence[float], ideal: Sequence[float]) -> list[float | None]:
    return [100 * (r / i - 1) if i > 0 else None for r, i in zip(real, ideal, strict=True)]


def _lossless(records: Sequence[Record], shapes: Shapes) -> Record:
    """Whole files: how many came back exactly, bits/dim with standard error, and the ideal."""
    sizes = [record["bytes"] for record in records]
    bpd, error = _mean_bpd(sizes, shapes)
    ideal = {
        key: _mean_bpd(
            [
                (sum(step[f"{key}_bits"] for step in r["steps"]) + r["lossless_ideal_bits"]) / 8
                for r in records
            ],
            shapes,
        )[0]
        for key in ("kl", "mi")
    }
    last = _mean_bpd([record["lossless_bytes"] for record in records], shapes)[0]
    return {
        "bpp": _mean_bpp(sizes, shapes),
        "bpd": bpd,
        "standard_error": error,
        "exact": sum(record["exact"] for record in records),
        "images": len(records),
        "bpd_pixels_given_last_state": last,
        "bpd_ideal_kl": ideal["kl"],
        "bpd_ideal_mi": ideal["mi"],
        "overhead_percent_over_kl": _percent([bpd], [ideal["kl"]])[0],
        "overhead_percent_over_mi": _percent([bpd], [ideal["mi"]])[0],
    }


def _mean_bpp(sizes: Sequence[float], shapes: Shapes) -> float:
    return float(np.mean([metrics.bpp(n, s) for n, s in zip(sizes, shapes, strict=True)]))


def _mean_bpd(sizes: Sequence[float], shapes: Shapes) -> tuple[float, float | None]:
    return metrics.mean_and_error([metrics.bpd(n, s) for n, s in zip(sizes, shapes, strict=True)])
