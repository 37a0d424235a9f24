"""What the commands that draw images share: networks, batches, images that go in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcodec.cli.device import batch_option, device_option, own_device
from diffcodec.cli.options import (
    backend_option,
    class_option,
    grouped,
    model_option,
    threads_option,
)
from diffcodec.cli.streams import PIPE, name_of, read

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Float64, Pixels
    from diffcodec.cli.sampler_options import AnyNetwork
    from diffcodec.image.picture import Choices

SIDE = 32  # of images, where a network does not say what it was trained on


@dataclass(frozen=True)
class Generator:
    """-m, --class, --device and the like: which network, and how it is evaluated."""

    model: str | None = None
    label: int | None = None
    threads: int | None = None
    backend: str | None = None
    device: str = "cpu"
    batch_images: int | None = None

    def open(self, default: str, guided: bool = False) -> AnyNetwork:
        """The network, `default` if none is named; raises CheckpointError and OptionError.

        guided: --class is a classifier's, and the network's only if it has to know it.
        """
        from diffcodec.zoo import load_network

        model, label = self.model or default, self.label
        if guided and not _conditional(model):
            label = None
        return load_network(model, own_device(self.device), self.threads, self.backend, label)

    def batch(self, height: int, width: int) -> int:
        """Images of this size in a call of the network."""
        from diffcodec.eval.likelihood.nll import BATCH_PIXELS

        return self.batch_images or max(1, BATCH_PIXELS[self.device] // (height * width))


generator_options = grouped(
    "generator",
    Generator,
    model_option,
    class_option,
    threads_option,
    backend_option("the fastest of --device", "--device alone"),
    device_option,
    batch_option,
)


def _conditional(model: str) -> bool:
    """Whether the network has to know a class."""
    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.zoo import load_model

    found = load_model(model)
    return isinstance(found, Checkpoint) and found.recipe.network.classes > 0


def trained_on(network: AnyNetwork) -> int:
    """The side of the images that the network was trained on."""
    from diffcodec.exact.denoiser import ExactDenoiser

    if isinstance(network, ExactDenoiser):
        return int(network.graph.facts["recipe"].get("train", {}).get("crop", SIDE))
    return network.checkpoint.recipe.train.crop


def channels_of(network: AnyNetwork) -> tuple[int, ...]:
    """How many channels images may have, the most last: (1, 3) for networks of colours."""
    channels: tuple[int, ...] = getattr(network, "channels", (1, 3))
    return channels


def about(network: AnyNetwork) -> dict[str, Any]:
    """The "model" of a result."""
    return {key: getattr(network, key) for key in ("name", "fingerprint", "parameters")}


def read_pixels(source: str, choices: Choices) -> Pixels:
    """An image, (H, W, C) uint8; ImageError for what no network takes."""
    from diffcodec.data import read_image

    return read_image(read(source) if source == PIPE else Path(source), choices)


def states_of(network: AnyNetwork, images: Sequence[tuple[str, Pixels]]) -> Float64:
    """Images by name as x_0, (N, C, H, W); OptionError unless all are of one size, and one that the
    network takes."""
    import numpy as np

    from diffcodec.errors import OptionError
    from diffcodec.theory.units import to_x0

    first, pixels = images[0]
    for name, other in images:
        if other.shape != pixels.shape:
            raise OptionError(
                f"{name_of(name)} is {size(other.shape)}, and {name_of(first)} is "
                f"{size(pixels.shape)}: take images of one size"
            )
    if pixels.shape[2] not in channels_of(network):
        raise OptionError(
            f"{name_of(first)} is {size(pixels.shape)}, and {network.name} takes "
            f"{' or '.join('grey' if n == 1 else 'RGB' for n in channels_of(network))} images"
        )
    return to_x0(np.stack([pixels for _, pixels in images]))


def size(shape: Sequence[int]) -> str:
    """ "32 x 32 RGB" of (H, W, C)."""
    height, width, channels = shape
    return f"{width} x {height} {'grey' if channels == 1 else 'RGB'}"
