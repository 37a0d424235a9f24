"""Images for training and measuring: folders in, uint8 arrays out; batches that know their step.

The batch of step k is a pure function of (seed, k, rank), so a resumed run, or one on another
number of loader threads, sees the same images, crops and flips without any stored RNG state.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffcodec.errors import DataError

_BICUBIC = Image.Resampling.BICUBIC
SUFFIXES = frozenset(
    {".png", ".webp", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".avif"}
)


def list_images(folder: Path, split: str = "all") -> list[Path]:
    """Image files below `folder`, sorted; `split` keeps names or folders that begin with it."""
    if not folder.exists():
        raise DataError(f"{folder} does not exist")
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    paths = [p for p in files if p.suffix.lower() in SUFFIXES]
    if split != "all":
        paths = [p for p in paths if p.name.startswith(split) or p.parent.name.startswith(split)]
    if not paths:
        wanted = "" if split == "all" else f' that begin with "{split}"'
        raise DataError(f"{folder} holds no images{wanted}")
    return paths


def load_images(
    folder: Path, split: str = "all", tile: int = 0, minimum: int = 1
) -> list[NDArray[np.uint8]]:
    """Load every image as (H, W, 3) uint8; unreadable or too small ones are named and skipped.

    tile: cut each image into tiles of this side, in rows (how CIFAR-10 mosaics are read); 0 for
    whole images. Raises DataError if nothing remains.
    """
    images: list[NDArray[np.uint8]] = []
    least = max(minimum, tile)
    with ThreadPoolExecutor() as threads:
        paths = list_images(folder, split)
        for path, found in zip(paths, threads.map(_read, paths), strict=True):
            if isinstance(found, Exception):
                print(f"skipped {path}: {found}", file=sys.stderr)
            elif min(found.shape[:2]) < least:
                print(f"skipped {path}: smaller than {least} pixels", file=sys.stderr)
            else:
                images.extend(tiles(found, tile) if tile else [found])
    if not images:
        raise DataError(f"no readable image in {folder}")
    return images


def _read(path: Path) -> NDArray[np.uint8] | Exception:
    """The image as (H, W, 3), or why there is none."""
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return error


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
