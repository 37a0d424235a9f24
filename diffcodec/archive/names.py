"""What the files are called that images of an archive go into: never two of them alike."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Sequence, Set
from pathlib import PurePosixPath

from diffcodec.bitstream.directory import ImageInfo
from diffcodec.errors import OptionError
from diffcodec.image import SUFFIXES, WRITES

WEBP_SIDE = 16383  # pixels, at most


def chosen(images: Sequence[ImageInfo], names: Sequence[str]) -> set[str]:
    """The names of images that are called so, or, where none is, that fit a pattern with *, ? and
    [...]. Raises OptionError for one that fits none."""
    known = {image.name for image in images}
    found = set[str]()
    for name in names:
        fitting = {name} & known or set(fnmatch.filter(known, name))
        if not fitting:
            raise OptionError(f"the archive holds no image called {name}")
        found |= fitting
    return found


def file_names(
    images: Sequence[ImageInfo], format: str | None = None, letters: bool = True
) -> list[str]:
    """Relative paths with slashes, one for each image.

    An image keeps its name if that asks for a format that holds it exactly, and, if one is given,
    for this `format`; else it gets the suffix of that, or .png. letters: whether files whose names
    differ in capital letters alone are two files.
    """
    suffix = ".png" if format is None else f".{format}"
    names: dict[int, str] = {}
    taken, same = set[str](), set[str]()
    for i, image in enumerate(images):
        alike = image.name in same or (not letters and _key(image.name) in taken)
        if _keeps(image, format) and not alike:
            names[i] = image.name
            taken.add(_key(image.name))
            same.add(image.name)
    numbers: dict[str, int] = {}  # by names, the next that may be free: all below are taken
    for i, image in enumerate(images):
        if i not in names:
            names[i] = _other(image.name, suffix, taken, numbers)
            taken.add(_key(names[i]))
    return [names[i] for i in range(len(images))]


def alike_but_for_letters(images: Sequence[ImageInfo]) -> bool:
    """Whether names of images differ in capital letters alone."""
    return len({_key(image.name) for image in images}) < len({image.name for image in images})


def _keeps(image: ImageInfo, format: str | None) -> bool:
    """Whether the format that an image's suffix asks for holds it, and is the one asked for."""
    suffix = PurePosixPath(image.name).suffix.lower()
    if format is not None:
        return SUFFIXES.get(suffix) == format
    own = WRITES.get(suffix)
    if own == "webp":
        fits = image.depth == 8 and image.channels >= 3
        return fits and max(image.height, image.width) <= WEBP_SIDE
    return own is not None


def _other(name: str, suffix: str, taken: Set[str], numbers: dict[str, int]) -> str:
    """A name for a file that cannot have its own."""
    for plain in (str(PurePosixPath(name).with_suffix(suffix)), name + suffix):
        if _key(plain) not in taken:
            return plain
    key = _key(name)
    number = numbers.get(key, 2)
    while _key(f"{name}.{number}{suffix}") in taken:
        number += 1
    numbers[key] = number + 1
    return f"{name}.{number}{suffix}"


def _key(name: str) -> str:
    """The same for names that may be of one file somewhere."""
    return unicodedata.normalize("NFC", name).casefold()
