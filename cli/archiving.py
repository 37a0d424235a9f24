"""archive: many images in one file; parse, call, print."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.ledger import claim_ledger, ledger_option, write_ledger
from diffcodec.cli.options import (
    RESIDUALS,
    Network,
    chain_option,
    network_options,
    output_options,
)
from diffcodec.cli.output import Output, listed
from diffcodec.cli.streams import PIPE, about, print_json, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.account import Written
    from diffcodec.archive.archive import Network as NetworkUse
    from diffcodec.progressive.residual import Residual


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, path_type=Path))
@click.argument("target", metavar="OUT")
@network_options
@click.option(
    "--network",
    "use",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="Which images the network codes: those that take fewer bytes with it, by an estimate "
    "(auto, the default); all of them; or none, and then extracting needs no network either.",
)
@chain_option("100, or 50 with --residual gaussian")
@click.option(
    "--residual",
    type=click.Choice(RESIDUALS),
    default=RESIDUALS[0],
    help="What bits-back coding ends with: adaptive, a model that learns as it goes; or gaussian, "
    f"one Gaussian for a tile as in DDPM (default: {RESIDUALS[0]}).",
)
@click.option(
    "--tile",
    metavar="S",
    type=int,
    help="Larger images are coded in tiles of S x S pixels (default: 128).",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do about an image that cannot be read (default: stop).",
)
@click.option("--resume", is_flag=True, help="Resume where an interrupted call stopped.")
@click.option(
    "-j",
    "--processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Code N groups of images at a time (default: 1).",
)
@ledger_option
@output_options
def archive(
    source: Path,
    target: str,
    network: Network,
    use: NetworkUse,
    chain: str | None,
    residual: Residual,
    tile: int | None,
    on_error: str,
    resume: bool,
    processes: int,
    ledger: str | None,
    output: Output,
) -> None:
    """Put images into one lossless archive, OUT (.dfa).

    IN is an image, or a folder with images in it and its folders. Small images are coded at the
    network's own rate (bits-back coding), in batches of similar ones, so larger sets are cheaper.
    Images that take fewer bytes without the network, as most photographs do, are coded without it.

    \b
    Examples:
      diffcodec archive photos/ photos.dfa
      diffcodec archive photos/ photos.dfa --resume      # after an interruption
      diffcodec archive photo.png photo.dfa
      diffcodec archive photos/ photos.dfa --network never
    """
    if target == PIPE:
        raise click.UsageError("an archive is not written to a pipe; name a file as OUT")
    output.claim(source, target)
    if ledger is not None:
        claim_ledger(output, source, target, ledger)
    if ledger is not None and resume:
        raise click.UsageError("--ledger needs the whole run; leave out --resume")
    if use == "never" and network.model is not None:
        raise click.UsageError("--network never takes no network; leave out --model")

    from diffcodec.data import list_images

    paths = list_images(source)
    root = source if source.is_dir() else source.parent

    from diffcodec.archive import archive as archives
    from diffcodec.archive.groups import Source

    _say_what_is_lost(paths, output)
    sources = [Source(p.relative_to(root).as_posix(), p) for p in paths]
    model = codec = None
    if use != "never":
        model = network.model or archives.default_model(sources)
        codec = network.codec(model)
    header = archives.make_header(
        codec, chain, tile or archives.TILE, network=use, residual=residual
    )
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

        levels = choose_chain(header.chain_name, codec.tables) if codec else None
        write_ledger(output, ledger, account.ledger(written, levels))
    output.say(f"archived {counted(written.images, 'image')} in {written.file_bytes:,} bytes")
    if output.as_json:
        names = {"input": str(source), "output": target}
        print_json(
            {
                **names,
                "model": codec.name if codec else None,
                **_facts(written),
                "archiving_seconds": round(seconds, 3),
            }
        )


def _say_what_is_lost(paths: list[Path], output: Output) -> None:
    """Say what is not kept of the first image that holds more than pixels, and how many follow."""
    from diffcodec.errors import ImageError
    from diffcodec.image import notes

    carry: dict[Path, list[str]] = {}
    for path in () if output.quiet else paths:
        with suppress(ImageError, OSError):  # reported where it is coded
            if found := notes(path):
                carry[path] = found
    for path, found in list(carry.items())[:1]:
        others = counted(len(carry) - 1, "more image")
        more = f"; {others} with metadata that is not kept" if len(carry) > 1 else ""
        output.say(f"{path}: {listed(found)} is not kept{more}")


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
        "plain_images": spent.plain_images,
        "plain_bits": spent.plain_bits,
        "plain_values": spent.plain_values,
    }
