"""export: from a trained network to the integer one that codes, or to a folder of diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from diffcodec.cli.options import class_option, file_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import name_of
from diffcodec.cli.training_set import TrainingSet, optional_training_set

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffcodec.exact.export import Bits
    from diffcodec.image.picture import Choices
    from diffcodec.network.checkpoint import Checkpoint

LAYER_PIXELS = 2**17  # that the cost of each layer is measured on
PIXELS = 2**18  # that activations are measured on, at every noise level


@click.command()
@click.argument("network", type=click.Path(path_type=Path))
@optional_training_set
@reading_options
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    help="The integer network's file (default: NETWORK with .exact before its suffix).",
)
@click.option(
    "--bits",
    type=click.Choice(["16", "8"]),
    default="16",
    show_default=True,
    help="Of activations and weights: with 8 the file is half as large and the network faster, at "
    "an error that is told.",
)
@class_option
@click.option(
    "--diffusers",
    metavar="DIR",
    help="Write the floats instead, as a folder that the library diffusers loads; takes no --data.",
)
@file_options
def export(
    network: Path,
    images: TrainingSet,
    choices: Choices,
    out: str | None,
    bits: str,
    label: int | None,
    diffusers: str | None,
    output: Output,
) -> None:
    """Turn the trained NETWORK into the integers that code.

    They give the same bits on every machine. The images should be those of its training:
    activations on them decide how the integers are scaled. It is proven that no sum overflows,
    whatever the image. What the integers cost is measured on them too. NETWORK is a file of
    `diffcodec train`, or a folder of diffusers. Of a network with classes the integers are for one,
    which --class names; a learned variance is left out, which only nll and sample use.

    \b
    Examples:
      diffcodec export runs/photo/model.safetensors --data images/
      diffcodec export model.safetensors --data cifar10/ --split train -o cifar10.safetensors
      diffcodec export --bits 8 runs/photo/model.safetensors --data images/
      diffcodec export --diffusers ddpm/ runs/ddpm-cifar10/model.safetensors
    """
    if diffusers is not None:
        if images.data or out is not None:
            raise click.UsageError("--diffusers DIR writes a folder: it takes no --data, no --out")
        _write_folder(network, Path(diffusers), output)
        return
    if not images.data:
        raise click.UsageError("name images as in training with --data, or a --diffusers folder")
    target = out or str(network.with_suffix(f".exact{network.suffix or '.safetensors'}"))
    output.claim(network, target)
    checkpoint = _load(network, label)
    crops = _crops(checkpoint, images, choices)

    from diffcodec.exact.backends import proof_of
    from diffcodec.exact.bytewise.graph import ByteGraph
    from diffcodec.exact.bytewise.layer_cost import measure_layers, table
    from diffcodec.exact.cost import measure_cost
    from diffcodec.exact.export import export as exported

    with output.progress("measuring activations") as progress:
        graph = exported(checkpoint, crops, progress, bits=cast("Bits", int(bits)))
    content = graph.to_bytes()
    output.write(target, content)
    largest = max(proof_of(graph).layers, key=lambda layer: layer.accumulator)
    output.say(
        f"{target}: {len(content):,} bytes, fingerprint {graph.fingerprint.hex()}; sums stay below "
        f"2^31: up to {largest.accumulator:,} in layer {largest.name}"
    )
    with output.progress("measuring the cost") as progress:
        costs = measure_cost(checkpoint, graph, crops, progress)
    output.say(f"PSNR of x0_hat, integers against floats: {', '.join(map(str, costs))}")
    if isinstance(graph, ByteGraph):
        few = crops[: max(1, LAYER_PIXELS // crops[0][..., 0].size)]
        with output.progress("measuring layers") as progress:
            layers = measure_layers(checkpoint, graph, few, progress)
        output.say(table(layers))


def _write_folder(network: Path, folder: Path, output: Output) -> None:
    """The floats of a network as a folder of diffusers."""
    from diffcodec.network.diffusers import save_folder
    from diffcodec.zoo import load_weights

    if folder.exists() and not folder.is_dir():
        raise click.ClickException(f"{name_of(folder)} is no folder")
    if folder.is_dir() and any(folder.iterdir()) and not output.force:
        raise click.ClickException(
            f"{name_of(folder)} is not empty; write into it with -f, or name another DIR"
        )
    save_folder(load_weights(network), folder)
    output.say(f"{folder}: DDPMPipeline.from_pretrained loads it")


def _load(network: Path, label: int | None) -> Checkpoint:
    from diffcodec.exact.listing import layers_of
    from diffcodec.exact.specialised import specialised
    from diffcodec.theory.chain import Tables
    from diffcodec.zoo import load_checkpoint

    checkpoint = specialised(load_checkpoint(network), label)
    layers_of(checkpoint)  # what has no exact form is refused at once
    Tables.of(checkpoint.tables)  # and what lacks what coding needs
    return checkpoint


def _crops(
    checkpoint: Checkpoint, images: TrainingSet, choices: Choices
) -> list[NDArray[np.uint8]]:
    from diffcodec.data import Batches

    config = checkpoint.recipe.train
    batches = Batches(
        images.load(config, choices),
        batch=max(1, PIXELS // config.crop**2),
        crop=config.crop,
        flips=False,
        grey=config.grey,
        seed=config.seed,
    )
    return list(batches[0].transpose(0, 2, 3, 1))
