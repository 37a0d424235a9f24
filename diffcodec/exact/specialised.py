"""A trained network without what its integers have no place for: a variance, and other classes.

The codec estimates x0 alone; and what a network is told of a class is a shift of its noise
embedding, which for one class is a constant.
"""

from __future__ import annotations

import dataclasses

from diffcodec.errors import OptionError
from diffcodec.exact.listing import Listing
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.kinds import build


def specialised(checkpoint: Checkpoint, label: int | None = None) -> Checkpoint:
    """The network for images of one class, without its variance; itself where it has neither.

    Raises OptionError for a class that it has not, or without one where it has classes; and
    CheckpointError where it has no exact form.
    """
    found = _of_class(checkpoint, label)
    return _of_mean(found) if found.recipe.network.sigma2 == "learned" else found


def _of_class(checkpoint: Checkpoint, label: int | None) -> Checkpoint:
    """With the class's shift in the bias that it is added to."""
    name, classes = checkpoint.recipe.name, checkpoint.recipe.network.classes
    if not classes:
        if label is not None:
            raise OptionError(f"{name} knows no classes: leave out class {label}")
        return checkpoint
    if label is None or not 0 <= label < classes:
        raise OptionError(
            f"{name} has classes, and its integers are for one: name it, 0..{classes - 1}"
        )
    weights = dict(checkpoint.weights)
    shift, bias = weights.pop("classes.weight")[label], "embed.2.bias"
    weights[bias] = weights[bias].astype("float32") + shift
    network = dataclasses.replace(checkpoint.recipe.network, classes=0)
    recipe = dataclasses.replace(checkpoint.recipe, network=network)
    return dataclasses.replace(checkpoint, recipe=recipe, weights=weights)


def _of_mean(checkpoint: Checkpoint) -> Checkpoint:
    """With the first half of the last layer's channels only."""
    recipe = checkpoint.recipe
    network = build(recipe.network)
    listing = Listing(network, recipe.name)
    network.walk(listing, (0,))
    weights = dict(checkpoint.weights)
    for kind in ("weight", "bias"):
        name = f"{listing.layers[-1].name}.{kind}"
        weights[name] = weights[name][: network.c_out // 2]
    alone = dataclasses.replace(recipe.network, sigma2="beta")
    objective = "simple" if recipe.train.objective == "hybrid" else recipe.train.objective
    train = dataclasses.replace(recipe.train, objective=objective)
    recipe = dataclasses.replace(recipe, network=alone, train=train)
    return dataclasses.replace(checkpoint, recipe=recipe, weights=weights)
