"""Images for training and measuring: folders in, uint8 arrays out; batches that know their step.

The batch of step k is a pure function of (seed, k, rank), so a resumed run, or one on another
number of loader threads, sees the same images, crops and flips without any stored RNG state.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffcodec.bitstream.byte_order import little_endian
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import DataError, ImageError, sentence
from diffcodec.image import read_picture
from diffcodec.image.picture import AS_IT_IS, Choices
from diffcodec.image.scan import find_images

_BICUBIC = Image.Resampling.BICUBIC
NAMED = 10  # of what is left out; of more there is a count
ASIDE = "choose a colour to lay it on with --flatten, white for instance"


Source = str | Path | bytes  # a file or folder, or an image's bytes
PIPED = "standard input"  # where bytes are from


@dataclass(frozen=True)
class Entry:
    """An image that is still to be read. name: its path below the folder that was given, with
    slashes, or its own; itself: was it given itself, or found in a folder?
    """

    name: str
    source: Path | bytes
    itself: bool

    def __str__(self) -> str:
        return PIPED if isinstance(self.source, bytes) else str(self.source)


def entries(sources: Sequence[Source], split: str = "all") -> tuple[list[Entry], list[str]]:
    """The images in bytes, among files and below folders, and a sentence on all that is left out.

    They come in the order of `sources`, those of a folder sorted by their paths; what an image is
    is decided by image.scan. split: only files whose names, or those of their folders, begin so.
    Raises DataError for a source that is not there, and where there is no image.
    """
    found, left_out = list[Entry](), list[str]()
    paths = [Path(source) for source in sources if not isinstance(source, bytes)]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
    scan = find_images(paths)
    for source in sources:
        if isinstance(source, bytes):
            found.append(Entry(PIPED, source, itself=True))
            continue
        here = [one for one in scan.images if one.root == Path(source)]
        scan.images[:] = [one for one in scan.images if one.root != Path(source)]
        found += [
            Entry(one.name, one.path, one.path == one.root)
            for one in sorted(here, key=lambda one: one.path)
            if _of_split(one.path, split)
        ]
    left_out = [f"{path} {why}" for path, why in scan.left_out if _of_split(path, split)]
    if not found:
        wanted = "" if split == "all" else f' that begin with "{split}"'
        raise DataError(f"{listed(sources)} holds no images{wanted}")
    return found, left_out


def _of_split(path: Path, split: str) -> bool:
    return split == "all" or path.name.startswith(split) or path.parent.name.startswith(split)


def first_few(left_out: Sequence[str]) -> list[str]:
    """Some sentences, and how many more there are, for people to read."""
    more = len(left_out) - NAMED
    return [*left_out[:NAMED], *([f"{more:,} more"] if more > 0 else [])]


def listed(sources: Sequence[Source]) -> str:
    """Sources in a sentence: the only one by its name."""
    if len(sources) > 1:
        return f"what {len(sources)} names stand for"
    return PIPED if isinstance(sources[0], bytes) else str(sources[0])


def read_image(source: Path | bytes, choices: Choices = AS_IT_IS) -> NDArray[np.uint8]:
    """An image that can be trained on and measured: (H, W, 3) RGB or (H, W, 1) grey, uint8.

    Raises ImageError for one that cannot be read, has an alpha channel, or more than 8 bits.
    """
    name = PIPED if isinstance(source, bytes) else str(source)
    pixels = read_picture(source, choices).pixels
    if pixels.shape[2] in (2, 4):
        raise ImageError(f"{name} has an alpha channel, which is not measured; {ASIDE}")
    if pixels.dtype != np.uint8:
        raise ImageError(
            f"{name} has more than 8 bits a sample, which are not measured; convert it to 8 first"
        )
    return pixels.astype(np.uint8, copy=False)


def load_images(
    data: str | Path | Sequence[Source],
    split: str = "all",
    tile: int = 0,
    minimum: int = 1,
    choices: Choices = AS_IT_IS,
) -> list[NDArray[np.uint8]]:
    """Load every image of `entries` as (H, W, 3) uint8; grey as RGB.

    tile: cut each image into tiles of this side, in rows (how CIFAR-10 mosaics are read); 0 for
    whole images. What cannot be read (read_image) and what is too small is named on stderr and
    skipped. Raises DataError if nothing remains, ImageError or OSError for a file that was given
    itself.
    """
    images: list[NDArray[np.uint8]] = []
    least = max(minimum, tile)
    sources = [data] if isinstance(data, str | Path) else data
    found, skipped = entries(sources, split)
    with ThreadPoolExecutor() as threads:
        read = threads.map(lambda one: _read(one, choices), found)
        for one, pixels in zip(found, read, strict=True):
            if isinstance(pixels, Exception):
                skipped.append(sentence(pixels) or str(pixels))
            elif min(pixels.shape[:2]) < least:
                skipped.append(f"{one} is smaller than {least} pixels")
            else:
                images.extend(tiles(pixels, tile) if tile else [pixels])
    for line in first_few(skipped):
        print(f"skipped: {line}", file=sys.stderr)
    if not images:
        raise DataError(f"no readable image in {listed(sources)}")
    return images


def _read(entry: Entry, choices: Choices) -> NDArray[np.uint8] | ImageError | OSError:
    """The image as (H, W, 3), or why there is none."""
    try:
        pixels = read_image(entry.source, choices)
    except (ImageError, OSError) as error:
        if entry.itself:
            raise
        return error
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def tiles(image: NDArray[np.uint8], side: int) -> list[NDArray[np.uint8]]:
    """The (side, side, C) squares of an (H, W, C) image, in rows; what is left over goes."""
    rows, columns, channels = image.shape[0] // side, image.shape[1] // side, image.shape[2]
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side, channels)
    return list(cut.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, channels))


def digest(images: Sequence[Pixels]) -> str:
    """SHA-256 of all pixels in order: names a data set in results."""
    sha = hashlib.sha256()
    for image in images:
        sha.update(little_endian(image).tobytes())
    return sha.hexdigest()


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)


def shuffled(seed: int, count: int, position: int) -> int:
    """Which of `count` images comes at a position of an endless row of shuffled epochs."""
    epoch, index = divmod(position, count)
    return int(_order(seed, epoch, count)[index])


class Batches:
    """Crops of side `crop`, in epochs of a seeded shuffle; `batches[k]` is the batch of step k."""

    def __init__(
        self,
        images: list[NDArray[np.uint8]],
        *,
        batch: int,
        crop: int,
        flips: bool,
        grey: float,
        seed: int,
        scale: float = 1.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.images, self.batch, self.crop = images, batch, crop
        self.flips, self.grey, self.scale = flips, grey, scale
        self.seed, self.rank, self.world = seed, rank, world

    def __getitem__(self, step: int) -> NDArray[np.uint8]:
        """This rank's share of the step's batch: (batch / world, 3, crop, crop) uint8."""
        rng = np.random.default_rng((self.seed, step, self.rank, 1))
        share = self.batch // self.world
        first = step * self.batch + self.rank * share
        crops = np.empty((share, 3, self.crop, self.crop), np.uint8)
        for i in range(share):
            image = self.images[shuffled(self.seed, len(self.images), first + i)]
            side = self.crop
            if self.scale > 1 and rng.random() < 0.5:
                side = round(self.crop / self.scale ** rng.random())
            top = rng.integers(image.shape[0] - side + 1)
            left = rng.integers(image.shape[1] - side + 1)
            piece = image[top : top + side, left : left + side]
            if side < self.crop:
                # Large photographs are smoother, pixel by pixel, than small ones.
                enlarged = Image.fromarray(piece).resize((self.crop, self.crop), _BICUBIC)
                piece = np.asarray(enlarged)
            if self.flips and rng.random() < 0.5:
                piece = piece[:, ::-1]
            if rng.random() < self.grey:
                luma = piece @ np.array([0.299, 0.587, 0.114])
                piece = np.repeat(np.round(luma).astype(np.uint8)[..., None], 3, axis=2)
            crops[i] = piece.transpose(2, 0, 1)
        return crops
