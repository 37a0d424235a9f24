"""Small recipes, records and results, all of which are taken; and latents."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from diffcodec.network.config import Recipe
from diffcodec.sampling.latents import Latents

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "network": {
        "channels": 8,
        "multipliers": [1, 2],
        "blocks": 1,
        "attention": [],
        "norm": "none",
        "window": 8,
    },
    "train": {
        "objective": "edm",
        "batch": 4,
        "steps": 10,
        "lr": 1e-3,
        "warmup": 1,
        "cooldown": 0.5,
        "ema": 0.9,
        "crop": 16,
    },
}
CLASSIFIER: dict[str, Any] = {
    "name": "judge",
    "classifier": {
        "kind": "convolutions",
        "classes": 4,
        "size": 16,
        "channels": 4,
        "multipliers": [1, 2],
    },
    "train": {"batch": 4, "steps": 10, "lr": 1e-3, "warmup": 1, "cooldown": 0.5, "ema": 0.9},
}
CURVE = {"bpp": [0.25, 0.5], "bpd": [0.08, 0.17], "psnr-rgb-pooled": [30.4, 33.5]}
DATASET = {"name": "some", "split": "all", "images": 2}
ABOUT = {
    "model": {"name": "tiny", "fingerprint": "0123456789abcdef"},
    "environment": {"cpu": "one", "cpus": 2, "torch": "2"},
    "command": "diffcodec eval some --json rd.json",
}
RATED: dict[str, Any] = {
    "name": "diffcodec tiny",
    "results": CURVE,
    "theory": {"bpp": [0.25], "psnr-rgb-pooled": [30.4], "bpp_mi": [0.23]},
    "overhead_percent": {"bpp": [0.25, 0.5], "over_kl": [7.1, 8.7], "over_mi": [7.6, 9.5]},
    "steps": {"bpp_file": [0.01, 0.02], "overhead_percent": {"steps_over_mi": [6.2, 6.2]}},
    "lossless": {
        **{"bpp": 7.2, "bpd": 2.4, "standard_error": 0.2, "exact": 2, "images": 2},
        "bpd_ideal_mi": 2.3,
        "peers": {"webp": {"bpd": 2.5, "standard_error": 0.2}},
    },
    "seconds_per_picture": {"encode": {"total": 3, "network": 1.5, "trellis": 1, "rest": 0.5}},
    "peers": {"jpeg2000": CURVE, "webp": CURVE},
    "codecs": {"webp": {"label": "WebP"}},
    "dataset": DATASET,
    **ABOUT,
}
BOUND: dict[str, Any] = {
    "nelbo": {"bpd": 3.0, "standard_error_bpd": 0.07, "T": 50, "schedule": "own", "images": 2},
    "per_step": [
        {"t": t, "L_bpd": 0.002, "rate_bpd": 0.003, "rmse_grey": 27.8} for t in (50, 49, 1)
    ],
    "dataset": DATASET,
    **ABOUT,
}
SCHEDULE: dict[str, Any] = {
    "steps": [
        {"steps": n, "total_bpd": 3.7, "steps_bpd": 1.3, "even_bpd": 5.3} for n in (6, 10, 20)
    ],
    **ABOUT,
}
_CELL = {"rate_bpd": 1.8, "rmse_grey": 0.9}
_CELLS = {"theory": _CELL, "files": _CELL, "paper": _CELL}
TABLE: dict[str, Any] = {
    "name": "tiny, ddpm:100",
    "ddpm_table": [
        {"reverse_steps": n, "theory": _CELL, "files": _CELL, "paper": _CELL} for n in (9, 5)
    ],
    **ABOUT,
}


def recipes() -> list[bytes]:
    """Of networks: one with the fields that it takes, and one with all."""
    return [_toml(RECIPE), _toml(Recipe.from_dict(RECIPE).to_dict())]


def classifier_recipes() -> list[bytes]:
    """Of a classifier."""
    return [_toml(CLASSIFIER)]


def _toml(fields: dict[str, Any]) -> bytes:
    """Strings, numbers and lists are as in JSON."""
    lines = [f"{key} = {json.dumps(x)}" for key, x in fields.items() if not isinstance(x, dict)]
    for key, section in fields.items():
        if isinstance(section, dict):
            lines += [f"[{key}]", *(f"{name} = {json.dumps(x)}" for name, x in section.items())]
    return "\n".join(lines).encode() + b"\n"


def records() -> list[bytes]:
    """Whole, cut short, and none."""
    lines = [{"key": f"{i:03}", "bytes": 100 * i, "psnr": 30.5, "parts": [1, 2]} for i in range(5)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return [text.encode(), text.encode()[:-9], b""]


def results() -> list[bytes]:
    """Of eval, nll, schedule and DDPM's table."""
    return [json.dumps(result).encode() for result in (RATED, BOUND, SCHEDULE, TABLE)]


def latents() -> list[bytes]:
    """As the program writes them, and deflated."""
    x_T = np.random.default_rng(0).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    deflated = io.BytesIO()
    np.savez_compressed(deflated, x_T=x_T[:1, :1], v=np.float64(9.5), network=np.array("ab"))
    return [Latents(x_T, 100.0, "0123456789abcdef").to_bytes(), deflated.getvalue()]
