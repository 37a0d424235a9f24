"""The images that networks are trained and measured on: options of several commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import Decorator, grouped
from diffcodec.cli.streams import PIPE, read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffcodec.data import Source
    from diffcodec.image.picture import Choices
    from diffcodec.network.config import TrainConfig

PIXELS = 2**20  # that tables are measured on
MOST = 256  # crops of them: enough, and 32x32 networks take long for a pixel


@dataclass(frozen=True)
class TrainingSet:
    """--data, --split: the images that a network is trained or measured on."""

    data: tuple[str, ...]
    split: str = "all"

    @cached_property
    def sources(self) -> list[Source]:
        """Files and folders, and the image that came from standard input, which is read once."""
        if PIPE not in self.data:
            return list(self.data)
        if self.data.count(PIPE) > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise click.UsageError(f"--data {PIPE} is one image, for one process")
        return [read(source) if source == PIPE else source for source in self.data]

    def load(self, config: TrainConfig, choices: Choices) -> list[NDArray[np.uint8]]:
        """All images that are large enough, as (H, W, 3) uint8; raises DataError."""
        from diffcodec.data import load_images

        return load_images(self.sources, self.split, config.tile, config.crop, choices)

    def crops(self, config: TrainConfig, choices: Choices) -> list[NDArray[np.uint8]]:
        """(crop, crop, 3) uint8, as in training: PIXELS in all, at most MOST of them."""
        from diffcodec.data import Batches

        side = config.crop
        count = min(MOST, max(1, PIXELS // side**2))
        loaded = self.load(config, choices)
        crops = Batches(loaded, batch=count, crop=side, flips=False, grey=0.0, seed=config.seed)
        return list(crops[0].transpose(0, 2, 3, 1))

    @property
    def name(self) -> str:
        """What results call the set."""
        from diffcodec.eval.common.images import name_of_set

        return name_of_set(self.sources)


def _options(required: bool) -> Decorator[Any]:
    return grouped(
        "images",
        TrainingSet,
        click.option(
            "--data",
            required=required,
            multiple=True,
            metavar="IMAGES",
            help="A file or folder of images, or - for one from a pipe. May be repeated.",
        ),
        click.option(
            "--split",
            default="all",
            metavar="NAME",
            help="Only files or folders below IMAGES whose name begins with NAME.",
        ),
    )


training_set_options = _options(required=True)
optional_training_set = _options(required=False)  # of a command that may do without
