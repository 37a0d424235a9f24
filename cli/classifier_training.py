"""train-classifier: from a recipe and labelled images to a classifier that guides or judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.device import check_device
from diffcodec.cli.options import quiet_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.training_options import finish_option, minutes_option, training_device_option
from diffcodec.cli.training_set import TrainingSet, training_set_options

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices


@click.command("train-classifier")
@click.argument("recipe", type=click.Path(path_type=Path))
@training_set_options
@click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Classes of the images, in their order: a .npy of whole numbers from 0 on.",
)
@click.option(
    "--test-split",
    metavar="NAME",
    help="Images of the same IMAGES that are not trained on: how often the classifier is right.",
)
@click.option(
    "--test-labels", type=click.Path(path_type=Path), metavar="FILE", help="Their classes."
)
@reading_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the classifier and the log (default: runs/ and the recipe's file name).",
)
@minutes_option
@finish_option
@training_device_option
@quiet_options
def train_classifier(
    recipe: Path,
    images: TrainingSet,
    labels: Path,
    test_split: str | None,
    test_labels: Path | None,
    choices: Choices,
    out: Path | None,
    minutes: float | None,
    finish_in: float | None,
    device: str,
    output: Output,
) -> None:
    """Train the classifier of RECIPE, or resume its training.

    With noise in its recipe it is one that guides samples (`diffcodec sample --guide`), without one
    that judges them (`diffcodec quality --classifier`). The same command again resumes where it
    stopped.

    \b
    Examples:
      diffcodec train-classifier recipes/cifar10-classifier.toml --data cifar10/ --split train \\
        --labels cifar10/train_labels.npy --test-split test --test-labels cifar10/test_labels.npy
      diffcodec train-classifier mine.toml --data images/ --labels labels.npy --finish-in 30
    """
    if (test_split is None) != (test_labels is None):
        raise click.UsageError("--test-split and --test-labels go together")
    if test_split is not None and _overlap(test_split, images.split):
        raise click.UsageError(
            f"--test-split {test_split} is not to be trained on: say with --split what is"
        )
    from diffcodec.classifier.config import ClassifierRecipe

    described = ClassifierRecipe.load(recipe)
    folder = out or Path("runs") / recipe.stem

    from diffcodec.classifier.accuracy import measure
    from diffcodec.classifier.judge import Judge
    from diffcodec.classifier.labelled import read_labelled
    from diffcodec.classifier.train import train

    check_device(device)
    learnt = read_labelled(described, images.sources, labels, images.split, choices)
    test = None
    if test_split is not None and test_labels is not None:
        test = read_labelled(described, images.sources, test_labels, test_split, choices)
    ends = {"minutes": minutes, "finish_in": finish_in}
    try:
        with output.progress("training") as progress:
            run = train(described, learnt, folder, **ends, device=device, progress=progress)
    except KeyboardInterrupt:
        output.say("\nthe same command resumes from the last checkpoint")
        raise
    made, target = run.file(), folder / "classifier.safetensors"
    said = f"{target}: step {run.step} of {described.train.steps}"
    if test is not None:
        found = measure(Judge(made, device), test)
        made = replace(made, card={**made.card, "accuracy": found})
        made.save(target)
        said += f", right on {found['accuracy']:.1%} of {found['images']:,} test images"
    output.say(said)


def _overlap(one: str, other: str) -> bool:
    """Can a file's name belong to both splits?"""
    return other == "all" or one.startswith(other) or other.startswith(one)
