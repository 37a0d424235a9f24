"""archive, extract, list: many images in one file; parse, call, print."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.ledger import claim_ledger, ledger_option, write_ledger
from diffcodec.cli.options import (
    Network,
    chain_option,
    file_network_options,
    json_option,
    network_options,
    output_options,
)
from diffcodec.cli.output import Output, listed
from diffcodec.cli.streams import PIPE, about, print_json, warn

if TYPE_CHECKING:
    from diffcodec.archive.account import Written
    from diffcodec.archive.archive import Contents
    from diffcodec.bitstream.archive import ImageInfo


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, path_type=Path))
@click.argument("target", metavar="OUT")
@network_options
@chain_option("50")
@click.option(
    "--tile",
    metavar="S",
    type=int,
    help="Larger images are coded in tiles of S x S pixels (128).",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do about an image that cannot be read (stop).",
)
@click.option("--resume", is_flag=True, help="Resume where an interrupted call stopped.")
@click.option(
    "-j",
    "--processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Code N groups of images at a time (1).",
)
@ledger_option
@output_options
def archive(
    source: Path,
    target: str,
    network: Network,
    chain: str | None,
    tile: int | None,
    on_error: str,
    resume: bool,
    processes: int,
    ledger: str | None,
    output: Output,
) -> None:
    """Put the image IN, or all images below the folder IN, into the archive OUT (.dfa).

    Archives are lossless, at the network's own rate (bits-back coding). Similar images share
    batches, so larger sets are cheaper; one large image is coded in tiles.

    \b
    Examples:
      diffcodec archive photos/ photos.dfa
      diffcodec archive photos/ photos.dfa --resume      # after an interruption
      diffcodec archive photo.png photo.dfa
    """
    if target == PIPE:
        raise click.UsageError("an archive is not written to a pipe; name a file as OUT")
    output.claim(source, target)
    if ledger is not None:
        claim_ledger(output, source, target, ledger)
    if ledger is not None and resume:
        raise click.UsageError("--ledger needs the whole run; it does not go with --resume")

    from diffcodec.data import list_images

    paths = list_images(source)
    root = source if source.is_dir() else source.parent

    from diffcodec.archive import archive as archives
    from diffcodec.archive.groups import Source

    _say_what_is_lost(paths, output)
    sources = [Source(p.relative_to(root).as_posix(), p) for p in paths]
    model = network.model or archives.default_model(sources)
    codec = network.codec(model)
    header = archives.make_header(codec, chain, tile or archives.TILE)
    began = time.perf_counter()
    with about(source), output.progress("archiving") as progress:
        written = archives.write_archive(
            codec,
            sources,
            Path(target),
            header,
            stop_on_error=on_error == "stop",
            resume=resume,
            processes=processes,
            model=model,
            backend=network.backend,
            progress=progress,
        )
    seconds = time.perf_counter() - began
    for name, reason in written.skipped:
        warn(f"{name} was left out: {reason}")
    if ledger is not None:
        from diffcodec.archive import account
        from diffcodec.theory.chain import choose_chain

        levels = choose_chain(header.chain_name, codec.tables)
        write_ledger(output, ledger, account.ledger(written, levels))
    output.say(f"archived {written.images:,} images in {written.file_bytes:,} bytes")
    if output.as_json:
        names = {"input": str(source), "output": target, "model": codec.name}
        print_json({**names, **_facts(written), "archiving_seconds": round(seconds, 3)})


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
    """Take the images called NAME, or all, out of the archive IN, into a folder.

    Images of other formats than PNG, PPM and PGM come out as PNG. What is damaged is named, and
    the rest is written.

    \b
    Examples:
      diffcodec extract photos.dfa -o photos/
      diffcodec extract photos.dfa 2024/beach.png -o .
    """
    from diffcodec.archive import archive as archives
    from diffcodec.image import save

    lost, done = [], []
    with open(source, "rb") as file, about(source):
        held = archives.contents(file)
        wanted = [p for p in held.images if not names or p.name in names]
        targets = _targets(wanted, folder)
        for path in targets.values():
            if path.exists() and not output.force:
                raise click.ClickException(f"{path} exists; overwrite it with -f")
        codec = network.codec(network.model or archives.model_of(held))
        with output.progress("extracting") as progress:
            for image, pixels in archives.extract(codec, file, names or None, progress=progress):
                if isinstance(pixels, ValueError):
                    lost.append(f"{image.name}: {pixels}")
                    continue
                targets[image.name].parent.mkdir(parents=True, exist_ok=True)
                save(pixels, targets[image.name])
                done.append(image.name)
    for problem in lost:
        warn(problem)
    _warn_of_damage(source, held)
    output.say(f"extracted {len(done):,} images")
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

    \b
    Examples:
      diffcodec list photos.dfa
      diffcodec list photos.dfa --check --json
    """
    from diffcodec.archive import archive as archives

    with open(source, "rb") as file, about(source):
        held = archives.contents(file, check)
    if as_json:
        print_json({"input": source, **_listing(held)})
    else:
        for image in held.images:
            kind = "grey" if image.channels == 1 else "RGB"
            click.echo(f"{image.width:>6} x {image.height:<6} {kind:<4}  {image.name}")
        bpd = 8 * held.file_bytes / max(1, sum(_size(p) for p in held.images))
        click.echo(
            f"{len(held.images):,} images in {len(held.groups):,} groups, "
            f"{held.file_bytes:,} bytes, {bpd:.3f} bits/dim"
        )
    _warn_of_damage(source, held)
    if held.damage:
        raise click.ClickException(f"{source} is damaged")


