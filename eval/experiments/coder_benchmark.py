"""What the relative entropy coders cost: bits over the ideal, and processor time a bit.

Targets are Gaussian, as after rotation. With z decoded for a target mu of D coordinates, the bits
delivered are -(D/2) log2(1 - cos^2(z, mu)), the information that the direction of z has about mu:
the rest of z is noise, which an exact sample would have as well. The overhead is bits sent /
delivered - 1; over the KL divergence of the same-variance coder, which needs
(2^(2h) - 1) / (2 ln 2) >= h bits a coordinate to deliver h, it is smaller. The best of 2^n random
codewords would lose about 0.5 log2(4 pi ln(2) n) bits.

Codes take turns at every length and rate, so that their times are of one and the same machine.

    python -m diffcodec.eval.experiments.coder_benchmark --json eval/results/coder.json
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.bitstream import butterfly_search, polar_search, viterbi
from diffcodec.bitstream.polar import Polar
from diffcodec.bitstream.rotated import Rotated
from diffcodec.bitstream.rotation import rotate, unrotate
from diffcodec.bitstream.step_codes import STEP_CODES
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Float32
from diffcodec.eval.common import options
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result

LENGTHS = (32, 64, 128, 256, 1024, 4096, 65_536)
DIMS_PER_BIT = (64, 16, 4, 1)
CODES = tuple(code for code in STEP_CODES if isinstance(code, Rotated))
IN_NUMPY = tuple(c for c in STEP_CODES if isinstance(c, Trellis) and c.nu <= 12)
ROTATED = (3072, 1_179_648)  # 32x32 and 768x512, RGB
SEED = 1


def measure(code: Rotated, n: int, dims: int, blocks: int) -> dict[str, Any]:
    """Overheads with their standard error, and the least time a bit, of `blocks` steps."""
    delivered, encoding, decoding = [], [], []
    for step in range(blocks):
        mu = np.random.default_rng([n, dims, step]).standard_normal(dims).astype(np.float32)
        bits, seconds = _timed(partial(code.search, mu, n, SEED, step))
        encoding.append(seconds)
        (z, _), seconds = _timed(partial(code.codeword, bits, n, dims, SEED, step))
        decoding.append(seconds)
        delivered.append(_delivered(z, mu))
    mean = float(np.mean(delivered))
    kl = dims * math.expm1(2 * mean / dims * math.log(2)) / (2 * math.log(2))
    error = float(np.std(delivered) / math.sqrt(blocks)) / mean
    return {
        "code": code.name,
        "bits": n,
        "dims_per_bit": dims // n,
        "overhead_mi_percent": round(100 * (n / mean - 1), 2),
        "overhead_kl_percent": round(100 * (n / kl - 1), 2),
        "standard_error_percent": round(100 * error, 2),
        "encode_us_per_bit": round(1e6 * min(encoding) / n, 3),
        "decode_us_per_bit": round(1e6 * min(decoding) / n, 3),
        "blocks": blocks,
    }


def theory_percent(n: int) -> float:
    """What the best of 2^n random codewords loses, about."""
    return 100 * 0.5 * math.log2(4 * math.pi * math.log(2) * n) / n


def numpy_time(code: Trellis, n: int, dims: int) -> dict[str, Any]:
    """Time of the search in numpy; its bits, and so its overheads, are those of the kernel."""
    mu = np.random.default_rng([n, dims, 0]).standard_normal(dims).astype(np.float32)
    with _without_kernels():
        bits, seconds = _timed(partial(code.search, mu, n, SEED, 0))
    if not np.array_equal(bits, code.search(mu, n, SEED, 0)):
        raise AssertionError(f"kernel and numpy differ: {code.name}, {n} bits")
    return {"code": code.name, "bits": n, "encode_us_per_bit": round(1e6 * seconds / n, 1)}


@contextmanager
def _without_kernels() -> Iterator[None]:
    kernels = viterbi.KERNEL, butterfly_search.KERNEL
    viterbi.KERNEL = butterfly_search.KERNEL = None
    try:
        yield
    finally:
        viterbi.KERNEL, butterfly_search.KERNEL = kernels


def rotation_time(dims: int) -> dict[str, Any]:
    """Least time of a rotation and of its inverse, the permutation being known already."""
    x = np.random.default_rng(dims).standard_normal(dims).astype(np.float32)
    there = min(_timed(partial(rotate, x, SEED, 0))[1] for _ in range(8))
    back = min(_timed(partial(unrotate, x, SEED, 0))[1] for _ in range(8))
    return {"dims": dims, "rotate_ms": round(1e3 * there, 2), "unrotate_ms": round(1e3 * back, 2)}


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = run()
    return result, time.process_time() - began


def _delivered(z: Float32, mu: Float32) -> float:
    a, b = z.astype(np.float64), mu.astype(np.float64)
    cosine2 = float(a @ b) ** 2 / (float(a @ a) * float(b @ b))
    return -0.5 * z.size * math.log2(1 - cosine2)


def table(cells: list[dict[str, Any]]) -> str:
    """Overhead over the ideal in percent, encode, decode us a bit; a row per code and dims/bit."""
    from tabulate import tabulate

    rows: dict[tuple[str, int], dict[int, str]] = {}
    for c in cells:
        times = f"{c['encode_us_per_bit']:.2f} {c['decode_us_per_bit']:.2f}"
        row = rows.setdefault((c["code"], c["dims_per_bit"]), {})
        row[c["bits"]] = f"{c['overhead_mi_percent']:.1f}% {times}"
    head = ["code", "dims/bit", *(f"{n} b" for n in LENGTHS)]
    lines = [[*key, *(row.get(n, "") for n in LENGTHS)] for key, row in rows.items()]
    return tabulate(lines, head, stralign="right")


@options.measurement
@options.json_option
@click.option("--bits", default=49_152, show_default=True, help="Bits sent for each cell.")
def main(json_path: Path | None, bits: int) -> None:
    """Overhead and time of the relative entropy coders by code, block length and rate."""
    from tabulate import tabulate

    cells = []
    every = [
        (per_bit, n, code)
        for per_bit, n, code in product(DIMS_PER_BIT, LENGTHS, CODES)
        if not isinstance(code, Polar) or code.applies(n, n * per_bit)
    ]
    with progress_bar("coding") as progress:
        for per_bit, n, code in every:
            measure(code, n, n * per_bit, 1)  # makes the tables
            share = bits // (3 if isinstance(code, Trellis) and code.nu >= 16 else 1)
            cells.append(measure(code, n, n * per_bit, max(2, share // n)))
            if progress is not None:
                progress(len(cells), len(every))
    rotations = [rotation_time(dims) for dims in ROTATED]
    in_numpy = [numpy_time(code, n, 16 * n) for code in IN_NUMPY for n in (64, 256, 1024)]
    result = {
        "kernel": None not in (viterbi.KERNEL, butterfly_search.KERNEL, polar_search.KERNEL),
        "cells": cells,
        "theory_percent": {str(n): round(theory_percent(n), 2) for n in LENGTHS},
        "numpy": in_numpy,
        "rotation": rotations,
        **provenance(__name__, threads=1, processes=1),
    }
    for rows in (table(cells), tabulate(in_numpy, "keys"), tabulate(rotations, "keys")):
        click.echo(f"{rows}\n")
    write_result(json_path, result)


if __name__ == "__main__":
    main()
