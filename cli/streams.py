"""Where commands read and print: files and pipes, and what messages call them."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

PIPE = "-"
STEERING = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories: control, surrogates, ends of lines
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def read(source: str | Path) -> bytes:
    """All of a file, or of standard input; an OSError names it."""
    with naming(source):
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
    click.echo(shown(message), err=True)


@contextmanager
def about(source: str | Path) -> Iterator[None]:
    """What is wrong with a file, or with what is asked of it, says which file."""
    from diffcodec.bitstream.errors import BitstreamError
    from diffcodec.errors import OptionError

    try:
        with naming(source):
            yield
    except (BitstreamError, OptionError) as error:
        raise click.ClickException(f"{name_of(source)}: {error}") from error


@contextmanager
def naming(source: str | Path) -> Iterator[None]:
    """An error of the system that names no file is this one's: a read that fails, for instance."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = name_of(source)
        raise


def beside(source: str, suffix: str) -> str:
    """Where the result goes if nobody says it: IN with another suffix; a pipe after a pipe."""
    return PIPE if source == PIPE else os.path.splitext(source)[0] + suffix


def name_of(source: str | Path) -> str:
    """A file as messages call it, in one line."""
    return "standard input" if source == PIPE else shown(str(source), "")


def shown(text: str, kept: str = "\n") -> str:
    """Text for a terminal: what would steer it, or turn the order of letters round, is escaped, and
    bytes of names that are no UTF-8 are as \\xff. kept: control characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in kept else _escaped(c) for c in text)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python stands in for bytes
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if unicodedata.category(letter) in STEERING or letter in TURNING:
        return letter.encode("unicode_escape").decode()
    return letter