def _say_what_is_lost(paths: list[Path], output: Output) -> None:
    """Images may carry more than pixels; of one it is said what is not kept, of others how many."""
    from diffcodec.errors import ImageError
    from diffcodec.image import notes

    carry: dict[Path, list[str]] = {}
    for path in () if output.quiet else paths:
        with suppress(ImageError, OSError):  # what cannot be read is dealt with where it is coded
            if found := notes(path):
                carry[path] = found
    for path, found in list(carry.items())[:1]:
        more = f"; {len(carry) - 1:,} more images lose metadata, too" if len(carry) > 1 else ""
        output.say(f"{path}: {listed(found)} is not kept{more}")


def _warn_of_damage(source: str, held: Contents) -> None:
    for damage in held.damage:
        warn(f"{source}: at byte {damage.offset}: {damage.reason}")


def _facts(written: Written) -> dict[str, Any]:
    """What an archive came to, as plain JSON types."""
    spent = written.spent
    return {
        "images": written.images,
        "groups": written.groups,
        "groups_resumed": written.resumed,
        "skipped": [list(pair) for pair in written.skipped],
        "bytes": written.file_bytes,
        "head_bytes": written.head_bytes,
        "nelbo_bits": float(spent.balance.ideal.sum()),
        "net_bits": written.net_bits,
        "net_values": spent.balance.values,
        "initial_bits": spent.progressive_bits,
        "initial_values": spent.progressive_values,
        "graphics_bits": spent.graphics_bits,
        "graphics_values": spent.graphics_values,
        "packing_bits": spent.packing_bits,
    }


def _listing(held: Contents) -> dict[str, Any]:
    return {
        "format": 1,
        "fingerprint": held.header.fingerprint.hex(),
        "chain": held.header.chain_name,
        "tile": held.header.tile,
        "bytes": held.file_bytes,
        "groups": [
            {"offset": g.offset, "bytes": g.body_bytes, "images": len(g.images)}
            for g in held.groups
        ],
        "images": [
            {"name": p.name, "width": p.width, "height": p.height, "channels": p.channels}
            for p in held.images
        ],
        "damage": [{"offset": d.offset, "reason": d.reason} for d in held.damage],
    }


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
