"""list: what archives hold; parse, call, print."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import click

from diffcodec.cli.metadata_words import WORDS
from diffcodec.cli.options import json_option
from diffcodec.cli.output import listed
from diffcodec.cli.streams import PIPE, about, binary, name_of, naming, print_json, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.contents import Contents
    from diffcodec.bitstream.directory import ImageInfo
    from diffcodec.bitstream.metadata import Metadata

IN_MEMORY = 1 << 26  # bytes of an archive from a pipe that take no file
KINDS = ("grey", "grey+a", "RGB", "RGBA")  # by channels

# Metadata of every image of the archive; None where they are damaged.
Carried = list["Metadata | None"]


@click.command("list")
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--check", is_flag=True, help="Read all of the file and verify its checksums.")
@json_option
def list_(source: str, check: bool, as_json: bool) -> None:
    """List the images of the archive IN, without decoding it; `-` is a pipe.

    Each is coded with the network's help, by bits-back coding, or plain, without it.

    \b
    Examples:
      diffcodec list photos.dfa
      diffcodec list photos.dfa --check --json
    """
    from diffcodec.archive.contents import contents
    from diffcodec.archive.reading import metadata_of

    with opened(source) as file, about(source):
        held = contents(file, check)
        carried = [items for group in held.groups for items in metadata_of(file, group)]
    if as_json:
        print_json({"input": source, **_listing(held, carried)})
    else:
        for image in held.images:
            kind = KINDS[image.channels - 1] + (" 16" if image.depth > 8 else "")
            size = f"{image.width:>6} x {image.height:<6}"
            click.echo(f"{size} {kind:<9} {_coding(held, image):<9}  {name_of(image.name)}")
        for line in _summary(held, carried):
            click.echo(line)
    warn_of_damage(source, held)
    if None in carried and not check:
        warn(f"{name_of(source)}: metadata are damaged")
    if held.damage or None in carried:
        raise click.ClickException(f"{name_of(source)} is damaged")


@contextmanager
def opened(source: str) -> Iterator[BinaryIO]:
    """An archive, open where it can be read at any place: what comes from a pipe is copied."""
    with naming(source), tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        if source == PIPE:
            stream: IO[bytes] = binary(sys.stdin)
            if stream.isatty():
                raise click.UsageError("standard input is a terminal; name a file")
            shutil.copyfileobj(stream, copy)
            yield cast(BinaryIO, copy)
            return
        with open(source, "rb") as stream:
            if stream.seekable():
                yield stream
                return
            shutil.copyfileobj(stream, copy)
        yield cast(BinaryIO, copy)


def warn_of_damage(source: str, held: Contents) -> None:
    """Say where an archive is damaged."""
    for damage in held.damage:
        warn(f"{name_of(source)}: at byte {damage.offset}: {damage.reason}")


def _summary(held: Contents, carried: Carried) -> Iterator[str]:
    """What the archive is as a whole, in lines."""
    bpd = 8 * held.file_bytes / max(1, sum(_size(p) for p in held.images))
    yield (
        f"{counted(len(held.images), 'image')} in {counted(len(held.groups), 'group')}, "
        f"{held.file_bytes:,} bytes, {bpd:.3f} bits/dim"
    )
    if held.needs_network():
        yield f"bits-back coding ends with the {_residual(held)} coder"
    owners = Counter(kind for items in carried for kind in {item.kind for item in items or ()})
    if owners:
        phrases = [
            f"{WORDS[kind.name]} of {counted(n, 'image')}" for kind, n in sorted(owners.items())
        ]
        yield f"metadata: {listed(phrases)}"


def _listing(held: Contents, carried: Carried) -> dict[str, Any]:
    from diffcodec import api

    return {
        "format": held.header.version,
        "fingerprint": held.header.fingerprint.hex() if held.header.nodes else None,
        "chain": held.header.chain_name if held.header.nodes else None,
        "residual": _residual(held),
        "tile": held.header.tile,
        "bytes": held.file_bytes,
        "groups": [
            {"offset": g.offset, "bytes": g.end - g.body_at - 4, "images": len(g.images)}
            for g in held.groups
        ],
        "images": [
            {
                "name": image.name,
                "width": image.width,
                "height": image.height,
                "channels": image.channels,
                "depth": image.depth,
                "alpha": image.format.alpha,
                "coding": _coding(held, image),
                "bytes": held.plain_bytes.get(image.name),
                "modified_ns": image.modified,
                "mode": None if image.mode is None else f"{image.mode:04o}",
                "metadata": None if items is None else api.listed(items),
            }
            for image, items in zip(held.images, carried, strict=True)
        ],
        "damage": [{"offset": d.offset, "reason": d.reason} for d in held.damage],
    }


def _residual(held: Contents) -> str | None:
    """What bits-back coding ends with; None if nothing is coded so."""
    if not held.header.nodes:
        return None
    return "adaptive" if held.header.end else "gaussian"


def _coding(held: Contents, image: ImageInfo) -> str:
    """How an image is coded, in a word."""
    return "plain" if image.name in held.plain_bytes else "bits-back"


def _size(image: ImageInfo) -> int:
    return image.height * image.width * image.channels
