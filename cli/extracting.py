"""extract: images out of archives; parse, call, print."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.limit_options import limit_options
from diffcodec.cli.listing import opened, warn_of_damage
from diffcodec.cli.options import Network, file_network_options, output_options
from diffcodec.cli.output import Output, listed
from diffcodec.cli.reading_options import strip_option
from diffcodec.cli.streams import PIPE, about, name_of, print_json, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.reading import Extracted
    from diffcodec.bitstream.directory import ImageInfo
    from diffcodec.bitstream.metadata import Metadata
    from diffcodec.bitstream.types import Pixels
    from diffcodec.limits import Limits

EXACT = ("png", "ppm", "webp", "tiff")  # of diffcodec.image, which imports numpy; a test compares
# What is wrong with the folder as a whole: other images have it no better.
HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@click.command()
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for the images; it is made if it is not there.",
)
@click.option(
    "--format",
    type=click.Choice(EXACT),
    help="Format of all images (default: their own, if it keeps pixels exactly, else png).",
)
@strip_option
@file_network_options
@limit_options
@output_options
def extract(
    source: str,
    names: tuple[str, ...],
    folder: Path,
    format: str | None,
    strip: bool,
    network: Network,
    limits: Limits,
    output: Output,
) -> None:
    """Take images, all or by NAME, out of the archive IN; `-` is a pipe.

    NAME may be a pattern with *, ? and [...]; * stands for slashes, too. Images go into a folder,
    with their metadata, times of modification and permissions. Those of formats that lose pixels,
    such as JPEG, come out as PNG. What is damaged, asks for more than the limits or cannot be
    written is named, and the rest is written. Images that `diffcodec list` calls plain are decoded
    without the network.

    \b
    Examples:
      diffcodec extract photos.dfa -o photos/
      diffcodec extract photos.dfa 2024/beach.png '2023/*' -o .
      diffcodec extract upload.dfa -o out/ --max-pixels 24M --max-seconds 60
      ssh host 'cat photos.dfa' | diffcodec extract - -o photos/
    """
    from diffcodec.archive.contents import contents, model_of
    from diffcodec.archive.names import chosen
    from diffcodec.archive.reading import extract_pictures
    from diffcodec.files import permissions

    with opened(source) as file, about(source):
        held = contents(file, limits=limits)
        wanted = chosen(held.images, names) if names else None
        images = [image for image in held.images if wanted is None or image.name in wanted]
        targets = _targets(images, folder, format)
        for path in targets:
            if path.is_file() and not output.force:
                raise click.ClickException(f"{name_of(path)} exists; overwrite it with -f")
        codec = None
        if held.needs_network(wanted):
            codec = network.codec(network.model or model_of(held))
        writer = _Writer(format, strip, None if source == PIPE else permissions(source))
        asked = None if wanted is None else sorted(wanted)
        with output.progress("extracting") as progress:
            found = extract_pictures(codec, file, asked, progress=progress, limits=limits)
            for path, extracted in zip(targets, found, strict=True):
                writer.take(extracted, path)
    for problem in [*writer.lost, *writer.failed, *writer.refused]:
        warn(problem)
    warn_of_damage(source, held)
    for line in writer.not_kept_lines():
        output.say(line)
    output.say(f"extracted {counted(len(writer.done), 'image')}")
    if output.as_json:
        print_json(
            {
                "input": source,
                "output": str(folder),
                "images": writer.done,
                "files": [str(path) for path in writer.files],
                "lost": writer.lost,
                "failed": writer.failed,
                "refused": writer.refused,
                "not_kept": [[name, phrases] for name, phrases in writer.not_kept],
            }
        )
    if writer.lost or (held.damage and not names):
        raise click.ClickException(
            f"{name_of(source)} is damaged; what could be read was extracted"
        )
    if writer.failed:
        raise click.ClickException(f"{counted(len(writer.failed), 'image')} could not be written")
    if writer.refused:
        count = counted(len(writer.refused), "image")
        raise click.ClickException(f"{name_of(source)}: {count} beyond the limits not extracted")


@dataclass
class _Writer:
    """Writes images to files, and notes what came of them.

    format: of all files; None for that of their suffixes. most: permissions of the archive, which
    limit those of images whose own are not known; None for a pipe.
    """

    format: str | None
    strip: bool
    most: int | None
    done: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # sentences on what the archive lost
    failed: list[str] = field(default_factory=list)  # and on what was not written
    refused: list[str] = field(default_factory=list)  # and on what is beyond the limits
    not_kept: list[tuple[str, list[str]]] = field(default_factory=list)

    def take(self, extracted: Extracted, path: Path) -> None:
        """Write an image, if it is there; only what concerns all of them is raised."""
        from diffcodec.errors import ImageError, sentence
        from diffcodec.limits import OverLimit

        image, name = extracted.image, name_of(extracted.image.name)
        if isinstance(extracted.found, OverLimit):
            self.refused.append(f"{name}: {extracted.found}")
            return
        if isinstance(extracted.found, ValueError):
            self.lost.append(f"{name}: {extracted.found}")
            return
        metadata: Metadata = ()
        if isinstance(extracted.metadata, ValueError):
            if not self.strip:
                self.lost.append(
                    f"{name}: it was extracted without its metadata, which are damaged"
                )
        elif not self.strip:
            metadata = extracted.metadata
        try:
            self._write(extracted.found, metadata, image, path)
        except ImageError as error:
            self.failed.append(f"{name}: {error}")
        except OSError as error:
            if error.errno in HOPELESS:
                raise
            self.failed.append(f"{name}: {sentence(error)}")

    def _write(self, pixels: Pixels, metadata: Metadata, image: ImageInfo, path: Path) -> None:
        from diffcodec.files import write_atomic
        from diffcodec.image import format_of, not_kept, to_bytes

        format = self.format or format_of(path)
        data = to_bytes(pixels, format, metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise FileExistsError(errno.EEXIST, "a folder, or no file, has this name", str(path))
        new = not path.exists()
        write_atomic(path, data, mode=self._mode(image))
        if new and image.mode is not None:
            _make_executable(path, image.mode)
        if image.modified is not None:
            _set_time(path, image.modified)
        self.done.append(image.name)
        self.files.append(path)
        if phrases := not_kept(metadata, format):
            self.not_kept.append((image.name, phrases))

    def _mode(self, image: ImageInfo) -> int | None:
        """What a new file may be at most."""
        return self.most if image.mode is None else image.mode

    def not_kept_lines(self) -> list[str]:
        """What the files lack: of the first image that lacks something, and how many others do."""
        if not self.not_kept:
            return []
        (name, phrases), *others = self.not_kept
        more = f"; {counted(len(others), 'more image')} with what is not kept" if others else ""
        return [f"{name_of(name)}: {listed(phrases)} is not kept{more}"]


def _targets(images: Sequence[ImageInfo], folder: Path, format: str | None) -> list[Path]:
    """Where each image goes: its own name, or with another suffix; never two to one file."""
    from diffcodec.archive.names import alike_but_for_letters, file_names

    letters = not alike_but_for_letters(images) or _tells_letters_apart(folder)
    paths = []
    for name in file_names(images, format, letters):
        path = Path(*name.split("/"))
        if path.is_absolute() or list(path.parts) != name.split("/"):  # of another system
            raise click.ClickException(f"{name_of(name)} is no name of a file here")
        paths.append(folder / path)
    return paths


def _tells_letters_apart(folder: Path) -> bool:
    """Whether names of files there that differ in capital letters alone are two files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".letters-", dir=folder) as probe:
        path = Path(probe.name)
        return not path.with_name(path.name.swapcase()).exists()


def _make_executable(path: Path, mode: int) -> None:
    """Permission to execute, as images on some file systems have it, for whoever may read."""
    now = path.stat().st_mode & 0o777
    with suppress(OSError):
        path.chmod(now | (mode & 0o111 & (now & 0o444) >> 2))


def _set_time(path: Path, modified: int) -> None:
    """The time of modification, in nanoseconds, as far as the file system knows such times."""
    with suppress(OSError, OverflowError):
        os.utime(path, ns=(path.stat().st_atime_ns, modified))
