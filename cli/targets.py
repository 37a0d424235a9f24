"""Where results go: which arguments are inputs, and what each result is called."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.output import Output, listed
from diffcodec.cli.streams import PIPE, name_of
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.image.scan import Found


@dataclass(frozen=True)
class Arguments:
    """IN... [OUT] and -o. target: OUT or -o, if one was given; named: by -o."""

    sources: list[str]
    target: str | None
    named: bool = True

    @property
    def single(self) -> bool:
        """Whether it is about one file, or a pipe: not about a folder, or several."""
        return len(self.sources) == 1 and not os.path.isdir(self.sources[0])

    def target_of_one(self, suffix: str) -> str:
        """Where the result of the single file goes: beside it, in a folder, which is made, or to a
        file.
        """
        (source,) = self.sources
        if self.target is None:
            if source == PIPE or os.path.isfile(source) or not os.path.exists(source):
                return swapped(source, suffix)
            raise click.UsageError(f"{name_of(source)} is no file; name the result with -o")
        if os.path.isdir(self.target) or self.target.endswith(os.sep):
            if source == PIPE:
                raise click.UsageError("standard input has no name; name a file with -o")
            os.makedirs(self.target, exist_ok=True)
            return os.path.join(self.target, swapped(os.path.basename(source), suffix))
        return self.target

    @property
    def folder(self) -> str | None:
        """Where the results of several go; None for beside them. Raises ClickException if that is
        no folder.
        """
        target = self.target
        if target is None:
            return None
        if not self.named:
            source = name_of(self.sources[0])
            raise click.ClickException(f"{source} is a directory; name one for its results with -o")
        if target == PIPE:
            raise click.UsageError("standard output takes one result; name a folder with -o")
        if os.path.exists(target) and not os.path.isdir(target):
            raise click.ClickException(
                f"{name_of(target)} is not a directory, where results can go"
            )
        return target


def arguments(
    words: Sequence[str], output: str | None, suffixes: Sequence[str], else_target: bool = False
) -> Arguments:
    """Which words are inputs. The last one of two is OUT if it has one of these suffixes, is a
    pipe, or something else than a file or a folder, such as /dev/null; else_target: if there is
    nothing of that name, too. Raises ClickException for an input that does not exist.
    """
    if output is None and len(words) == 2 and _is_target(words[1], suffixes, else_target):
        return Arguments([words[0]], words[1], named=False)
    if PIPE in words and len(words) > 1:
        raise click.UsageError("standard input goes alone; name its result with -o")
    if "" in words:
        raise click.ClickException("an input has no name")
    for word in words:
        if word != PIPE and not os.path.lexists(word):
            if len(words) == 1:
                raise click.ClickException(f"{name_of(word)}: No such file or directory")
            raise click.ClickException(
                f"{name_of(word)} does not exist; name a result with -o, or as the last of two "
                f"names, with the suffix {suffixes[0] if len(suffixes) == 1 else 'of an image'}"
            )
    return Arguments(list(words), output)


def _is_target(word: str, suffixes: Sequence[str], else_target: bool) -> bool:
    if word == PIPE or word.lower().endswith(tuple(suffixes)):
        return True
    if os.path.exists(word):
        return not os.path.isfile(word) and not os.path.isdir(word)
    return else_target


def swapped(path: str, suffix: str) -> str:
    """A name with another suffix; a pipe stays one."""
    return PIPE if path == PIPE else os.path.splitext(path)[0] + suffix


def targets(files: Sequence[Found], given: Arguments, suffix: str) -> tuple[list[str], list[str]]:
    """Where the results of many files go, below a folder as the files lie in theirs, or beside
    them; and what to say about names that clash: those keep the suffix that they had.

    Raises ClickException for two files whose results have the same name even so.
    """
    if given.single and files:
        return [given.target_of_one(suffix)], []
    folder = given.folder
    whole = [str(f.path) if folder is None else os.path.join(folder, f.name) for f in files]
    chosen = [swapped(name, suffix) for name in whole]
    clashes = [group for group in _groups(chosen) if len(group) > 1]
    for i in chain(*clashes):
        chosen[i] = whole[i] + suffix
    for group in _groups(chosen):
        if len(group) > 1:
            names = listed([name_of(files[i].path) for i in group])
            raise click.ClickException(
                f"{names} would become one file, {name_of(chosen[group[0]])}; take them one by one"
            )
    return chosen, [
        f"{listed([name_of(files[i].path) for i in group])} keep their suffixes: "
        + listed([name_of(chosen[i]) for i in group])
        for group in clashes
    ]


def _groups(names: Sequence[str]) -> list[list[int]]:
    """Numbers of names that are of one file."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        found[os.path.normcase(os.path.abspath(name))].append(i)
    return list(found.values())


def claim_many(
    output: Output,
    pairs: Sequence[tuple[str, str]],
    done: Callable[[str, str], bool] | None,
    ours: Callable[[str], bool],
) -> list[tuple[str, str]]:
    """The (source, target) pairs that are to be made, before any work is done.

    done: with --resume, whether a target is what would be made again; ours: whether such a file may
    be replaced by it. Raises ClickException where something would be overwritten without -f.
    """
    sources = {os.path.realpath(source) for source, _ in pairs}
    todo, taken = [], []
    for source, target in pairs:
        if os.path.realpath(target) in sources:
            raise click.ClickException(
                f"{name_of(target)} would be written over an input; name another folder with -o"
            )
        if os.path.isdir(target):
            raise click.ClickException(f"{name_of(target)} is a directory, where a file is to go")
        if os.path.exists(target):
            if done is not None and done(source, target):
                continue
            if not output.force and not (done is not None and ours(target)):
                taken.append(target)
        todo.append((source, target))
    if taken:
        exist = "exists" if len(taken) == 1 else "exist"
        raise click.ClickException(
            f"{counted(len(taken), 'result')} of {len(pairs):,} {exist} already, "
            f"{name_of(taken[0])} first; overwrite with -f, or skip what is done with --resume"
        )
    return todo


def begins(path: str | Path, size: int) -> bytes:
    """The first bytes of a file; none of one that cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""
