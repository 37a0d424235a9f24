"""The images of a measurement: read exactly, each with a name that its records and files bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.data import digest, list_images, load_images, tiles
from diffcodec.errors import DataError, ImageError
from diffcodec.image import load


@dataclass(frozen=True, eq=False)
class NamedImage:
    """pixels: (H, W, 3) RGB or (H, W, 1) grey, uint8. name: unique in its set, fit for a file.

    parts: of how many images of one size it is a stack (diffcodec.eval.rd.joint).
    """

    name: str
    pixels: Pixels
    parts: int = 1


def load_named(
    data: Path,
    split: str = "all",
    tile: int = 0,
    count: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> list[NamedImage]:
    """The images below the folder `data`, or the one at `data`: the first `count`, in order.

    split: only names or folders that begin so; tile: cut each image into squares of this side, in
    rows. Images of different sizes are fine. What cannot be read exactly (damage, transparency,
    more than 8 bits) is left out, and `warn` hears a sentence about it. Raises DataError if nothing
    remains.
    """
    paths = list_images(data, split)
    found: list[NamedImage] = []
    for path, name in zip(paths, _names(paths, data), strict=True):
        if count is not None and len(found) >= count:
            break
        try:
            pixels = load(path)
        except (ImageError, OSError) as error:
            warn(f"left out: {error}")
            continue
        if min(pixels.shape[:2]) < tile:
            warn(f"left out: {path} is smaller than a tile of {tile} pixels")
        elif tile:
            parts = tiles(pixels, tile)
            found += [NamedImage(f"{name}-{i:05}", part) for i, part in enumerate(parts)]
        else:
            found.append(NamedImage(name, pixels))
    if not found:
        raise DataError(f"no readable image in {data}")
    return found[:count]


def about(data: Path, split: str, tile: int, images: Sequence[Pixels]) -> dict[str, Any]:
    """What was measured, the "dataset" of a result."""
    return {
        "name": data.resolve().stem,
        "split": split,
        "tile": tile,
        "images": len(images),
        "sha256": digest(list(images)),
    }


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


def _names(paths: list[Path], data: Path) -> list[str]:
    """Paths below the folder, "/" as "-", without suffixes where they are not needed to differ."""
    root = data if data.is_dir() else data.parent
    whole = ["-".join(path.relative_to(root).parts) for path in paths]
    bare = [name[: -len(path.suffix)] for name, path in zip(whole, paths, strict=True)]
    often = Counter(bare)
    return [b if often[b] == 1 else w for b, w in zip(bare, whole, strict=True)]
