"""Mean curves over pictures, from the records of rate_distortion: what a results file holds.

Lists have one entry a cut, a step or a budget. Every rate is the mean over pictures of their own
bits per pixel (or bits/dim); the two means of PSNR are those of `metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcodec.eval import metrics, peers

Record = dict[str, Any]
Shapes = Sequence[tuple[int, ...]]


def pool(records: Sequence[Record]) -> Record:
    """Mean curves over pictures: everything in the results file that is measured."""
    shapes = [tuple(record["shape"]) for record in records]
    samples = [int(np.prod(shape)) for shape in shapes]
    theory, overhead = _theory(records, shapes, samples)
    seconds = {
        way: {
            part: float(np.mean([record[f"{way}_seconds"][part] for record in records]))
            for part in records[0][f"{way}_seconds"]
        }
        for way in ("encode", "decode")
    }
    return {
        "results": _curve(records, shapes, samples),
        "theory": theory,
        "overhead_percent": overhead,
        "lossless": _lossless(records, shapes),
        "peers": {
            name: peers.curve(
                [[p and peers.Point(**p) for p in record["peers"][name]] for record in records],
                shapes,
            )
            for name in records[0]["peers"]
        },
        "seconds_per_picture": seconds,
        "peak_memory_bytes": max(r["peak_memory_bytes"] or 0 for r in records) or None,
    }


def _curve(records: Sequence[Record], shapes: Shapes, samples: list[int]) -> Record:
    """Cuts that fall inside every picture's file, and leave every picture inexact."""
    rows = []
    for column in zip(*(record["cuts"] for record in records), strict=True):
        if any(cut is None or cut["mse"] == 0 for cut in column):
            continue
        mses = [cut["mse"] for cut in column]
        rows.append(
            {
                "bpp": _mean_bpp([cut["bytes"] for cut in column], shapes),
                "psnr-rgb": metrics.mean_psnr(mses),
                "psnr-rgb-pooled": metrics.pooled_psnr(mses, samples),
                "encoding_time": float(np.mean([r["encode_seconds"]["total"] for r in records])),
                "decoding_time": float(np.mean([cut["seconds"] for cut in column])),
            }
        )
    keys = ("bpp", "psnr-rgb", "psnr-rgb-pooled", "encoding_time", "decoding_time")
    return {key: [row[key] for row in rows] for key in keys}


def _theory(
    records: Sequence[Record], shapes: Shapes, samples: Sequence[int]
) -> tuple[Record, Record]:
    """Real and ideal rates at the ends of the steps, where both stand at the same x0_hat.

    The nodes are all noise levels that lie between every picture's first and last. A picture that
    did not stop at a node (small ones skip steps) is interpolated linearly in log noise.
    """
    visited = [[step["sigma_grey"] for step in record["steps"]] for record in records]
    top, bottom = min(levels[0] for levels in visited), max(levels[-1] for levels in visited)
    nodes = sorted({v for levels in visited for v in levels if bottom <= v <= top}, reverse=True)
    at = [_at_nodes(record["steps"], nodes) for record in records]

    def mean_bpp(key: str) -> list[float]:
        return [_mean_bpp([a[key][k] / 8 for a in at], shapes) for k in range(len(nodes))]

    mses = [[a["mse"][k] for a in at] for k in range(len(nodes))]
    real, kl, mi, steps = (mean_bpp(key) for key in ("file", "kl", "mi", "steps"))
    pooled = [metrics.pooled_psnr(m, samples) for m in mses]
    theory = {
        "sigma_grey": nodes,
        "bpp_file": real,
        "bpp_kl": kl,
        "bpp_mi": mi,
        "psnr-rgb": [metrics.mean_psnr(m) for m in mses],
        "psnr-rgb-pooled": pooled,
    }
    overhead = {
        "psnr-rgb-pooled": pooled,
        "file_over_kl": _percent(real, kl),
        "file_over_mi": _percent(real, mi),
        "steps_over_mi": _percent(steps, mi),  # without header, checksums and padding
    }
    return theory, overhead


def _at_nodes(steps: Sequence[Record], nodes: Sequence[float]) -> Record:
    """Cumulative bits and the MSE of one picture at noise levels `nodes` (grey levels)."""
    log_noise = [-np.log(step["sigma_grey"]) for step in steps]  # rising, as interp wants it
    bits: dict[str, Any] = {
        "file": [8 * step["bytes"] for step in steps],
        "kl": np.cumsum([step["kl_bits"] for step in steps]),
        "mi": np.cumsum([step["mi_bits"] for step in steps]),
        "steps": np.cumsum([step["path_bits"] + step["side_bits"] for step in steps]),
    }
    wanted = -np.log(nodes)
    columns = {key: np.interp(wanted, log_noise, value).tolist() for key, value in bits.items()}
    log_mse = np.log([max(step["mse"], 1e-9) for step in steps])  # an oracle errs by 0
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
    table = {
        name: dict(
            zip(
                ("bpd", "standard_error"),
                _mean_bpd([r["peers_lossless"][name]["bytes"] for r in records], shapes),
                strict=True,
            )
        )
        for name in records[0]["peers_lossless"]
    }
    return {
        "bpp": _mean_bpp(sizes, shapes),
        "bpd": bpd,
        "standard_error": error,
        "exact": sum(record["exact"] for record in records),
        "images": len(records),
        "bpd_pixels_given_last_state": last,
        "bpd_ideal_kl": ideal["kl"],
        "bpd_ideal_mi": ideal["mi"],
        "overhead_percent_over_kl": 100 * (bpd / ideal["kl"] - 1),
        "overhead_percent_over_mi": 100 * (bpd / ideal["mi"] - 1),
        "peers": table,
    }


def _mean_bpp(sizes: Sequence[float], shapes: Shapes) -> float:
    return float(np.mean([metrics.bpp(n, s) for n, s in zip(sizes, shapes, strict=True)]))


def _mean_bpd(sizes: Sequence[float], shapes: Shapes) -> tuple[float, float | None]:
    return metrics.mean_and_error([metrics.bpd(n, s) for n, s in zip(sizes, shapes, strict=True)])
