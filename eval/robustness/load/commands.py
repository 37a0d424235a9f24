"""The commands that run side by side, what they need, and whether they did it right."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.image import load, save

ARCHIVED = 8  # images in an archive
SMALL = 32  # their sides, which are those of the images of CIFAR-10


@dataclass(frozen=True)
class Job:
    """A command line but for where the result goes, and whether that is right."""

    name: str
    words: tuple[str, ...]
    suffix: str
    right: Callable[[Path], bool]


def same_bytes(known: bytes) -> Callable[[Path], bool]:
    """Is a file this one? Encoders make the same bytes every time."""
    return lambda path: path.read_bytes() == known


def same_pixels(known: Pixels) -> Callable[[Path], bool]:
    """Is a file this image?"""
    return lambda path: np.array_equal(load(path), known)


def same_images(known: dict[str, Pixels]) -> Callable[[Path], bool]:
    """Does a folder hold these images?"""

    def right(folder: Path) -> bool:
        names = sorted(path.name for path in folder.iterdir())
        return names == sorted(known) and all(same_pixels(known[n])(folder / n) for n in names)

    return right


def make_jobs(folder: Path, images: Sequence[Pixels]) -> tuple[list[Job], list[Job]]:
    """Encoders' and decoders' jobs, and the inputs that they share, in a folder."""
    encoders, decoders = list[Job](), list[Job]()
    for i, pixels in enumerate(variants(images)):
        original, coded = folder / f"{i}.png", folder / f"{i}.dfc"
        save(pixels, original)
        model = "cifar10" if max(pixels.shape) <= SMALL else "photo-large"
        words = ("encode", str(original), "-m", model, "--effort", "fast", "-q")
        _make(words, coded)
        shape = f"{pixels.shape[1]}x{pixels.shape[0]}x{pixels.shape[2]}"
        encoders.append(Job(f"encode {shape}", words, ".dfc", same_bytes(coded.read_bytes())))
        back = ("decode", str(coded), "-q")
        decoders.append(Job(f"decode {shape}", back, ".png", same_pixels(pixels)))
    crops = {f"{i}.png": crop(images[i % len(images)], SMALL, i) for i in range(ARCHIVED)}
    some, archive = folder / "some", folder / "some.dfa"
    some.mkdir()
    for name, pixels in crops.items():
        save(pixels, some / name)
    words = ("archive", str(some), "-m", "cifar10", "--network", "always", "-q")
    _make(words, archive)
    encoders.append(Job("archive", words, ".dfa", same_bytes(archive.read_bytes())))
    decoders.append(Job("extract", ("extract", str(archive), "-q"), "", same_images(crops)))
    return encoders, decoders


def variants(images: Sequence[Pixels]) -> list[Pixels]:
    """RGB of three sizes, grey, RGBA, and one of 16 bits."""
    first, second = images[0], images[-1]
    rgb = [crop(first, 128, 0), crop(second, 192, 1), crop(first, SMALL, 2)]
    alpha = np.concatenate([rgb[0][:96], 255 - rgb[0][:96, :, 1:2]], axis=2)
    deep = rgb[0][:64, :64].astype(np.uint16) * 257
    return [*rgb, rgb[1][:, :, 1:2], alpha, deep]


def crop(pixels: Pixels, side: int, seed: int) -> Pixels:
    """Some (side, side, 3) of an image, or what there is."""
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    rng = np.random.default_rng(seed)
    top, left = (int(rng.integers(0, max(1, length - side))) for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _make(words: Sequence[str], target: Path) -> None:
    subprocess.run([sys.executable, "-m", "diffcodec", *words, "-o", str(target)], check=True)


def take_away(path: Path) -> None:
    """A result, file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
