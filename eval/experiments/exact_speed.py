"""What the integer network costs, beside the float network it was made from.

The same evaluations run one after the other, round by round, so that whatever else the machine
does hits all alike; the least of the rounds counts. float32 is torch's, eager, channels last; the
paths of the integers must agree, or there is no measurement.

    python -m diffcodec.eval.experiments.exact_speed cifar10 photo \\
        --json eval/results/exact-speed.json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.eval.common import options
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.exact.backends import open_backend
from diffcodec.exact.compiled import Compiled, instruction_sets
from diffcodec.exact.conformance import Evaluator
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.config import Recipe
from diffcodec.zoo import load_graph

CASES = ((1, 32, 32), (16, 32, 32), (1, 512, 768))  # images, height, width
TORCH = "float32 torch"
NOISE = 0.5  # variance
PATIENCE = 3.0  # processor seconds: what takes longer is evaluated once
Paths = dict[str, Callable[[], Any]]
Record = dict[str, Any]


def float_path(graph: AnyGraph, case: tuple[int, int, int]) -> Callable[[], Any]:
    """An evaluation of the network's recipe by torch; time does not depend on the weights."""
    import torch

    from diffcodec.network.kinds import build

    network = build(Recipe.from_dict(graph.facts["recipe"]).network).eval().channels_last()
    n, height, width = case
    y = torch.randn(n, 3, height, width).contiguous(memory_format=torch.channels_last)
    v = torch.full((n,), NOISE)

    def evaluate() -> None:
        with torch.inference_mode():
            network(y, v)

    return evaluate


def exact_paths(graph: AnyGraph, case: tuple[int, int, int], threads: int) -> Paths:
    """Evaluations of the integers by every instruction set, and by numpy."""
    n, height, width = (side // graph.patch if i else side for i, side in enumerate(case))
    noise = np.random.default_rng(0).normal(0, 1, (n, height, width, 3 * graph.patch**2))
    x = np.rint(noise * 2**INPUT_FRACTION).astype(np.int16)
    v = np.full(n, NOISE)
    networks: dict[str, Evaluator] = {
        f"compiled, {isa}": Compiled(graph, threads, isa) for isa in instruction_sets()
    }
    networks["float64, torch"] = open_backend(graph, "torch64", threads)
    networks["float64, numpy"] = Reference(graph, np.float64)
    return {name: partial(network, x, v) for name, network in networks.items()}


def products(graph: AnyGraph, case: tuple[int, int, int]) -> int:
    """Multiplications of one evaluation."""
    n, height, width = case
    sides, total = [(height // graph.patch, width // graph.patch)], 0
    for layer in graph.layers:
        up = 1 + layer.upsample
        height, width = (-(-side * up // layer.stride) for side in sides[layer.sources[0]])
        sides.append((height, width))
        total += n * height * width * graph.weight(layer).size
    return total


def measure(graph: AnyGraph, case: tuple[int, int, int], threads: int, rounds: int) -> Record:
    """Least processor and wall seconds of every path; RuntimeError if integers differ."""
    import torch

    torch.set_num_threads(threads)
    paths = {TORCH: float_path(graph, case), **exact_paths(graph, case, threads)}
    least = {name: [float("inf")] * 2 for name in paths}
    first = None
    for _ in range(rounds):
        for name, evaluate in paths.items():
            if PATIENCE < least[name][0] < float("inf"):
                continue
            began = time.process_time(), time.perf_counter()
            out = evaluate()
            took = time.process_time() - began[0], time.perf_counter() - began[1]
            least[name] = [min(a, b) for a, b in zip(least[name], took, strict=True)]
            first = out if first is None else first
            if out is not None and not np.array_equal(out, first):
                raise RuntimeError("evaluations of the integer network differ: one is wrong")
    n, height, width = case
    return {
        "network": graph.facts["recipe"]["name"],
        "threads": threads,
        "fingerprint": graph.fingerprint.hex(),
        "pictures": n,
        "height": height,
        "width": width,
        "products": products(graph, case),
        "paths": {
            name: {"cpu_seconds": round(cpu, 6), "wall_seconds": round(wall, 6)}
            for name, (cpu, wall) in least.items()
        },
    }


def table(records: list[Record]) -> str:
    """Milliseconds a case, products a second, and the ratio to torch with as many threads."""
    from tabulate import tabulate

    rows = []
    for record in records:
        case = "{pictures} x {height} x {width}, {threads} threads".format(**record)
        for name, seconds in record["paths"].items():
            wall = seconds["wall_seconds"]
            ratio = wall / record["paths"][TORCH]["wall_seconds"]
            speed = record["products"] / wall / 1e9
            rows.append([record["network"], case, name, 1000 * wall, speed, ratio])
    head = ["network", "images", "evaluated by", "ms, wall clock", "GMAC/s", "/ torch"]
    return tabulate(rows, head, floatfmt=("", "", "", ".2f", ".1f", ".2f"))


@options.measurement
@click.argument("networks", nargs=-1, required=True)
@options.json_option
@click.option("--threads", multiple=True, default=(1, 2), show_default=True, type=int)
@click.option("--rounds", default=7, show_default=True, help="Least of so many.")
def main(
    networks: tuple[str, ...], json_path: Path | None, threads: tuple[int, ...], rounds: int
) -> None:
    """Time of integer NETWORKS (names or files) and of the float networks they come from."""
    graphs = [load_graph(name) for name in networks]
    records = [
        measure(graph, case, n, rounds) for graph in graphs for n in threads for case in CASES
    ]
    click.echo(table(records))
    result = {
        "records": records,
        "rounds": rounds,
        **provenance(__name__, threads=max(threads), processes=1),
    }
    write_result(json_path, result)


if __name__ == "__main__":
    main()
