"""archive, extract, list: many images in one file; parse, call, print."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.ledger import claim_ledger, write_ledger
from diffcodec.cli.options import model_option, output_options, threads_option
from diffcodec.cli.streams import about, claim, narrate, print_json, progress_bar

if TYPE_CHECKING:
    from diffcodec.archive.account import Written
    from diffcodec.archive.archive import Contents
    from diffcodec.bitstream.archive import ImageInfo


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.argument("target", metavar="OUT")
@model_option
@click.option("--chain", metavar="K|NAME:N", help="Noise levels, as in encode (default 50).")
@click.option("--tile", metavar="N", type=int, help="Side of the tiles of large images.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do about an image that cannot be read (default: stop).",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted call stopped.")
@click.option(
    "-j", "--processes", type=click.IntRange(1), default=1, help="Code N groups at a time."
)
@click.option("--ledger", metavar="FILE", help="Write what every bit was spent on, as in encode.")
@threads_option
@output_options
def archive(
    folder: Path,
    target: str,
    model: str | None,
    chain: str | None,
    tile: int | None,
    on_error: str,
    resume: bool,
    processes: int,
    ledger: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Put all images below DIR into the archive OUT (.dfa), lossless, at the model's own rate.

    The more images of a kind, the better it pays; a network's step serves a batch of them.

    \b
    Examples:
      diffcodec archive photos/ photos.dfa
      diffcodec archive photos/ photos.dfa --resume      # after an interruption
    """
    claim(str(folder), target, force=force, as_json=False)
    if ledger is not None:
        claim_ledger(str(folder), target, ledger, force=force)
    if ledger is not None and resume:
        raise click.UsageError("--ledger needs the whole run; it does not go with --resume")

    from diffcodec.data import list_images

    paths = list_images(folder)
    root = folder if folder.is_dir() else folder.parent

    from diffcodec import codec as codecs
    from diffcodec.archive import archive as archives
    from diffcodec.archive.groups import Source

    sources = [Source(p.relative_to(root).as_posix(), p) for p in paths]
    network = model or archives.default_model(sources)
    codec = codecs.Codec.from_pretrained(network, threads)
    header = archives.make_header(codec, chain, tile or archives.TILE)
    began = time.perf_counter()
    with about(str(folder)), progress_bar("archiving", quiet=quiet) as progress:
        written = archives.write_archive(
            codec,
            sources,
            Path(target),
            header,
            stop_on_error=on_error == "stop",
            resume=resume,
            processes=processes,
            model=network,
            progress=progress,
        )
    seconds = time.perf_counter() - began
    for name, reason in written.skipped:
        narrate(f"{name} was left out: {reason}", quiet=False)
    if ledger is not None:
        from diffcodec.archive import account as archive_account
        from diffcodec.theory.chain import choose_chain

        levels = choose_chain(header.chain_name, codec.tables)
        write_ledger(ledger, archive_account.ledger(written, levels), force=force)
    narrate(f"archived {written.images:,} images in {written.file_bytes:,} bytes", quiet=quiet)
    if as_json:
        names = {"input": str(folder), "output": target, "model": codec.name}
        print_json({**names, **facts_of(written), "archiving_seconds": round(seconds, 3)})


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
    help="Folder to put the images into; it is made.",
)
@model_option
@threads_option
@output_options
def extract(
    source: str,
    names: tuple[str, ...],
    folder: Path,
    model: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
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
    from diffcodec.codec import Codec
    from diffcodec.image import save

    lost, done = [], []
    with open(source, "rb") as file, about(source):
        held = archives.contents(file)
        wanted = [p for p in held.images if not names or p.name in names]
        targets = _targets(wanted, folder)
        for path in targets.values():
            if path.exists() and not force:
                raise click.ClickException(f"{path} exists; overwrite it with -f")
        codec = Codec.from_pretrained(model or archives.model_of(held), threads)
        with progress_bar("extracting", quiet=quiet) as progress:
            for image, pixels in archives.extract(codec, file, names or None, progress=progress):
                if isinstance(pixels, ValueError):
                    lost.append(f"{image.name}: {pixels}")
                    continue
                targets[image.name].parent.mkdir(parents=True, exist_ok=True)
                save(pixels, targets[image.name])
                done.append(image.name)
    for problem in lost:
        narrate(problem, quiet=False)
    for damage in held.damage:
        narrate(f"{source}: at byte {damage.offset}: {damage.reason}", quiet=False)
    narrate(f"extracted {len(done):,} images", quiet=quiet)
    if as_json:
        print_json({"input": source, "output": str(folder), "pictures": done, "lost": lost})
    if lost or (held.damage and not names):
        raise click.ClickException(f"{source} is damaged; what could be read was extracted")


@click.command("list")
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Read all of the file and verify its checksums.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(source: str, check: bool, as_json: bool) -> None:
    """Tell what the archive IN holds, without decoding it.

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
            f"{held.file_bytes:,} bytes, {bpd:.3f} bits a sub-pixel"
        )
    for damage in held.damage:
        narrate(f"{source}: at byte {damage.offset}: {damage.reason}", quiet=False)
    if held.damage:
        raise click.ClickException(f"{source} is damaged")


def facts_of(written: Written) -> dict[str, Any]:
    """What an archive came to, as plain JSON types."""
    spent = written.spent
    return {
        "pictures": written.images,
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
        "drawn_bits": spent.drawn_bits,
        "drawn_values": spent.drawn_values,
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
            {"offset": g.offset, "bytes": g.body_bytes, "pictures": len(g.images)}
            for g in held.groups
        ],
        "pictures": [
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
