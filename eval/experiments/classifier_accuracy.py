"""How often classifiers are right on images that they were not trained on, at each noise level.

    python -m diffcodec.eval.experiments.classifier_accuracy cifar10 cifar10-judge \\
        --data cifar10/ --split test --tile 32 --labels cifar10/test_labels.npy
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from diffcodec.classifier.file import load_classifier
from diffcodec.eval.common import options
from diffcodec.eval.common.images import about
from diffcodec.eval.common.results import Result, provenance, write_result


def row(name: str, data: Path, labels: Path, split: str, tile: int) -> tuple[Result, Result]:
    """What is known and found of a classifier, and the data set."""
    from diffcodec.classifier import accuracy
    from diffcodec.classifier.judge import Judge
    from diffcodec.classifier.labelled import read_labelled

    file = load_classifier(name)
    recipe = replace(file.recipe, train=replace(file.recipe.train, tile=tile))
    images = read_labelled(recipe, [data], labels, split)
    found = accuracy.measure(Judge(file), images)
    known = {key: value for key, value in file.about.items() if key != "accuracy"}
    training = {key: value for key, value in file.card.items() if key != "accuracy"}
    facts = {"kind": file.recipe.classifier.kind, "noisy": file.recipe.noisy, "training": training}
    return {**known, **facts, **found}, about(data, split, tile, list(images.pixels))


def to_text(result: dict[str, Any]) -> str:
    """A row for each classifier and noise level."""
    from tabulate import tabulate

    rows = [
        [one["name"], level["sigma_grey"], level["accuracy"], level["cross_entropy_nats"]]
        for one in result["classifiers"]
        for level in one["levels"]
    ]
    heads = ["classifier", "noise (grey)", "accuracy", "cross-entropy (nats)"]
    return str(tabulate(rows, heads, floatfmt=("", "g", ".4f", ".4f")))


@options.measurement
@click.argument("classifiers", nargs=-1, required=True)
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@options.split_option
@options.tile_option
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="A .npy of classes.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of torch.")
@options.json_option
def main(
    classifiers: tuple[str, ...],
    data: Path,
    split: str,
    tile: int,
    labels: Path,
    threads: int,
    json_path: Path | None,
) -> None:
    """Accuracy of CLASSIFIERS, shipped ones or files, on labelled images in DATA."""
    import torch

    torch.set_num_threads(threads)
    found = [row(name, data, labels, split, tile) for name in classifiers]
    result = {
        "classifiers": [one for one, _ in found],
        "dataset": found[0][1],
        **provenance(__name__, threads=threads, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(result))


if __name__ == "__main__":
    main()
