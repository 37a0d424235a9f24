"""Where commands read and print: files and pipes, and what messages call them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

PIPE = "-"


def read(source: str) -> bytes:
    """All of a file, or of standard input."""
    if source != PIPE:
        return Path(source).read_bytes()
    stream = binary(sys.stdin)
    if stream.isatty():
        raise click.UsageError("standard input is a terminal; name a file")
    return stream.read()


def binary(stream: TextIO | None) -> BinaryIO:
    """The bytes behind standard input or output."""
    if stream is None:
        raise click.ClickException("standard input or output is closed")
    return stream.buffer


def print_json(record: dict[str, Any]) -> None:
    """Exactly one JSON object on standard output."""
    from diffcodec.eval.common.results import to_json

    click.echo(to_json(record), nl=False)


def warn(message: str) -> None:
    """What a user has to know, on stderr, quiet or not."""
    click.echo(message, err=True)


@contextmanager
def about(source: str | Path) -> Iterator[None]:
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


def name_of(source: str | Path) -> str:
    """A file as messages call it."""
    return "standard input" if source == PIPE else str(source)
