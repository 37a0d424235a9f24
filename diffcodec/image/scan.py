"""Finding files in folders: by what they begin with, not by what they are called."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffcodec.image.signatures import BEGINNING, why_no_image

UNREADABLE = "cannot be read"  # how the reasons begin that are failures


@dataclass(frozen=True)
class Found:
    """A file. name: its path below `root` with slashes, or its own name where it was given itself;
    root: the source that it came by. Names that are not UTF-8 are as os.fsdecode has them.
    """

    name: str
    path: Path
    root: Path


@dataclass(frozen=True)
class Scan:
    """images: what is to be read; left_out: paths and why, a phrase; hidden: how many files and
    folders whose names begin with a dot were passed by.
    """

    images: list[Found]
    left_out: list[tuple[Path, str]]
    hidden: int = 0


def find_images(sources: Sequence[str | Path]) -> Scan:
    """The images among files and in folders: in the order of `sources`, inside a folder by name.

    A file that is given by name is always taken, even one that is not there: reading it says why.
    In folders an image is what begins like one; links are not followed. Raises nothing.
    """
    return find_files(sources, why_no_image)


def find_files(sources: Sequence[str | Path], why_not: Callable[[bytes], str | None]) -> Scan:
    """As find_images, for other files: `why_not` gets the first 64 bytes of each one in a folder,
    and says in a phrase why it is left out, or None.
    """
    scan = Scan([], [])
    taken: set[str] = set()
    hidden = 0
    for source in sources:
        root = Path(source)
        if os.path.isdir(root):
            found, passed = _in_folder(root, why_not, scan.left_out)
            hidden += passed
        else:
            found = [Found(root.name, root, root)]
        for file in found:
            place = os.path.abspath(file.path)
            if place not in taken:  # a file that is given twice is one file
                taken.add(place)
                scan.images.append(file)
    return Scan(scan.images, scan.left_out, hidden)


def _in_folder(
    root: Path, why_not: Callable[[bytes], str | None], left_out: list[tuple[Path, str]]
) -> tuple[list[Found], int]:
    """The files below a folder, and how many names with a dot there were."""
    found, out, hidden = [], [], 0
    for path, reason in _entries(root):
        if path != root and path.name.startswith("."):
            hidden += 1
            continue
        reason = reason or _reason(path, why_not)
        if reason:
            out.append((path, reason))
        else:
            found.append(Found(path.relative_to(root).as_posix(), path, root))
    left_out.extend(sorted(out, key=lambda entry: os.fsencode(entry[0])))
    return sorted(found, key=lambda file: os.fsencode(file.name)), hidden


def _entries(root: Path) -> Iterator[tuple[Path, str | None]]:
    """What is below a folder besides folders, each with why it cannot be read, if that is known."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError as error:
            yield folder, f"{UNREADABLE} ({error.strerror})"
            continue
        for entry in listed:
            path = folder / entry.name
            if entry.is_symlink():
                yield path, "is a link, which is not followed"
            elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                folders.append(path)
            else:
                yield path, None


def _reason(path: Path, why_not: Callable[[bytes], str | None]) -> str | None:
    """Why the file is left out, by its first bytes."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return "is not a file (a pipe, a device or a socket)"
        with open(path, "rb") as file:
            beginning = file.read(BEGINNING)
    except OSError as error:
        return f"{UNREADABLE} ({error.strerror})"
    return why_not(beginning) if beginning else "is empty"
