"""How many different answers one machine gives, by threads, batches, layouts and libraries.

Every environment below is a process of its own, which evaluates the same images by every path of
the integer network, and by the float network with the same weights where there is one, in all
combinations of threads, batch sizes, memory layouts and oneDNN on or off. Counted are the distinct
SHA-256 of the outputs, and of files that are encoded with the integers.

    python -m diffcodec.eval.experiments.exact_settings NETWORK --json settings.json
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.eval.common import options
from diffcodec.eval.common.environment import module_name
from diffcodec.eval.common.results import provenance, write_result

ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3"},
    {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2,STRICT", "OPENBLAS_CORETYPE": "Haswell"},
    {"MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem"},
    {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
)
IMAGES, SIDE, V = 16, 16, 0.01
BATCHES = (1, 3, 16)
Answer = dict[str, Any]  # kind: "exact", "float" or "file"; setting; sha256


@options.measurement
@click.argument("network")
@options.json_option
@click.option("--inside", is_flag=True, hidden=True)
def main(network: str, json_path: Path | None, inside: bool) -> None:
    """Count the distinct answers of NETWORK, a name or an integer network's file."""
    if inside:
        for answer in answers(network):
            click.echo(json.dumps(answer))
        return
    found: list[Answer] = []
    for variables in ENVIRONMENTS:
        command = [sys.executable, "-m", module_name(__name__), network, "--inside"]
        done = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True
        )
        if done.returncode:
            raise click.ClickException(f"{variables}: {done.stderr.strip().splitlines()[-1]}")
        found += [{"environment": variables, **json.loads(x)} for x in done.stdout.splitlines()]
        click.echo(f"{variables or 'as it is'}: {len(found)} answers so far", err=True)
    counts = {}
    for kind in dict.fromkeys(a["kind"] for a in found):
        hashes = [a["sha256"] for a in found if a["kind"] == kind]
        counts[kind] = {"settings": len(hashes), "distinct": len(set(hashes))}
        click.echo(f"{kind}: {len(hashes)} settings, {len(set(hashes))} distinct answers")
    result = {
        "network": network,
        "counts": counts,
        "answers": found,
        **provenance(__name__, threads=1, processes=1),
    }
    write_result(json_path, result)


def answers(network: str) -> Iterator[Answer]:
    """All answers of this process."""
    from diffcodec.exact.backends import by_kernel, instruction_sets, open_backend
    from diffcodec.exact.graph import Graph
    from diffcodec.zoo import load_graph

    graph = load_graph(network)
    of_words = isinstance(graph, Graph)
    x = _inputs(graph)
    v = np.full(IMAGES, V)
    paths: dict[str, Callable[[Any, Any], Any]] = {}
    for threads in (1, 2):
        for isa in instruction_sets(graph):
            paths[f"compiled {isa}, {threads} threads"] = by_kernel(graph, threads, isa)
        for name in ("numpy", *(("torch64", "torch32") if of_words else ("torch8",))):
            paths[f"{name}, {threads} threads"] = open_backend(graph, name, threads)
    for (name, path), batch in product(paths.items(), BATCHES):
        out = [path(x[i : i + batch], v[i : i + batch]) for i in range(0, IMAGES, batch)]
        yield _answer("exact", f"{name}, batches of {batch}", np.concatenate(out))
    yield from _files(graph)
    if of_words:  # whose weights are those of a float network
        yield from _floats(graph, x.astype(np.float32) / 4096)


def _files(graph: Any) -> Iterator[Answer]:
    """A lossless file of one image, by each path that the codec may use."""
    from diffcodec.codec import Codec
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.theory.chain import Tables

    pixels = np.random.default_rng(1).integers(90, 160, (SIDE, SIDE, 3)).astype(np.uint8)
    tables = Tables.of(graph.facts["tables"])
    for path, threads in product(("compiled", "numpy"), (1, 2)):
        codec = Codec(ExactDenoiser(graph, threads, path), tables, workers=threads)
        data = codec.encode(pixels, chain="6")
        yield _answer("file", f"{path}, {threads} threads", np.frombuffer(data, np.uint8))


def _floats(graph: Any, x: Any) -> Iterator[Answer]:
    """F of the float network with the dequantised weights."""
    import torch

    from diffcodec.exact.export import float_network
    from diffcodec.network.config import Recipe
    from diffcodec.network.kinds import build

    network = build(Recipe.from_dict(graph.facts["recipe"]).network)
    network.load_state_dict({k: torch.from_numpy(w) for k, w in float_network(graph).items()})
    network.eval().requires_grad_(False)
    nchw = torch.from_numpy(x).permute(0, 3, 1, 2)
    nchw = torch.nn.functional.pixel_shuffle(nchw, graph.patch)
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    for threads, batch, (layout, memory), onednn in product(
        (1, 2), BATCHES, layouts.items(), (True, False)
    ):
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=onednn), torch.inference_mode():
            out = [
                network.residual(
                    nchw[i : i + batch].contiguous(memory_format=memory),
                    torch.full((len(nchw[i : i + batch]),), V),
                ).numpy()
                for i in range(0, IMAGES, batch)
            ]
        setting = f"{threads} threads, batches of {batch}, {layout}, oneDNN {onednn}"
        yield _answer("float", setting, np.concatenate(out))


def _inputs(graph: Any) -> Any:
    """(IMAGES, side / patch, side / patch, 3 patch^2) int16 of unit variance at 2^-12."""
    side = -(-SIDE // graph.stride) * graph.stride // graph.patch
    shape = IMAGES, side, side, 3 * graph.patch**2
    return np.clip(np.random.default_rng(0).normal(0, 4096, shape), -32000, 32000).astype(np.int16)


def _answer(kind: str, setting: str, values: Any) -> Answer:
    data = np.ascontiguousarray(values).tobytes()
    return {"kind": kind, "setting": setting, "sha256": hashlib.sha256(data).hexdigest()}


if __name__ == "__main__":
    main()
