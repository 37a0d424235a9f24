"""extract, list: what archives hold; parse, call, print."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import Network, file_network_options, json_option, output_options
from diffcodec.cli.output import Output
from diffcodec.cli.streams import about, print_json, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.reading import Contents
    from diffcodec.bitstream.directory import ImageInfo


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False))
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
@file_network_options
@output_options
def extract(
    source: str, names: tuple[str, ...], folder: Path, network: Network, output: Output
) -> None:
    """Take images, all or by NAME, out of the archive IN.

    They go into a folder. Images of other formats than PNG, PPM and PGM come out as PNG. What is
    damaged is named, and the rest is written. Images that `diffcodec list` calls plain are decoded
    without the network.

    \b
    Examples:
      diffcodec extract photos.dfa -o photos/
      diffcodec extract photos.dfa 2024/beach.png -o .
    """
    from diffcodec.archive import reading
    from diffcodec.image import save

    lost, done = [], []
    with open(source, "rb") as file, about(source):
        held = reading.contents(file)
        wanted = [p for p in held.images if not names or p.name in names]
        targets = _targets(wanted, folder)
        for path in targets.values():
            if path.exists() and not output.force:
                raise click.ClickException(f"{path} exists; overwrite it with -f")
        codec = None
        if held.needs_network(names or None):
            codec = network.codec(network.model or reading.model_of(held))
        with output.progress("extracting") as progress:
            for image, pixels in reading.extract(codec, file, names or None, progress=progress):
                if isinstance(pixels, ValueError):
                    lost.append(f"{image.name}: {pixels}")
                    continue
                targets[image.name].parent.mkdir(parents=True, exist_ok=True)
                save(pixels, targets[image.name])
                done.append(image.name)
    for problem in lost:
        warn(problem)
    _warn_of_damage(source, held)
    output.say(f"extracted {counted(len(done), 'image')}")
    if output.as_json:
        print_json({"input": source, "output": str(folder), "images": done, "lost": lost})
    if lost or (held.damage and not names):
        raise click.ClickException(f"{source} is damaged; what could be read was extracted")


@click.command("list")
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Read all of the file and verify its checksums.")
@json_option
def list_(source: str, check: bool, as_json: bool) -> None:
    """List the images of the archive IN, without decoding it.

    Each is coded with the network's help, by bits-back coding, or plain, without it.

    \b
    Examples:
      diffcodec list photos.dfa
      diffcodec list photos.dfa --check --json
    """
    from diffcodec.archive import reading

    with open(source, "rb") as file, about(source):
        held = reading.contents(file, check)
    if as_json:
        print_json({"input": source, **_listing(held)})
    else:
        for image in held.images:
            kind = "grey" if image.channels == 1 else "RGB"
            coding = _coding(held, image)
            click.echo(f"{image.width:>6} x {image.height:<6} {kind:<4}  {coding:<9}  {image.name}")
        bpd = 8 * held.file_bytes / max(1, sum(_size(p) for p in held.images))
        click.echo(
            f"{counted(len(held.images), 'image')} in {counted(len(held.groups), 'group')}, "
            f"{held.file_bytes:,} bytes, {bpd:.3f} bits/dim"
        )
        if held.needs_network():
            click.echo(f"bits-back coding ends with the {_residual(held)} coder")
    _warn_of_damage(source, held)
    if held.damage:
        raise click.ClickException(f"{source} is damaged")


def _warn_of_damage(source: str, held: Contents) -> None:
    for damage in held.damage:
        warn(f"{source}: at byte {damage.offset}: {damage.reason}")


def _listing(held: Contents) -> dict[str, Any]:
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
                "name": p.name,
                "width": p.width,
                "height": p.height,
                "channels": p.channels,
                "coding": _coding(held, p),
                "bytes": held.plain_bytes.get(p.name),
            }
            for p in held.images
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


def _targets(images: list[ImageInfo], folder: Path) -> dict[str, Path]:
    """Where each image goes: its own name, or with the suffix .png; never two to one file."""
    from diffcodec.image import WRITES

    targets: dict[str, Path] = {}
    taken = {p.name for p in images if PurePosixPath(p.name).suffix.lower() in WRITES}
    for image in images:
        name = image.name
        if name not in taken:
            name = str(PurePosixPath(name).with_suffix(".png"))
            name = f"{image.name}.png" if name in taken else name
            taken.add(name)
        targets[image.name] = folder / name
    return targets


def _size(image: ImageInfo) -> int:
    return image.height * image.width * image.channels
