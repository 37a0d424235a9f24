"""What any network is worth as a codec: architecture by parametrisation by numbers and backend.

Of every network the variational bound and whole files, decoded and compared; of one of integers
also what it costs against the floats that it was exported from, where those are measured too.
Everything in one thread.

    python -m diffcodec.eval.experiments.every_denoiser cifar10 runs/eps/model.safetensors DIR \\
        --data cifar10/ --split test --tile 32
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import numpy as np

from diffcodec.api import load_codec
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import CheckpointError
from diffcodec.eval.common import options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.likelihood.elbo import summarise
from diffcodec.eval.likelihood.nll import batch_size, evaluate
from diffcodec.eval.likelihood.plan import Settings, images_of
from diffcodec.exact.backends import BACKENDS
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.network.config import NetworkConfig, Recipe
from diffcodec.progressive.residual import Residual
from diffcodec.theory.units import to_x0
from diffcodec.zoo import load_network

if TYPE_CHECKING:
    from diffcodec.network.denoiser import NetworkDenoiser

    AnyDenoiser = ExactDenoiser | NetworkDenoiser


V = 0.04  # the noise at which a call is timed


def facts(denoiser: AnyDenoiser) -> Result:
    """What is known of a network before anything is measured; trained: of its floats."""
    if isinstance(denoiser, ExactDenoiser):
        graph = denoiser.graph
        config = Recipe.from_dict(graph.facts["recipe"]).network
        numbers = "bytes" if isinstance(graph, ByteGraph) else "16 bits"
        trained = str(graph.facts["trained"])
    else:
        config, numbers = denoiser.checkpoint.recipe.network, "floats"
        trained = denoiser.fingerprint
    return {
        "name": denoiser.name,
        "fingerprint": denoiser.fingerprint,
        "trained": trained,
        "parameters": denoiser.parameters,
        "architecture": architecture(config),
        "predicts": config.predicts,
        "numbers": numbers,
    }


def architecture(config: NetworkConfig) -> str:
    """In a few words."""
    parts = ["convolutions"]
    if config.norm == "group":
        parts.append("group normalisation")
    if config.attention:
        parts.append("attention at " + ", ".join(f"{n} x {n}" for n in config.attention))
    return ", ".join(parts)


def bound(denoiser: AnyDenoiser, images: Sequence[NamedImage], stride: int) -> Result:
    """The NELBO of DDPM's chain of 1000 steps, as `diffcodec nll`."""
    settings = Settings(chain=denoiser.betas, sigma2=denoiser.sigma2, stride=stride)
    named = [(image.name, image.pixels) for image in images]
    planned = images_of(named, settings, denoiser.fingerprint)
    with progress_bar(f"{denoiser.name}: bound") as progress:
        terms = evaluate(
            denoiser, planned, settings, batch=partial(batch_size, "cpu", None), progress=progress
        )
    assert terms is not None  # one process alone is the first
    found = summarise(terms, planned, settings)
    return {"nelbo_bpd": round(found["nelbo"]["bpd"], 5)}


def calls(model: str, image: Pixels) -> dict[str, float]:
    """Seconds that x0_hat of an image takes, the best of three, by every backend there is."""
    y, found = to_x0(image[None])[0].astype(np.float32), {}
    for backend in (None, *BACKENDS):
        try:
            codec = load_codec(model, 1, backend)
        except CheckpointError:  # not of this network, or not on this machine
            continue
        if backend is None and not codec.promised:
            continue  # it is one of those with a name
        took = []
        for _ in range(3):
            began = time.perf_counter()
            codec.denoiser(y, V)
            took.append(time.perf_counter() - began)
        found[backend or "torch"] = round(min(took), 5)
    return found


def files(model: str, images: Sequence[NamedImage]) -> Result:
    """Whole files, one of each image, decoded; BitstreamError if one comes back changed.

    With the Gaussian residual too: its bits are the network's alone, while the adaptive coder finds
    out by itself what a weak network does not know.
    """
    codec = load_codec(model, 1)
    found: Result = {}
    for residual in get_args(Residual):
        size, encoding, decoding = 0, 0.0, 0.0
        with progress_bar(f"{codec.name}: files, {residual}") as progress:
            for i, image in enumerate(images):
                began = time.perf_counter()
                data = codec.encode(image.pixels, residual=residual)
                encoded = time.perf_counter()
                decoded = codec.decode(data)
                encoding += encoded - began
                decoding += time.perf_counter() - encoded
                if not (decoded.lossless and np.array_equal(decoded.pixels, image.pixels)):
                    raise BitstreamError(f"{image.name} is not exact with {codec.name}")
                size += len(data)
                if progress:
                    progress(i + 1, len(images))
        found[residual] = {
            "bpd": round(8 * size / sum(image.pixels.size for image in images), 5),
            "encode_seconds": round(encoding / len(images), 4),
            "decode_seconds": round(decoding / len(images), 4),
        }
    return {"exact": "here" if codec.promised else "everywhere", "files": found}


def with_costs(rows: list[Result]) -> list[Result]:
    """Rows with what integers cost: their bits/dim less those of the floats they come from."""
    floats = {row["fingerprint"]: row for row in rows if row["numbers"] == "floats"}
    for row in rows:
        own = floats.get(row["trained"])
        if own is not None and own is not row:
            row["nelbo_cost_bpd"] = round(row["nelbo_bpd"] - own["nelbo_bpd"], 5)
            for residual, found in row["files"].items():
                found["cost_bpd"] = round(found["bpd"] - own["files"][residual]["bpd"], 5)
    return rows


def to_text(result: Result) -> str:
    """The rows for people."""
    from tabulate import tabulate

    head = ["network", "architecture", "predicts", "numbers", "exact", "NELBO"]
    rows = []
    for row in result["rows"]:
        about_it = [row[key] for key in ("name", *head[1:5], "nelbo_bpd")]
        about_it += [found["bpd"] for found in row["files"].values()]
        seconds = row["files"]["adaptive"]
        rows.append([*about_it, seconds["encode_seconds"], seconds["decode_seconds"]])
    head += [f"files, {residual}" for residual in get_args(Residual)]
    return tabulate(rows, [*head, "encode (s)", "decode (s)"])


@options.measurement
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path), help="Images.")
@options.set_options
@click.option("--stride", type=click.IntRange(1), default=40, help="Every M-th t per image (40).")
@options.json_option
def main(
    networks: tuple[str, ...],
    data: Path,
    split: str,
    tile: int,
    count: int | None,
    stride: int,
    json_path: Path | None,
) -> None:
    """What each NETWORK is worth as a codec: bits/dim by the bound and in files, and seconds."""
    images = load_named(data, split, tile, count)
    rows: list[Result] = []
    for model in networks:
        denoiser = load_network(model, threads=1)
        measured = {**bound(denoiser, images, stride), **files(model, images)}
        seconds = calls(model, images[0].pixels)
        rows.append({**facts(denoiser), **measured, "call_seconds": seconds})
    pixels = [image.pixels for image in images]
    result: Result = {
        "dataset": about(data, split, tile, pixels),
        "stride": stride,
        "rows": with_costs(rows),
        **provenance(__name__, threads=1, processes=1),
    }
    click.echo(to_text(result))
    write_result(json_path, result)


if __name__ == "__main__":
    main()
