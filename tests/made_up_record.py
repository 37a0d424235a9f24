"""A record of the rate-distortion measurement whose means are known."""

from __future__ import annotations

from typing import Any


def a_record(scale: int = 1, skip: bool = False) -> dict[str, Any]:
    """An 8x8 image whose coder spends exactly 1.25 times the mutual information, no header.

    Error falls by 4 a step, noise by 2. skip: the middle of the three steps is left out.
    """
    steps = [
        {"sigma_grey": sigma, "mse": mse, "bytes": 20 * k * scale, "kl_bits": 160.0 * scale}
        for k, (sigma, mse) in enumerate([(40.0, 100.0), (20.0, 25.0), (10.0, 6.25)], start=1)
    ]
    for step in steps:
        step.update(mi_bits=128.0 * scale, path_bits=150 * scale, side_bits=10 * scale)
    if skip:
        twice = {key: 2 * steps[2][key] for key in ("kl_bits", "mi_bits", "path_bits", "side_bits")}
        steps = [steps[0], {**steps[2], **twice}]
    seconds = {"total": 2.0, "network": 1.5, "trellis": 0.25, "rest": 0.25}
    cut = {"steps": 1, "seconds": 0.5}
    return {
        "shape": [8, 8, 3],
        "bytes": 120 * scale,
        "exact": True,
        "cuts": [
            {"bytes": 20 * scale, "mse": 100.0, **cut},
            {"bytes": 30 * scale, "mse": 50.0, **cut},
            {"bytes": 80 * scale, "mse": 3.0, **cut},
            None,
        ],
        "prior_mse": 400.0,
        "steps": steps,
        "lossless_ideal_bits": 456.0 * scale,
        "lossless_bytes": 60 * scale,
        "encode_seconds": seconds,
        "decode_seconds": seconds,
        "peak_memory_bytes": 1 << 20,
    }
