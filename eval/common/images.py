"""The images of a measurement: read exactly, each with a name that its records and files bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.data import (
    PIPED,
    Source,
    digest,
    entries,
    first_few,
    listed,
    load_images,
    read_image,
    tiles,
)
from diffcodec.errors import DataError, ImageError, sentence
from diffcodec.eval.common.words import shown
from diffcodec.image.picture import AS_IT_IS, Choices

LONGEST = 200  # bytes of a name


@dataclass(frozen=True, eq=False)
class NamedImage:
    """pixels: (H, W, 3) RGB or (H, W, 1) grey, uint8. name: unique in its set, fit for a file.

    parts: of how many images of one size it is a stack (diffcodec.eval.rd.joint).
    """

    name: str
    pixels: Pixels
    parts: int = 1


@dataclass(frozen=True, eq=False)
class ImageSet:
    """What is measured. name: of the folder or file, where there is one; left_out: a sentence on
    each file that was met and could not be taken.
    """

    name: str
    split: str
    tile: int
    images: list[NamedImage]
    left_out: list[str]

    @property
    def about(self) -> dict[str, Any]:
        """The "dataset" of a result."""
        pixels = [image.pixels for image in self.images]
        return {**_about(self.name, self.split, self.tile, pixels), "left_out": len(self.left_out)}


def read_set(
    sources: Sequence[Source],
    split: str = "all",
    tile: int = 0,
    count: int | None = None,
    choices: Choices = AS_IT_IS,
) -> ImageSet:
    """The images among files, below folders and in bytes: the first `count`, in order.

    split: only names or folders that begin so; tile: cut each image into squares of this side, in
    rows. Images of different sizes are fine. What cannot be measured (data.read_image) is left out
    of a folder; a file that is given itself raises ImageError or OSError. Raises DataError if
    nothing remains.
    """
    met, left_out = entries(sources, split)
    found: list[NamedImage] = []
    for entry, name in zip(met, _names([entry.name for entry in met]), strict=True):
        if count is not None and len(found) >= count:
            break
        try:
            pixels = read_image(entry.source, choices)
        except (ImageError, OSError) as error:
            if entry.itself:
                raise
            left_out.append(sentence(error) or str(error))
            continue
        if min(pixels.shape[:2]) < tile:
            left_out.append(f"{entry} is smaller than a tile of {tile} pixels")
        elif tile:
            parts = tiles(pixels, tile)
            found += [NamedImage(f"{name}-{i:05}", part) for i, part in enumerate(parts)]
        else:
            found.append(NamedImage(name, pixels))
    if not found:
        raise DataError(f"no readable image in {listed(sources)}")
    return ImageSet(name_of_set(sources), split, tile, found[:count], left_out)


def load_named(
    data: Path,
    split: str = "all",
    tile: int = 0,
    count: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> list[NamedImage]:
    """The images of `read_set` for one file or folder; `warn` hears what is left out."""
    found = read_set([data], split, tile, count)
    for line in first_few(found.left_out):
        warn(f"left out: {line}")
    return found.images


def about(data: Path, split: str, tile: int, images: Sequence[Pixels]) -> dict[str, Any]:
    """What was measured, the "dataset" of a result."""
    return _about(name_of_set([data]), split, tile, images)


def _about(name: str, split: str, tile: int, images: Sequence[Pixels]) -> dict[str, Any]:
    return {
        "name": name,
        "split": split,
        "tile": tile,
        "images": len(images),
        "sha256": digest(images),
    }


def name_of_set(sources: Sequence[Source]) -> str:
    """What results call a set: by the only source, if there is one."""
    if len(sources) > 1:
        return "images"
    only = sources[0]
    return PIPED if isinstance(only, bytes) else shown(Path(only).resolve().stem)


def load_pixels(folder: Path, split: str, count: int, tile: int, crop: int) -> Pixels:
    """The first `count` images of `folder` as (N, H, W, C) uint8.

    `tile`: images are mosaics of squares of this side (0: they are not). `crop`: keep the central
    crop x crop pixels (0: all). Raises DataError where sizes differ or are below the crop.
    """
    images = load_images(folder, split, tile)[:count]
    if crop:
        if min(min(image.shape[:2]) for image in images) < crop:
            raise DataError(f"an image in {folder} is smaller than {crop} x {crop}")
        corners = [((i.shape[0] - crop) // 2, (i.shape[1] - crop) // 2) for i in images]
        images = [i[y : y + crop, x : x + crop] for i, (y, x) in zip(images, corners, strict=True)]
    if len({image.shape for image in images}) > 1:
        raise DataError(f"the images in {folder} differ in size: choose a crop")
    return np.stack(images)


def _names(places: Sequence[str]) -> list[str]:
    """Of files below their folders, "/" as "-", without suffixes where they differ without; with
    a number where they do not differ otherwise.
    """
    whole = [_beginning(shown(place.replace("/", "-"))) for place in places]
    bare = [name.removesuffix(Path(name).suffix) for name in whole]
    often = Counter(bare)
    taken: dict[str, None] = {}
    for b, w in zip(bare, whole, strict=True):
        name, number = b if often[b] == 1 else w, 1
        while (numbered := name if number == 1 else f"{name}-{number}") in taken:
            number += 1
        taken[numbered] = None
    return list(taken)


def _beginning(name: str) -> str:
    """So much of a name that files can be called so, and a little more."""
    return name.encode()[:LONGEST].decode(errors="ignore")
