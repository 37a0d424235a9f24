"""What bits-back coding costs besides the network: time and bits a symbol, beside constriction's.

Latents with a mean each, rounded to 1/64 bin as the format has it, are popped from random bits and
pushed back. constriction's ANS coder does the same with its QuantizedGaussian, mean and deviation
given for each symbol, and with one Categorical a phase of the mean, the symbols sorted by phase.

    python -m diffcodec.eval.experiments.bitsback_benchmark --model cifar10 \\
        --json eval/results/bitsback.json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import constriction
import numpy as np

from diffcodec.accounting.trace import Clock
from diffcodec.archive.bitsback import push
from diffcodec.archive.model import Model
from diffcodec.bitstream import ans
from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT
from diffcodec.bitstream.latents import Code
from diffcodec.codec import Codec
from diffcodec.data import load_images
from diffcodec.eval.common import options
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.theory.chain import choose_chain

SIGMAS = (1.5, 4.0, 8.0)  # bins


def _least(run: Callable[[], Any], times: int) -> tuple[Any, float]:
    """The result, and the least processor time of several runs."""
    best, result = float("inf"), None
    for _ in range(times):
        began = time.process_time()
        result = run()
        best = min(best, time.process_time() - began)
    return result, best


def own(sigma: float, n: int, kernel: bool) -> Result:
    """Times and the loss of the stack, n symbols."""
    rng = np.random.default_rng(0)
    code = Code.of(sigma, False).table
    mean = PHASES * (code.n // 2) + rng.integers(-PHASES // 2, PHASES // 2, n)
    full = Stack(rng.bytes(4 * n))
    full.open()
    loaded, ans.KERNEL = ans.KERNEL, ans.KERNEL if kernel else None
    try:
        symbols, popping = _least(lambda: full.copy().pop(code, mean), 3)
        _, pushing = _least(lambda: full.copy().push(code, mean, symbols), 3)
    finally:
        ans.KERNEL = loaded
    drawn = np.rint(mean / PHASES + sigma * rng.standard_normal(n)).clip(0, code.n - 1)
    before = full.bits
    full.push(code, mean, drawn.astype(np.int32))
    ideal = float(code.bits(mean, drawn.astype(np.int32)).sum())
    return {
        "coder": "own, kernel" if kernel else "own, numpy",
        "sigma_bins": sigma,
        "push_ns": round(1e9 * pushing / n, 1),
        "pop_ns": round(1e9 * popping / n, 1),
        "bits": round(ideal / n, 6),
        "loss_bits": (full.bits - before - ideal) / n,
    }


def others(sigma: float, n: int) -> list[Result]:
    """The same with constriction."""
    rng = np.random.default_rng(0)
    reach = int(7 * sigma) + 1
    phase = rng.integers(-PHASES // 2, PHASES // 2, n)
    mean, spread = phase / PHASES, np.full(n, sigma)
    symbols = np.rint(mean + sigma * rng.standard_normal(n)).clip(-reach, reach).astype(np.int32)
    gauss = constriction.stream.model.QuantizedGaussian(-reach, reach)
    coder = constriction.stream.stack.AnsCoder

    def push_all() -> Any:
        stack = coder()
        stack.encode_reverse(symbols, gauss, mean, spread)
        return stack.get_compressed()

    data, pushing = _least(push_all, 3)
    _, popping = _least(lambda: coder(data).decode(gauss, mean, spread), 3)
    rows = [_row("constriction QuantizedGaussian", sigma, pushing, popping, 32 * len(data), n)]

    table = Code.of(sigma, False).table
    middle = np.arange(table.n, dtype=np.int32)
    models = []
    for p in range(-PHASES // 2, PHASES // 2):
        means = np.full(table.n, PHASES * (table.n // 2) + p)
        models.append(
            constriction.stream.model.Categorical(2.0 ** -table.bits(means, middle), perfect=False)
        )
    parts = [symbols[phase == p] + table.n // 2 for p in range(-PHASES // 2, PHASES // 2)]

    def push_sorted() -> Any:
        stack = coder()
        for part, model in zip(reversed(parts), reversed(models), strict=True):
            stack.encode_reverse(part, model)
        return stack.get_compressed()

    def pop_sorted() -> None:
        stack = coder(data)
        for part, model in zip(parts, models, strict=True):
            stack.decode(model, len(part))

    data, pushing = _least(push_sorted, 3)
    _, popping = _least(pop_sorted, 3)
    rows.append(_row("constriction Categorical", sigma, pushing, popping, 32 * len(data), n))
    return rows


def _row(name: str, sigma: float, pushing: float, popping: float, bits: int, n: int) -> Result:
    return {
        "coder": name,
        "sigma_bins": sigma,
        "push_ns": round(1e9 * pushing / n, 1),
        "pop_ns": round(1e9 * popping / n, 1),
        "bits": round(bits / n, 6),
    }


def share_outside(model: str, data: Path, cut: int, chain: str, batch: int) -> Result:
    """Wall time of one batch, split into the network and all the rest."""
    codec = Codec.from_pretrained(model, 1)
    pixels = np.stack(load_images(data, "all", cut)[:batch])
    clock = Clock()
    _, height, width, channels = pixels.shape
    shared = Model(
        codec.denoiser,  # type: ignore[arg-type]
        choose_chain(chain, codec.tables),
        (channels, height, width),
        clock,
    )
    stack = Stack(np.random.default_rng(0).bytes(batch * shared.initial_bits // 8 + 512))
    stack.open()
    with clock.measure("total"):
        push(shared, stack, pixels)
    steps = shared.levels * pixels.size
    return {
        "model": codec.name,
        "chain": chain,
        "batch": batch,
        "seconds_total": clock.total,
        "seconds_network": clock.network,
        "outside_percent": 100 * (1 - clock.network / clock.total),
        "outside_ns_per_latent": 1e9 * (clock.total - clock.network) / steps,
    }


@options.measurement
@click.option("--symbols", default=1_000_000, show_default=True)
@click.option("-m", "--model", help="Also time a batch with this network.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Images for it.")
@click.option("--cut", type=click.IntRange(0), default=0, help="Cut files into N x N images.")
@click.option("--chain", default="25", show_default=True)
@click.option("--batch", default=16, show_default=True)
@options.json_option
def main(
    symbols: int,
    model: str | None,
    data: Path | None,
    cut: int,
    chain: str,
    batch: int,
    json_path: Path | None,
) -> None:
    """Time and bits a symbol of the bits-back coder alone, and its share beside a network."""
    from tabulate import tabulate

    rows = []
    for sigma in SIGMAS:
        if ans.KERNEL is not None:
            rows.append(own(sigma, symbols, True))
        rows += [own(sigma, symbols // 20, False), *others(sigma, symbols)]
    result: Result = {
        "symbols": symbols,
        "sigma_unit": SIGMA_UNIT,
        "coders": rows,
        **provenance(__name__, threads=1, processes=1),
    }
    click.echo(tabulate(rows, "keys"))
    if model is not None and data is not None:
        result["share"] = share_outside(model, data, cut, chain, batch)
        click.echo(result["share"])
    write_result(json_path, result)


if __name__ == "__main__":
    main()
