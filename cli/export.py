"""export: from a trained network to the integer one that the codec uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.options import file_options
from diffcodec.cli.output import Output
from diffcodec.cli.training import data_option, split_option

if TYPE_CHECKING:
    from diffcodec.exact.graph import Graph

PIXELS = 2**18  # that activations are measured on, at every noise level


@click.command()
@click.argument("network", type=click.Path(path_type=Path))
@data_option
@split_option
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    help="The integer network's file (default: NETWORK with .exact before its suffix).",
)
@file_options
def export(network: Path, data: Path, split: str, out: str | None, output: Output) -> None:
    """Turn the trained NETWORK into the integers that code.

    They give the same bits on every machine. The images should be those of its training:
    activations on them decide how the integers are scaled. It is proven that no sum overflows,
    whatever the image.

    \b
    Examples:
      diffcodec export runs/photo/model.safetensors --data images/
      diffcodec export model.safetensors --data cifar10/ --split train -o cifar10.safetensors
    """
    target = out or str(network.with_suffix(f".exact{network.suffix}"))
    output.claim(network, target)
    graph = _export(network, data, split, output)

    from diffcodec.exact.overflow import prove

    content = graph.to_bytes()
    output.write(target, content)
    largest = max(prove(graph).layers, key=lambda layer: layer.accumulator)
    output.say(
        f"{target}: {len(content):,} bytes, fingerprint {graph.fingerprint.hex()}; sums stay below "
        f"2^31: up to {largest.accumulator:,} in layer {largest.name}"
    )


def _export(network: Path, data: Path, split: str, output: Output) -> Graph:
    from diffcodec.data import Batches, load_images
    from diffcodec.exact.export import export as exported
    from diffcodec.exact.floats import layers_of
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.theory.chain import Tables

    checkpoint = Checkpoint.load(network)
    layers_of(checkpoint)  # what has no exact form is refused at once
    Tables.of(checkpoint.tables)  # and what lacks what coding needs
    config = checkpoint.recipe.train
    images = load_images(data, split, config.tile, minimum=config.crop)
    batches = Batches(
        images,
        batch=max(1, PIXELS // config.crop**2),
        crop=config.crop,
        flips=False,
        grey=config.grey,
        seed=config.seed,
    )
    with output.progress("measuring activations") as progress:
        return exported(checkpoint, list(batches[0].transpose(0, 2, 3, 1)), progress)
