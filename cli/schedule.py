"""schedule: the noise levels that make a network's files smallest; parse, call, print."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.streams import claim, narrate, print_json, progress_bar, write
from diffcodec.cli.training import data_option, quiet_option, split_option, training_crops

if TYPE_CHECKING:
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.exact.graph import Graph
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.network.config import Recipe
    from diffcodec.network.denoiser import NetworkDenoiser
    from diffcodec.theory.chain import Tables


@click.command()
@click.argument("network")
@data_option
@split_option
@click.option(
    "--steps",
    "lengths",
    type=click.IntRange(2, 1000),
    multiple=True,
    required=True,
    metavar="K",
    help="Store a chain of K steps, beside the usual ones; may be given again.",
)
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    help="The network with the chains (NETWORK with .scheduled before its suffix).",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def schedule(
    network: str,
    data: Path,
    split: str,
    lengths: tuple[int, ...],
    out: str | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Choose the K noise levels, and the hand-over to the exact pixels, that cost fewest bits.

    What NETWORK, shipped or a file of either kind, makes of the images at each noise level is
    measured; of all chains on a fine grid the best is found exactly. The table tells bits/dim
    against the number of steps, and what as many of DDPM's timesteps would cost, evenly spaced.
    Tables are part of a network's fingerprint, so OUT is another network to the codec.

    \b
    Examples:
      diffcodec schedule cifar10 --data cifar/ --split train --steps 40 -o mine.safetensors
      diffcodec schedule runs/photo/model.safetensors --data images/ --steps 50 --steps 200
    """
    target = out or str(Path(network).with_suffix(".scheduled.safetensors"))
    claim(network, target, force=force, as_json=as_json)

    import numpy as np

    from diffcodec.data import digest
    from diffcodec.eval.common.environment import environment, portable
    from diffcodec.eval.likelihood.step_counts import LENGTHS, against_steps, to_text
    from diffcodec.network.tables import survey
    from diffcodec.theory.chain import CHAIN_LENGTHS
    from diffcodec.theory.levels import choose
    from diffcodec.theory.units import to_unit
    from diffcodec.zoo import load_network

    denoiser = load_network(network)
    recipe, retabled = _about(denoiser)
    crops = training_crops(recipe, data, split)
    with progress_bar("measuring", quiet=quiet) as progress:
        x0 = np.stack([to_unit(crop) for crop in crops])
        tables, pixel_bpd = survey(denoiser, x0, seed=0, progress=progress)
    stored = {*CHAIN_LENGTHS, *lengths}
    choices = choose(tables, pixel_bpd, {*stored, *LENGTHS})
    chains = {str(k): choices[k].v for k in sorted(stored)}
    made = retabled(dataclasses.replace(tables, chains=chains))
    write(target, made.to_bytes(), force=force)
    narrate(f"{target}: fingerprint {made.fingerprint.hex()}", quiet=quiet)
    rows = against_steps(tables, pixel_bpd, choices)
    if not as_json:
        click.echo(to_text(rows))
        return
    shape = list(crops[0].shape)
    print_json(
        {
            "model": {"name": denoiser.name, "fingerprint": denoiser.fingerprint},
            "dataset": {"name": data.name, "split": split, "images": len(crops), "shape": shape}
            | {"sha256": digest(crops)},
            "output": {"fingerprint": made.fingerprint.hex(), "chains": sorted(stored)},
            "steps": rows,
            "environment": environment(denoiser.threads, processes=1),
            "command": f"diffcodec {portable(sys.argv[1:])}",
        }
    )


def _about(
    denoiser: ExactDenoiser | NetworkDenoiser,
) -> tuple[Recipe, Callable[[Tables], Graph | Checkpoint]]:
    """How the network was trained, and the way to the same one with other tables."""
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.config import Recipe

    if isinstance(denoiser, ExactDenoiser):
        graph = denoiser.graph
        return Recipe.from_dict(graph.facts["recipe"]), graph.with_tables
    checkpoint = denoiser.checkpoint
    return checkpoint.recipe, checkpoint.with_tables
