"""Where commands read and write: files that appear whole or not at all, pipes, the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Progress

PIPE = "-"


def read(source: str) -> bytes:
    """All of a file, or of standard input."""
    if source != PIPE:
        return Path(source).read_bytes()
    stream = _binary(sys.stdin)
    if stream.isatty():
        raise click.UsageError("standard input is a terminal; name a file")
    return stream.read()


def claim(source: str, target: str, *, force: bool, as_json: bool) -> None:
    """Refuse an output that cannot or must not be written, before any work is done."""
    if target == PIPE:
        if as_json:
            raise click.UsageError("--json prints on standard output, where OUT goes; name a file")
        if _binary(sys.stdout).isatty():
            raise click.UsageError("standard output is a terminal; name a file or redirect it")
        return
    path = Path(target)
    if path.is_dir():
        raise click.ClickException(f"{path} is a directory; name a file in it")
    if path.exists() and not path.is_file():
        return  # a device or a named pipe: there is nothing to lose
    if not path.parent.is_dir():
        raise click.ClickException(f"{path.parent} is not a directory")
    if not os.access(path.parent, os.W_OK):
        raise click.ClickException(f"{path.parent}: Permission denied")
    if path.is_file():
        if source != PIPE and Path(source).exists() and path.samefile(source):
            raise click.ClickException(f"{path} would be written over itself; name another OUT")
        if not force:
            raise click.ClickException(f"{path} exists; overwrite it with -f, or name another OUT")


def write(target: str, data: bytes, *, force: bool) -> None:
    """The result, to a file as a whole or to standard output."""
    if target == PIPE:
        stream = _binary(sys.stdout)
        stream.write(data)
        stream.flush()
        return
    from diffcodec.files import write_atomic

    path = Path(target)
    if path.is_file() and not force:  # it was not there when the work began
        raise click.ClickException(f"{path} exists by now; overwrite it with -f")
    write_atomic(path, data)


def _binary(stream: TextIO | None) -> BinaryIO:
    if stream is None:
        raise click.ClickException("standard input or output is closed")
    return stream.buffer


def print_json(record: dict[str, Any]) -> None:
    """Exactly one JSON object on standard output."""
    click.echo(json.dumps(record, indent=1, allow_nan=False))


def narrate(message: str, *, quiet: bool) -> None:
    """Say what happened, on stderr."""
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A callback (done, total) that draws a bar with the time left; None where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


@contextmanager
def about(source: str) -> Iterator[None]:
    """What is wrong with a file, or with what is asked of it, says which file."""
    from diffcodec.bitstream.errors import BitstreamError
    from diffcodec.errors import OptionError

    try:
        yield
    except (BitstreamError, OptionError) as error:
        raise click.ClickException(f"{name_of(source)}: {error}") from error


def beside(source: str, suffix: str) -> str:
    """Where the result goes if nobody says it: IN with another suffix; a pipe after a pipe."""
    return PIPE if source == PIPE else os.path.splitext(source)[0] + suffix


def name_of(source: str) -> str:
    """A file as messages call it."""
    return "standard input" if source == PIPE else source
