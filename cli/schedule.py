"""schedule: the noise levels that make a network's files smallest; parse, call, print."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.options import class_option, output_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import print_json
from diffcodec.cli.training_set import TrainingSet, training_set_options

if TYPE_CHECKING:
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.exact.stored import AnyGraph
    from diffcodec.image.picture import Choices
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.network.config import Recipe
    from diffcodec.network.denoiser import NetworkDenoiser
    from diffcodec.theory.chain import Tables


@click.command()
@click.argument("network")
@training_set_options
@reading_options
@class_option
@click.option(
    "--chain",
    "lengths",
    type=click.IntRange(2, 1000),
    multiple=True,
    required=True,
    metavar="K",
    help="Store the optimised schedule of K levels, beside the usual ones. May be repeated.",
)
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    help="The network with the schedules (default: NETWORK with .scheduled before its suffix).",
)
@output_options
def schedule(
    network: str,
    images: TrainingSet,
    choices: Choices,
    label: int | None,
    lengths: tuple[int, ...],
    out: str | None,
    output: Output,
) -> None:
    """Choose the noise levels that make a network's files smallest.

    The error of NETWORK, shipped, a file of either kind or a folder of diffusers, is measured on
    the images at each noise level; of all schedules of K levels on a fine grid, switch to the
    lossless residual included, the one that costs fewest bits is found exactly. The table reports
    bits/dim against the number of steps, and what as many of DDPM's timesteps would cost, evenly
    spaced. Schedules are part of a network's fingerprint, so OUT is another network to the codec.

    \b
    Examples:
      diffcodec schedule cifar10 --data cifar/ --split train --chain 40 -o mine.safetensors
      diffcodec schedule runs/photo/model.safetensors --data images/ --chain 50 --chain 200
    """
    target = out or str(Path(network).with_suffix(".scheduled.safetensors"))
    output.claim(network, target)

    import numpy as np

    from diffcodec.data import digest
    from diffcodec.eval.common.results import provenance
    from diffcodec.eval.likelihood.step_counts import LENGTHS, against_steps, to_text
    from diffcodec.network.tables import survey
    from diffcodec.theory.chain import CHAIN_LENGTHS
    from diffcodec.theory.levels import choose
    from diffcodec.theory.units import to_unit
    from diffcodec.zoo import load_network

    denoiser = load_network(network, label=label)
    recipe, retabled = _about(denoiser)
    crops = images.crops(recipe.train, choices)
    with output.progress("measuring") as progress:
        x0 = np.stack([to_unit(crop) for crop in crops])
        tables, pixel_bpd = survey(denoiser, x0, seed=0, progress=progress)
    stored = {*CHAIN_LENGTHS, *lengths}
    optimal = choose(tables, pixel_bpd, {*stored, *LENGTHS})
    chains = {str(k): optimal[k].v for k in sorted(stored)}
    made = retabled(dataclasses.replace(tables, chains=chains))
    output.write(target, made.to_bytes())
    output.say(f"{target}: fingerprint {made.fingerprint.hex()}")
    rows = against_steps(tables, pixel_bpd, optimal)
    if not output.as_json:
        click.echo(to_text(rows))
        return
    shape = list(crops[0].shape)
    print_json(
        {
            "model": {"name": denoiser.name, "fingerprint": denoiser.fingerprint},
            "dataset": {"name": images.name, "split": images.split}
            | {"images": len(crops), "shape": shape}
            | {"sha256": digest(crops)},
            "output": {"fingerprint": made.fingerprint.hex(), "chains": sorted(stored)},
            "steps": rows,
            **provenance("diffcodec", denoiser.threads, processes=1),
        }
    )


def _about(
    denoiser: ExactDenoiser | NetworkDenoiser,
) -> tuple[Recipe, Callable[[Tables], AnyGraph | Checkpoint]]:
    """How the network was trained, and the way to the same one with other tables."""
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.config import Recipe

    if isinstance(denoiser, ExactDenoiser):
        graph = denoiser.graph
        return Recipe.from_dict(graph.facts["recipe"]), graph.with_tables
    checkpoint = denoiser.checkpoint
    return checkpoint.recipe, checkpoint.with_tables
