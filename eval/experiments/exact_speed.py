"""What the integer network costs, beside the float network it was made from.

The same evaluations run one after the other, of all networks, round by round, so that whatever else
the machine does hits all alike; the least of the rounds counts. float32 is torch's, eager, channels
last; the paths of a network's integers must agree, or there is no measurement.

    python -m diffcodec.eval.experiments.exact_speed cifar10 photo --large \\
        --json eval/results/exact-speed.json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.eval.common import options
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.exact.backends import by_kernel, instruction_sets, open_backend
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.conformance import Evaluator
from diffcodec.exact.integers import INPUT_FRACTION, AnyLayer
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.config import Recipe
from diffcodec.zoo import load_graph

Case = tuple[int, int, int]  # images, height, width
CASES: tuple[Case, ...] = ((1, 32, 32), (16, 32, 32), (1, 512, 768))
LARGE: Case = (1, 4000, 6000)  # for compiled kernels alone, but for the slowest
SLOWEST = "portable"
TORCH = "float32 torch"
NOISE = 0.5  # variance
PATIENCE = 3.0  # processor seconds: what takes longer is evaluated once
Paths = dict[str, Callable[[], Any]]
Record = dict[str, Any]


def float_path(graph: AnyGraph, case: Case) -> Callable[[], Any]:
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


def exact_paths(graph: AnyGraph, case: Case, threads: int) -> Paths:
    """Evaluations of the integers by every instruction set, and by torch and numpy."""
    n, *sides = case
    height, width = (-(-side // graph.stride) * graph.stride // graph.patch for side in sides)
    noise = np.random.default_rng(0).normal(0, 1, (n, height, width, 3 * graph.patch**2))
    x = np.rint(noise * 2**INPUT_FRACTION).astype(np.int16)
    v = np.full(n, NOISE)
    networks: dict[str, Evaluator] = {
        f"compiled, {isa}": by_kernel(graph, threads, isa)
        for isa in instruction_sets(graph)
        if case != LARGE or isa != SLOWEST
    }
    if case != LARGE:
        torch8 = isinstance(graph, ByteGraph)
        name, backend = ("int8, torch", "torch8") if torch8 else ("float64, torch", "torch64")
        networks[name] = open_backend(graph, backend, threads)
        networks["float64, numpy"] = open_backend(graph, "numpy", threads)
    return {name: partial(network, x, v) for name, network in networks.items()}


def products(graph: AnyGraph, case: Case) -> int:
    """Multiplications of one evaluation."""
    n, height, width = case
    sides, total = [(height // graph.patch, width // graph.patch)], 0
    layers: Sequence[AnyLayer] = graph.layers
    for k, layer in enumerate(layers):
        up = 1 + layer.upsample
        height, width = (-(-side * up // layer.stride) for side in sides[graph.sources(k)[0]])
        sides.append((height, width))
        total += n * height * width * graph.weight(layer).size
    return total


def measure(graphs: Sequence[AnyGraph], case: Case, threads: int, rounds: int) -> list[Record]:
    """Least processor and wall seconds of every path of each network, all in turns.

    Raises RuntimeError if the integers of a network differ.
    """
    import torch

    torch.set_num_threads(threads)
    paths = {}
    for i, graph in enumerate(graphs):
        if case != LARGE:
            paths[i, TORCH] = float_path(graph, case)
        own = exact_paths(graph, case, threads)
        paths |= {(i, name): evaluate for name, evaluate in own.items()}
    least = {key: (float("inf"), float("inf")) for key in paths}
    first: dict[int, Any] = {}
    for _ in range(rounds):
        for key, evaluate in paths.items():
            if PATIENCE < least[key][0] < float("inf"):
                continue
            began = time.process_time(), time.perf_counter()
            out = evaluate()
            took = time.process_time() - began[0], time.perf_counter() - began[1]
            least[key] = min(least[key][0], took[0]), min(least[key][1], took[1])
            if out is not None and not np.array_equal(out, first.setdefault(key[0], out)):
                raise RuntimeError("evaluations of the integer network differ: one is wrong")
    return [
        record(graph, case, threads, {name: took for (k, name), took in least.items() if k == i})
        for i, graph in enumerate(graphs)
    ]


def record(
    graph: AnyGraph, case: Case, threads: int, least: dict[str, tuple[float, float]]
) -> Record:
    """What was measured of a network, ready for JSON; least: processor and wall seconds."""
    n, height, width = case
    return {
        "network": graph.facts["recipe"]["name"],
        "version": graph.VERSION,
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
    for one in records:
        case = "{pictures} x {height} x {width}, {threads} threads".format(**one)
        for name, seconds in one["paths"].items():
            wall = seconds["wall_seconds"]
            beside = one["paths"].get(TORCH)
            ratio = wall / beside["wall_seconds"] if beside else None
            speed = one["products"] / wall / 1e9
            rows.append([one["network"], case, name, 1000 * wall, speed, ratio])
    head = ["network", "images", "evaluated by", "ms, wall clock", "GMAC/s", "/ torch"]
    return tabulate(rows, head, floatfmt=("", "", "", ".2f", ".1f", ".2f"))


@options.measurement
@click.argument("networks", nargs=-1, required=True)
@options.json_option
@click.option("--threads", multiple=True, default=(1, 2), show_default=True, type=int)
@click.option("--rounds", default=7, show_default=True, help="Least of so many.")
@click.option("--large", is_flag=True, help="24 megapixels as well, by the compiled kernels.")
def main(
    networks: tuple[str, ...],
    json_path: Path | None,
    threads: tuple[int, ...],
    rounds: int,
    large: bool,
) -> None:
    """Time of integer NETWORKS (names or files) and of the float networks they come from."""
    graphs = [load_graph(name) for name in networks]
    cases = (*CASES, LARGE) if large else CASES
    found = [measure(graphs, case, n, rounds) for n in threads for case in cases]
    records = [one for of_network in zip(*found, strict=True) for one in of_network]
    click.echo(table(records))
    result = {
        "records": records,
        "rounds": rounds,
        **provenance(__name__, threads=max(threads), processes=1),
    }
    write_result(json_path, result)


if __name__ == "__main__":
    main()
