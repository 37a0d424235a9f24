"""Images for training and measuring: folders in, uint8 arrays out; batches that know their step.

The batch of step k is a pure function of (seed, k, rank), so a resumed run, or one on another
number of loader threads, sees the same images, crops and flips without any stored RNG state.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffcodec.errors import DataError, ImageError, sentence
from diffcodec.image import read_picture
from diffcodec.image.picture import AS_IT_IS, Choices
from diffcodec.image.scan import Scan, find_images

_BICUBIC = Image.Resampling.BICUBIC
NAMED = 10  # of what is left out; of more there is a count
ASIDE = "choose a colour to lay it on with --flatten, white for instance"


def find(sources: Sequence[str | Path], split: str = "all") -> Scan:
    """The images among files and below folders (find_images), each folder's sorted by their paths.

    split: only names, or names of their folders, that begin so, of what is found and left out.
    Raises DataError for a source that is not there, and where there is no image.
    """
    for source in sources:
        if not Path(source).exists():
            raise DataError(f"{source} does not exist")
    scan = find_images(sources)
    images = [one for one in scan.images if _of_split(one.path, split)]
    if not images:
        wanted = "" if split == "all" else f' that begin with "{split}"'
        raise DataError(f"{listed(sources)} holds no images{wanted}")
    place = {str(Path(source)): i for i, source in reversed(list(enumerate(sources)))}
    images.sort(key=lambda one: (place[str(one.root)], one.path))
    left_out = [(path, why) for path, why in scan.left_out if _of_split(path, split)]
    return Scan(images, left_out, scan.hidden)


def _of_split(path: Path, split: str) -> bool:
    return split == "all" or path.name.startswith(split) or path.parent.name.startswith(split)


def sentences(scan: Scan) -> list[str]:
    """What a scan left out, a sentence each."""
    found = [f"{path} {why}" for path, why in scan.left_out]
    if scan.hidden:
        found.append(f"{scan.hidden} whose names begin with a dot")
    return found


def first_few(left_out: Sequence[str]) -> list[str]:
    """Some sentences, and how many more there are, for people to read."""
    more = len(left_out) - NAMED
    return [*left_out[:NAMED], *([f"{more:,} more"] if more > 0 else [])]


def listed(sources: Sequence[str | Path]) -> str:
    """Sources in a sentence: the only one by its name."""
    return str(sources[0]) if len(sources) == 1 else f"the {len(sources)} files and folders"


def read_image(source: Path | bytes, choices: Choices = AS_IT_IS) -> NDArray[np.uint8]:
    """An image that can be trained on and measured: (H, W, 3) RGB or (H, W, 1) grey, uint8.

    Raises ImageError for one that cannot be read, has an alpha channel, or more than 8 bits.
    """
    name = str(source) if isinstance(source, Path) else "standard input"
    pixels = read_picture(source, choices).pixels
    if pixels.shape[2] in (2, 4):
        raise ImageError(f"{name} has an alpha channel, which is not measured; {ASIDE}")
    if pixels.dtype != np.uint8:
        raise ImageError(
            f"{name} has more than 8 bits a sample, which are not measured; convert it to 8 first"
        )
    return pixels


def load_images(
    folder: Path,
    split: str = "all",
    tile: int = 0,
    minimum: int = 1,
    choices: Choices = AS_IT_IS,
) -> list[NDArray[np.uint8]]:
    """Load every image below a folder, or the one at a path, as (H, W, 3) uint8; grey as RGB.

    tile: cut each image into tiles of this side, in rows (how CIFAR-10 mosaics are read); 0 for
    whole images. What cannot be read (read_image) and what is too small is named on stderr and
    skipped. Raises DataError if nothing remains, ImageError for a file that was given itself.
    """
    images: list[NDArray[np.uint8]] = []
    least = max(minimum, tile)
    scan = find([folder], split)
    skipped = sentences(scan)
    with ThreadPoolExecutor() as threads:
        read = threads.map(lambda one: _read(one.path, choices), scan.images)
        for one, found in zip(scan.images, read, strict=True):
            if isinstance(found, Exception):
                if one.path == one.root:
                    raise found
                skipped.append(sentence(found) or str(found))
            elif min(found.shape[:2]) < least:
                skipped.append(f"{one.path} is smaller than {least} pixels")
            else:
                images.extend(tiles(found, tile) if tile else [found])
    for line in first_few(skipped):
        print(f"skipped: {line}", file=sys.stderr)
    if not images:
        raise DataError(f"no readable image in {folder}")
    return images


def _read(path: Path, choices: Choices) -> NDArray[np.uint8] | ImageError | OSError:
    """The image as (H, W, 3), or why there is none."""
    try:
        pixels = read_image(path, choices)
    except (ImageError, OSError) as error:
        return error
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def tiles(image: NDArray[np.uint8], side: int) -> list[NDArray[np.uint8]]:
    """The (side, side, C) squares of an (H, W, C) image, in rows; what is left over goes."""
    rows, columns, channels = image.shape[0] // side, image.shape[1] // side, image.shape[2]
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side, channels)
    return list(cut.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, channels))


def digest(images: list[NDArray[np.uint8]]) -> str:
    """SHA-256 of all pixels in order: names a data set in results."""
    sha = hashlib.sha256()
    for image in images:
        sha.update(np.ascontiguousarray(image).tobytes())
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
