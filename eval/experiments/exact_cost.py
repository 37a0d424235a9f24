"""What the integers cost: the bound under a float network and under its integer network.

    python -m diffcodec.eval.experiments.exact_cost FLOAT EXACT --data cifar10/ --split test \\
        --tile 32

Both see the same images with the same noise, and share the preconditioning; so the difference is
that of the integers alone, and far sharper than either bound.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from diffcodec.data import digest
from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_pixels
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.likelihood.elbo import standard_error
from diffcodec.eval.likelihood.nll import Terms, batch_size, evaluate
from diffcodec.eval.likelihood.plan import Settings, images_of
from diffcodec.exact.backends import BACKENDS, open_backend
from diffcodec.exact.conformance import Evaluator
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.stored import AnyGraph, load_integers
from diffcodec.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from diffcodec.network.denoiser import NetworkDenoiser


def with_integers(checkpoint: Checkpoint, graph: AnyGraph, evaluate: Evaluator) -> NetworkDenoiser:
    """The network whose F comes from the integers."""
    import torch
    from torch.nn import functional as F

    from diffcodec.network.denoiser import NetworkDenoiser

    network = NetworkDenoiser(checkpoint)

    def residual(x: Tensor, v: Tensor, label: Tensor | None = None) -> Tensor:
        counts = torch.round(F.pixel_unshuffle(x, graph.patch) * 2**INPUT_FRACTION)
        channels_last = counts.clamp(-32768, 32767).to(torch.int16).permute(0, 2, 3, 1)
        out = torch.from_numpy(evaluate(channels_last.numpy(), v.double().numpy()))
        return F.pixel_shuffle(out.permute(0, 3, 1, 2) * 2.0**-graph.output, graph.patch)

    network.network.residual = residual  # type: ignore[method-assign]
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


@options.measurement
@click.argument("trained", metavar="FLOAT", type=click.Path(path_type=Path))
@click.argument("exported", metavar="EXACT", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Images.")
@options.split_option
@options.count_option(32)
@options.tile_option
@options.crop_option
@click.option("--steps", type=click.IntRange(1, 1000), default=100, help="Of DDPM's 1000 (100).")
@click.option("--stride", type=click.IntRange(1), default=1, help="Every M-th t per image (1).")
@click.option("--backend", type=click.Choice([*BACKENDS]), help="Of the integers (the fastest).")
@options.json_option
def main(
    trained: Path,
    exported: Path,
    data: Path,
    split: str,
    count: int,
    tile: int,
    crop: int,
    steps: int,
    stride: int,
    backend: str | None,
    json_path: Path | None,
) -> None:
    """The difference in bits/dim between the network EXACT and the network FLOAT it came from."""
    import torch

    from diffcodec.network.denoiser import NetworkDenoiser

    settings = Settings(steps=steps, stride=stride)
    checkpoint, graph = Checkpoint.load(trained), load_integers(exported)
    pixels = load_pixels(data, split, count, tile, crop)
    named = [(f"{data.name}#{i}", image) for i, image in enumerate(pixels)]
    integers = with_integers(checkpoint, graph, open_backend(graph, backend))
    found: dict[str, Terms] = {}
    for kind, network in {"float": NetworkDenoiser(checkpoint), "exact": integers}.items():
        images = images_of(named, settings, kind)
        with progress_bar(f"{kind} network") as progress:
            terms = evaluate(
                network, images, settings, batch=partial(batch_size, "cpu", None), progress=progress
            )
        assert terms is not None  # one process alone is the first
        found[kind] = terms
    result = {
        "dataset": {"name": data.name, "split": split, "sha256": digest(list(pixels))},
        "float": checkpoint.fingerprint.hex(),
        "exact": graph.fingerprint.hex(),
        **compare(found["float"], found["exact"], settings),
        **provenance(__name__, threads=torch.get_num_threads(), processes=1),
    }
    spread, n = result["standard_error_bpd"], result["images"]
    click.echo(
        f"{result['exact_bpd']:.5f} - {result['float_bpd']:.5f} = {result['difference_bpd']:+.2e}"
        f"{'' if spread is None else f' +- {spread:.1e}'} bits/dim ({n} images, T = {steps})"
    )
    write_result(json_path, result)


if __name__ == "__main__":
    main()
