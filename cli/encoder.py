"""One image to one file: what `encode` does here, and in workers."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.many import Job, Record
from diffcodec.cli.streams import PIPE, name_of, read
from diffcodec.cli.targets import begins

if TYPE_CHECKING:
    from diffcodec.accounting.trace import Trace
    from diffcodec.bitstream.types import Progress
    from diffcodec.file import File
    from diffcodec.image.picture import Choices, Picture


@dataclass(frozen=True)
class Original:
    """An image as it was read. bytes, format: of its file; None where they are not known."""

    picture: Picture
    bytes: int | None
    format: str | None


@dataclass(frozen=True)
class Encoder:
    """A network, what the codec is asked for, and what was chosen about images."""

    model: str | None
    running: dict[str, Any]
    coding: dict[str, Any]
    choices: Choices
    strict: bool

    def read(self, source: str) -> Original:
        """The image, read once; with `strict` nothing of it is lost, or ClickException says so."""
        from diffcodec.image import read_picture
        from diffcodec.image.signatures import BEGINNING, format_by

        if source == PIPE:
            data = read(source)
            size: int | None = len(data)
            beginning = data[:BEGINNING]
            picture = read_picture(io.BytesIO(data), self.choices)
        else:
            picture = read_picture(Path(source), self.choices)
            known = os.path.isfile(source)  # a named pipe is empty by now
            size = os.path.getsize(source) if known else None
            beginning = begins(source, BEGINNING) if known else b""
        self._refuse(picture.lost, source)
        return Original(picture, size, format_by(beginning))

    def encode(
        self,
        original: Original,
        source: str,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> tuple[File, Record]:
        """The file, and what --json says about it but for the names."""
        from diffcodec import api
        from diffcodec.image.holding import phrase

        picture = original.picture
        began = time.perf_counter()
        data = api.encode(
            picture.pixels,
            self.model,
            metadata=picture.metadata,
            trace=trace,
            progress=progress,
            **self.coding,
            **self.running,
        )
        seconds = time.perf_counter() - began
        late = [phrase(item) for item in api.left_out(data, picture.metadata)]
        self._refuse(late, source)
        file = api.open_file(data, self.model)
        facts = api.info(file, self.model)
        return file, {
            **facts,
            "input_bytes": original.bytes,
            "input_format": original.format,
            "not_kept": [*picture.lost, *late],
            "encoding_seconds": round(seconds, 3),
        }

    def _refuse(self, lost: list[str] | tuple[str, ...], source: str) -> None:
        if self.strict and lost:
            raise click.ClickException(
                f"{name_of(source)}: {', '.join(lost)} would not be kept; leave out --strict"
            )


def encode_file(encoder: Encoder, job: Job) -> Record:
    """Make a .dfc file, whole or not at all, in a folder that is made; the record of --json."""
    original = encoder.read(job.reads)
    file, record = encoder.encode(original, job.source)
    job.write(file.data)
    return {"input": job.source, "output": job.target, **record}


def losses(record: Record) -> Iterator[str]:
    """What of an image is not in its file."""
    for phrase in record["not_kept"]:
        yield f"{name_of(record['input'])}: {phrase} is not kept"


def remarks(record: Record) -> Iterator[str]:
    """What else may be news about an encoded image."""
    name, size = name_of(record["input"]), record["input_bytes"]
    if size is not None and record["bytes"] > size:
        of = f" of {record['input_format']}" if record["input_format"] else ""
        yield f"{name}: {record['bytes']:,} bytes, larger than its {size:,}{of}"
