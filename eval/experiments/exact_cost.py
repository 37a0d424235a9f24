"""What the integers cost: the bound under a float network and under its integer network.

    python -m diffcodec.eval.experiments.exact_cost FLOAT EXACT --data cifar10/ --split test \\
        --tile 32

Both see the same images with the same noise, and share the preconditioning; so the difference is
that of the integers alone, and far sharper than either bound.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffcodec.data import digest
from diffcodec.eval.common.environment import environment, portable
from diffcodec.eval.common.images import load_pixels
from diffcodec.eval.likelihood.elbo import standard_error
from diffcodec.eval.likelihood.nll import Settings, Terms, batch_size, evaluate, images_of
from diffcodec.exact.backends import BACKENDS, open_backend
from diffcodec.exact.conformance import Evaluator
from diffcodec.exact.graph import INPUT_FRACTION, Graph
from diffcodec.files import write_atomic
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser


def with_integers(checkpoint: Checkpoint, graph: Graph, evaluate: Evaluator) -> NetworkDenoiser:
    """The network whose F comes from the integers."""
    network = NetworkDenoiser(checkpoint)

    def residual(x: Tensor, v: Tensor) -> Tensor:
        counts = torch.round(F.pixel_unshuffle(x, graph.patch) * 2**INPUT_FRACTION)
        channels_last = counts.clamp(-32768, 32767).to(torch.int16).permute(0, 2, 3, 1)
        out = torch.from_numpy(evaluate(channels_last.numpy(), v.double().numpy()))
        return F.pixel_shuffle(out.permute(0, 3, 1, 2) * 2.0**-graph.output, graph.patch)

    network.unet.residual = residual  # type: ignore[method-assign]
    return network


def compare(own: Terms, exact: Terms, settings: Settings) -> dict[str, Any]:
    """The bounds and their difference in bits/dim, ready for JSON."""
    extra = exact.vb - own.vb
    per_step = np.nanmean(extra, axis=0)
    offsets = settings.offsets(len(extra))
    schedule = settings.schedule
    bounds = [float(t.prior.mean() + np.nanmean(t.vb, axis=0).sum()) for t in (own, exact)]
    return {
        "float_bpd": bounds[0],
        "exact_bpd": bounds[1],
        "difference_bpd": float(per_step.sum()),
        "standard_error_bpd": standard_error(np.zeros(len(extra)), extra, offsets),
        "T": schedule.T,
        "schedule": schedule.name,
        "stride": settings.stride,
        "seed": settings.seed,
        "images": len(extra),
        "per_step": [
            {
                "sigma_grey": float(schedule.sigma_grey[t]),
                "float_bpd": float(np.nanmean(own.vb[:, t])),
                "difference_bpd": float(per_step[t]),
            }
            for t in reversed(range(schedule.T))
        ],
    }


@click.command()
@click.argument("trained", metavar="FLOAT", type=click.Path(path_type=Path))
@click.argument("exported", metavar="EXACT", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Pictures.")
@click.option("--split", default="all", show_default=True, help="Files whose name begins so.")
@click.option("--images", default=32, show_default=True, help="Use the first N images.")
@click.option("--tile", default=0, help="DATA holds mosaics of S x S images (CIFAR-10: 32).")
@click.option("--crop", default=0, help="Use the central S x S pixels of each image.")
@click.option("--steps", default=100, show_default=True, help="K steps of DDPM's T = 1000.")
@click.option("--stride", default=1, show_default=True, help="Evaluate every m-th t per image.")
@click.option("--backend", type=click.Choice([*BACKENDS]), help="Of the integers (the fastest).")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the results.")
def main(
    trained: Path,
    exported: Path,
    data: Path,
    split: str,
    images: int,
    tile: int,
    crop: int,
    steps: int,
    stride: int,
    backend: str | None,
    json_path: Path | None,
) -> None:
    """The difference in bits/dim between the network EXACT and the network FLOAT it came from."""
    settings = Settings(steps=steps, stride=stride)
    try:
        checkpoint, graph = Checkpoint.load(trained), Graph.load(exported)
        evaluator = open_backend(graph, backend)
        pixels = load_pixels(data, split, images, tile, crop)
        named = [(f"{data.name}#{i}", image) for i, image in enumerate(pixels)]
        networks = (NetworkDenoiser(checkpoint), with_integers(checkpoint, graph, evaluator))
        own, exact = (
            evaluate(
                network,
                images_of(named, settings, kind),
                settings,
                batch=lambda image: batch_size("cpu", None, image),
                progress=partial(_show, kind),
            )
            for network, kind in zip(networks, ("float", "exact"), strict=True)
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    assert own is not None and exact is not None
    result = {
        "dataset": {"name": data.name, "split": split, "sha256": digest(list(pixels))},
        "float": checkpoint.fingerprint.hex(),
        "exact": graph.fingerprint.hex(),
        **compare(own, exact, settings),
        "environment": environment(torch.get_num_threads(), processes=1),
        "command": f"python -m diffcodec.eval.experiments.exact_cost {portable(sys.argv[1:])}",
    }
    spread = result["standard_error_bpd"]
    click.echo(
        f"{result['exact_bpd']:.5f} - {result['float_bpd']:.5f} = {result['difference_bpd']:+.2e}"
        f"{'' if spread is None else f' +- {spread:.1e}'} bits/dim ({images} images, T = {steps})"
    )
    if json_path is not None:
        write_atomic(json_path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())


def _show(kind: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{kind} network: {done} of {total}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
