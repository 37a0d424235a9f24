"""Which images go into an archive, and what they are called in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.many import Outcome, sort_left_out
from diffcodec.cli.streams import PIPE, name_of, read
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.source import Source
    from diffcodec.image.picture import Choices
    from diffcodec.image.scan import Found

SUFFIX = ".dfa"


def inputs_and_target(words: Sequence[str], output: str | None) -> tuple[list[str], str]:
    """IN... OUT, or IN... with -o. Raises UsageError where it is not clear which one is OUT."""
    if output is not None:
        return list(words), output
    if len(words) < 2:
        raise click.UsageError("name the archive, as the last one of the names or with -o")
    *sources, target = words
    if len(sources) > 1 and target != PIPE and not target.lower().endswith(SUFFIX):
        raise click.UsageError(
            f"the last of several names is the archive, and {name_of(target)} has no suffix "
            f"{SUFFIX}; name it with -o"
        )
    return sources, target


@dataclass(frozen=True)
class Inputs:
    """sources: in the order of names; left_out, unreadable: other files in folders, and why;
    hidden: how many names that begin with a dot there were."""

    sources: list[Source]
    left_out: list[tuple[str, str]]
    unreadable: list[tuple[str, str]]
    hidden: int = 0

    def others(self, skipped: int) -> str:
        """What else there was, for the end of a sentence; skipped: how many of the sources."""
        out, hidden = len(self.left_out) + len(self.unreadable) + skipped, self.hidden
        parts = [f"; {counted(out, 'file')} left out"] if out else []
        parts += [f"; {counted(hidden, 'hidden name')} passed by"] if hidden else []
        return "".join(parts)

    def file_bytes(self, skipped: Sequence[str]) -> int:
        """Of the images but the skipped ones; OSError if one is gone by now."""
        names, total = set(skipped), 0
        for source in self.sources:
            if source.name in names:
                continue
            if isinstance(source.path, bytes):
                total += len(source.path)
            elif isinstance(source.path, Path):
                total += source.path.stat().st_size
        return total


def find_sources(words: Sequence[str], name: str | None, choices: Choices) -> Inputs:
    """The images among files, in folders and on standard input, which `name` is for.

    They are called as below the folder that was given; with several inputs, the folder's own name
    stands in front. Raises ClickException where two get one name, or where there is none.
    """
    from diffcodec.archive.source import Source
    from diffcodec.image.scan import find_images

    if (PIPE in words) != (name is not None):
        raise click.UsageError(
            "standard input needs a name in the archive: --name photo.png"
            if name is None
            else "--name is for standard input, which is not among the inputs"
        )
    for word in words:
        if word != PIPE and not os.path.lexists(word):
            raise click.ClickException(f"{name_of(word)}: No such file or directory")
    scan = find_images([word for word in words if word != PIPE])
    outcome = Outcome()
    sort_left_out(scan, outcome)
    sources: dict[str, Source] = {}
    if name is not None:
        sources[name] = Source(name, read(PIPE), choices=choices)
    for found in scan.images:
        own = _name(found, len(words) > 1)
        if own in sources:
            raise click.ClickException(
                f"{name_of(found.path)} and another image would both be called {name_of(own)}; "
                "name a folder that holds both"
            )
        sources[own] = Source.of_file(own, found.path, choices)
    if not sources:
        raise click.ClickException(
            f"{', '.join(map(name_of, words))}: there is no image to archive"
        )
    return Inputs(list(sources.values()), outcome.left_out, outcome.failed, outcome.hidden)


def _name(found: Found, several: bool) -> str:
    """What an image is called, with the folder's name in front where there are several inputs."""
    if not several or not found.root.is_dir():
        return found.name
    folder = os.path.basename(os.path.abspath(found.root))
    return f"{folder}/{found.name}" if folder else found.name
