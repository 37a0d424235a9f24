"""train, calibrate: from a recipe and a folder of images to a network that can code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.device import check_device
from diffcodec.cli.options import class_option, quiet_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import name_of
from diffcodec.cli.training_options import finish_option, minutes_option, training_device_option
from diffcodec.cli.training_set import TrainingSet, training_set_options

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.network.config import Recipe


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@training_set_options
@reading_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the network and the log (default: runs/ and the recipe's name).",
)
@click.option(
    "--from",
    "first",
    metavar="NAME|FILE",
    help="Start from the weights of this network, which has the recipe's sizes.",
)
@click.option(
    "--validate",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Held-out images: report the bound on some of them, before (--from) and after.",
)
@minutes_option
@finish_option
@training_device_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
    help="Change a field of the recipe, for example train.lr=1e-4.",
)
@quiet_options
def train(
    recipe: Path,
    images: TrainingSet,
    choices: Choices,
    out: Path | None,
    first: str | None,
    validate: Path | None,
    minutes: float | None,
    finish_in: float | None,
    device: str,
    settings: tuple[str, ...],
    output: Output,
) -> None:
    """Train the network of RECIPE, or resume its training.

    The same command again resumes where it stopped. At the end the tables that coding needs are
    measured on the same images. What comes out is a float network, which `diffcodec encode -m`
    takes; `diffcodec export` makes an integer network of it, whose files are exact everywhere.

    \b
    Examples:
      diffcodec train recipes/photo.toml --data images/ --finish-in 60
      diffcodec train recipes/cifar10-second.toml --data cifar/ --split train --set train.lr=3e-4
      diffcodec train recipes/photo.toml --data mine/ --from photo --validate held-out/
    """
    from diffcodec.network.config import Recipe

    described = Recipe.load(recipe).override(settings)
    folder = out or Path("runs") / described.name

    from diffcodec.training import train as training

    check_device(device)
    from diffcodec.zoo import load_weights

    known = load_weights(first) if first else None
    main = int(os.environ.get("RANK", "0")) == 0
    check = Validation(validate, described, choices, device, output) if validate and main else None
    if check and known:
        check("before", known)
    try:
        run = training.train(
            described,
            images.sources,
            folder,
            split=images.split,
            choices=choices,
            minutes=minutes,
            finish_in=finish_in,
            device=device,
            first=known,
            quiet=output.quiet,
        )
    except KeyboardInterrupt:
        output.say("\nthe same command resumes from the last checkpoint")
        raise
    if main:
        network, made = folder / "model.safetensors", run.checkpoint()
        if check:
            check("after", made)
            made.card["validation"] = check.found
        _with_tables(made, images, choices, output, device).save(network)
        output.say(f"{network}: step {run.step} of {described.train.steps}")


class Validation:
    """The bound on held-out images, reported and kept for the network's card."""

    def __init__(
        self, folder: Path, recipe: Recipe, choices: Choices, device: str, output: Output
    ) -> None:
        from diffcodec.eval.likelihood.validation import HeldOut

        self.held_out = HeldOut.load(folder, recipe.train, choices)
        self.device, self.output = device, output
        self.found: dict[str, Any] = {"dataset": self.held_out.name}

    def __call__(self, when: str, network: Checkpoint) -> None:
        """Measure `network` before or after the training."""
        self.found[when] = bound = self.held_out.bound(network, self.device)
        error = bound["standard_error_bpd"]
        spread = "" if error is None else f" +- {error:.3f}"
        self.output.say(
            f"{when} training: {bound['bpd']:.4f}{spread} bits/dim on {bound['images']} images "
            f"of {self.held_out.name}"
        )


@click.command()
@click.argument("network", type=click.Path(path_type=Path))
@training_set_options
@reading_options
@class_option
@quiet_options
def calibrate(
    network: Path, images: TrainingSet, choices: Choices, label: int | None, output: Output
) -> None:
    """Measure the tables that coding needs, on images.

    They are stored in the float NETWORK, and are part of its fingerprint and of that of the integer
    network that is exported from it.

    \b
    Examples:
      diffcodec calibrate runs/photo/model.safetensors --data images/
      diffcodec calibrate runs/cifar10/model.safetensors --data cifar/ --split train
    """
    from diffcodec.zoo import load_checkpoint

    if network.is_dir():
        raise click.ClickException(
            f"{name_of(network)} is a folder: diffcodec schedule measures it, and makes a file"
        )
    measured = _with_tables(load_checkpoint(network), images, choices, output, label=label)
    measured.save(network)
    output.say(f"{network}: fingerprint {measured.fingerprint.hex()}")


def _with_tables(
    checkpoint: Checkpoint,
    images: TrainingSet,
    choices: Choices,
    output: Output,
    device: str = "cpu",
    label: int | None = None,
) -> Checkpoint:
    """The checkpoint with tables from crops as in its training."""
    from diffcodec.network.denoiser import NetworkDenoiser
    from diffcodec.network.tables import measure_tables

    crops = images.crops(checkpoint.recipe.train, choices)
    denoiser = NetworkDenoiser(checkpoint, device, label)
    with output.progress("measuring") as progress:
        return checkpoint.with_tables(measure_tables(denoiser, crops, progress=progress))
