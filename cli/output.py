"""How a command writes and what it says: -f, -q and --json as one object."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.streams import PIPE, binary, name_of, print_json, shown
from diffcodec.eval.common.progress import progress_bar

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Progress


@dataclass(frozen=True)
class Output:
    """The outputs of a command: files that appear whole or not at all, pipes, the terminal.

    force: overwrite files; quiet: say nothing unless it goes wrong; as_json: print one JSON object.
    """

    force: bool = False
    quiet: bool = False
    as_json: bool = False

    def claim(self, source: str | Path, target: str | Path) -> None:
        """Refuse a TARGET that cannot or must not be written, before any work is done."""
        if target == PIPE:
            if self.as_json:
                raise click.UsageError(
                    "--json prints on standard output, where OUT goes; name a file"
                )
            if binary(sys.stdout).isatty():
                raise click.UsageError("standard output is a terminal; name a file or redirect it")
            return
        path, name = Path(target), name_of(target)
        if path.is_dir():
            raise click.ClickException(f"{name} is a directory; name a file in it")
        if path.exists() and not path.is_file():
            return  # a device or a named pipe: there is nothing to lose
        if not path.parent.is_dir():
            raise click.ClickException(f"{name_of(path.parent)} is not a directory")
        if not os.access(path.parent, os.W_OK):
            raise click.ClickException(f"{name_of(path.parent)}: Permission denied")
        if path.is_file():
            if source != PIPE and Path(source).exists() and path.samefile(source):
                raise click.ClickException(f"{name} would be written over itself; name another OUT")
            if not self.force:
                raise click.ClickException(
                    f"{name} exists; overwrite it with -f, or name another OUT"
                )

    def claim_files(
        self,
        sources: Sequence[str | Path],
        files: Mapping[str, str | Path | None],
        resumed: str | Path | None = None,
    ) -> None:
        """The same for several files, by their options: none is a pipe, and no two are the same.

        resumed: the one of them that an earlier call may have left.
        """
        named = [str(path) for path in files.values() if path is not None]
        if PIPE in named or len(set(named)) < len(named):
            raise click.UsageError(f"{listed(files)} each need a file of their own")
        for path in named:
            output = Output(self.force or path == str(resumed))
            for source in sources:
                output.claim(source, path)

    def write(self, target: str, data: bytes, like: str | Path | None = None) -> None:
        """The result, to a file as a whole or to standard output.

        like: the file that it was made of; whoever cannot read that one cannot read a new file.
        """
        if target == PIPE:
            stream = binary(sys.stdout)
            stream.write(data)
            stream.flush()
            return
        from diffcodec.files import permissions, write_atomic

        path = Path(target)
        if path.is_file() and not self.force:  # it was not there when the work began
            raise click.ClickException(f"{name_of(path)} exists by now; overwrite it with -f")
        write_atomic(path, data, mode=None if like is None else permissions(like))

    def say(self, message: str) -> None:
        """What happened, on stderr."""
        if not self.quiet:
            click.echo(shown(message), err=True)

    def progress(self, label: str) -> AbstractContextManager[Progress | None]:
        """A callback (done, total) that shows a bar on stderr; None where nobody looks."""
        return progress_bar(label, quiet=self.quiet)


@dataclass(frozen=True)
class Results(Output):
    """The outputs of a measurement, whose result is a JSON object of some size.

    json_path: the file that --json names, or a pipe.
    """

    json_path: str | None = None

    @property
    def json_file(self) -> str | None:
        """The file, if there is one."""
        return None if self.json_path == PIPE else self.json_path

    def give(self, result: dict[str, Any], text: str) -> None:
        """The result where it was asked for: JSON to a file or standard output, else tables."""
        if self.json_path == PIPE:
            print_json(result)
            return
        if self.json_file is not None:
            from diffcodec.eval.common.results import to_json

            self.write(self.json_file, to_json(result).encode())
        click.echo(text)


def listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    """Names in a sentence: "a, b and c"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
