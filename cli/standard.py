"""Standard output and error as shells leave them: closed, full, in an encoding without a letter.

What cannot be printed is escaped, what goes wrong on standard output says that it was there, and
what cannot be said on standard error is left unsaid.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OUTPUT = "standard output"


def settle() -> None:
    """Make both streams such; those that are no descriptors of this process stay as they are."""
    _occupy()
    sys.stdout = _settled(sys.stdout, Written)
    sys.stderr = _settled(sys.stderr, Said)


class Written(io.FileIO):
    """Standard output: an error has its name as the file's, and is raised once."""

    failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """As files do; after an error nothing, since Python writes again at its end."""
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)  # None: it would block
        except OSError as error:
            self.failed = True
            error.filename = OUTPUT
            raise


class Said(io.FileIO):
    """Standard error: there is nowhere to say that it does not work."""

    def write(self, data: ReadableBuffer, /) -> int:
        """As files do, but never fails."""
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


def _settled(stream: TextIO | None, kind: type[Written | Said]) -> TextIO:
    if stream is None:  # it was closed; a descriptor that is for reading fails like that
        raw, encoding = kind(os.open(os.devnull, os.O_RDONLY), "wb"), "utf-8"
    else:
        try:
            descriptor, encoding = stream.fileno(), stream.encoding
            done = isinstance(getattr(stream.buffer, "raw", None), kind)  # none with python -u
        except (AttributeError, OSError, ValueError):
            return stream
        if done:
            return stream
        with suppress(OSError):
            stream.flush()
        raw = kind(descriptor, "wb", closefd=False)
    lines = kind is Said or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines
    )


def _occupy() -> None:
    """Let no file become standard output because that was closed: libraries print there."""
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(descriptor)
