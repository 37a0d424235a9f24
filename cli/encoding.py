"""encode: parse, call, print."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.inspection import how_far
from diffcodec.cli.ledger import claim_ledger, write_ledger
from diffcodec.cli.options import (
    bpp_option,
    bytes_option,
    cut,
    effort_option,
    model_option,
    output_options,
    psnr_option,
    threads_option,
)
from diffcodec.cli.streams import (
    PIPE,
    about,
    beside,
    claim,
    name_of,
    narrate,
    print_json,
    progress_bar,
    read,
    write,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@model_option
@bytes_option
@bpp_option
@psnr_option
@effort_option
@click.option("--steps", metavar="N|NAME:N", help="Cut after N steps; or as --chain.")
@click.option(
    "--chain",
    metavar="K|NAME:N",
    help="Noise levels: K of the network's own (6, 12, 25, 50, 100), or N of DDPM's T = 1000 "
    "(ddpm:1000, ddpm:50, cosine:100). By default as --effort and the size suggest.",
)
@click.option(
    "--mode",
    type=click.Choice(["progressive", "bitsback"]),
    default="progressive",
    help="bitsback: an archive (.dfa) of one large image, lossless only, at the best rate.",
)
@click.option("--tile", type=int, metavar="N", help="Side of the tiles of mode bitsback.")
@click.option(
    "--nu",
    type=click.Choice(["8", "10", "12", "14", "16"]),
    help="log2 of the trellis states: 8 is fastest, 16 makes the smallest files. By default as "
    "--effort has it.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of the shared randomness."
)
@click.option(
    "--ledger",
    metavar="FILE",
    help="Write what every bit was spent on beside what theory asks for: tables if FILE ends in "
    ".txt, else JSON.",
)
@threads_option
@output_options
def encode(
    source: str,
    target: str | None,
    model: str | None,
    max_bytes: int | None,
    bpp: float | None,
    psnr: float | None,
    effort: str,
    steps: str | None,
    chain: str | None,
    mode: str,
    tile: int | None,
    nu: str | None,
    seed: int,
    ledger: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compress the image IN to OUT (IN with the suffix .dfc); `-` is a pipe.

    Without a cut the file is lossless at its full length, and any beginning of it is an image.
    With one the encoder stops as soon as it gets there.

    \b
    Examples:
      diffcodec encode photo.png
      diffcodec encode photo.png small.dfc --bpp 0.5
      diffcodec encode photo.png good.dfc --psnr 40
      diffcodec encode photo.png --ledger photo.txt
    """
    max_steps, chain = _steps_or_chain(steps, chain)
    limits = cut(max_bytes=max_bytes, bpp=bpp, psnr=psnr, max_steps=max_steps)
    bitsback = mode == "bitsback"
    if bitsback and (limits or nu or seed or effort != "default"):
        raise click.UsageError(
            "--mode bitsback is lossless; cuts, --effort, --nu and --seed are not for it"
        )
    if tile and not bitsback:
        raise click.UsageError("--tile is for --mode bitsback")
    target = target or beside(source, ".dfa" if bitsback else ".dfc")
    claim(source, target, force=force, as_json=as_json)
    if ledger is not None:
        claim_ledger(source, target, ledger, force=force)

    from diffcodec.image import load, notes

    image = read(source) if source == PIPE else Path(source)
    pixels = load(image)
    for note in notes(image):
        narrate(f"{name_of(source)}: {note} is not kept", quiet=quiet)

    if bitsback:
        _encode_bitsback(
            source, target, pixels, model, chain, tile, ledger, threads, force, quiet, as_json
        )
        return

    from diffcodec import api
    from diffcodec.accounting.trace import Trace

    trace = Trace() if ledger else None
    options = {"chain": chain, "nu": int(nu) if nu else None, "seed": seed, **limits}
    options |= {"effort": effort, "threads": threads}
    began = time.perf_counter()
    with about(source), progress_bar("encoding", quiet=quiet) as progress:
        data = api.encode(pixels, model, trace=trace, progress=progress, **options)
    seconds = time.perf_counter() - began
    facts = api.info(data, model)
    write(target, data, force=force)
    if ledger is not None:
        write_ledger(ledger, api.ledger(data, model, trace), force=force)
    narrate(
        f"encoded to {len(data):,} bytes, {facts['bpp']:.3f} bpp, {how_far(facts)}", quiet=quiet
    )
    if as_json:
        names = {"input": source, "output": target}
        print_json({**names, **facts, "encoding_seconds": round(seconds, 3)})


def _encode_bitsback(
    source: str,
    target: str,
    pixels: NDArray[np.uint8],
    model: str | None,
    chain: str | None,
    tile: int | None,
    ledger: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    from diffcodec.api import default_model
    from diffcodec.archive import account as archive_account
    from diffcodec.archive import archive
    from diffcodec.cli.archiving import facts_of
    from diffcodec.codec import Codec
    from diffcodec.theory.chain import choose_chain

    codec = Codec.from_pretrained(model or default_model(pixels), threads)
    began = time.perf_counter()
    with about(source), progress_bar("encoding", quiet=quiet) as progress:
        header = archive.make_header(codec, chain, tile or archive.TILE)
        data, written = archive.archive_image(codec, pixels, header, progress)
    seconds = time.perf_counter() - began
    write(target, data, force=force)
    if ledger is not None:
        levels = choose_chain(header.chain_name, codec.tables)
        write_ledger(ledger, archive_account.ledger(written, levels), force=force)
    height, width, channels = pixels.shape
    bpp = 8 * len(data) / (width * height)
    narrate(f"encoded to {len(data):,} bytes, {bpp:.3f} bpp, lossless", quiet=quiet)
    if as_json:
        facts = {
            "input": source,
            "output": target,
            "mode": "bitsback",
            "width": width,
            "height": height,
            "channels": channels,
            "model": codec.name,
            "fingerprint": codec.fingerprint.hex(),
            "chain": header.chain_name,
            "bpp": bpp,
        }
        print_json({**facts, **facts_of(written), "encoding_seconds": round(seconds, 3)})


def _steps_or_chain(steps: str | None, chain: str | None) -> tuple[int | None, str | None]:
    """--steps is a number of steps, or the name of a chain."""
    if steps is None:
        return None, chain
    if re.fullmatch("[1-9][0-9]*", steps):
        return int(steps), chain
    if not re.fullmatch("[a-z]+:[1-9][0-9]*", steps):
        raise click.UsageError(f"--steps {steps} is neither a number nor a chain such as ddpm:50")
    if chain is not None:
        raise click.UsageError(f"--steps {steps} and --chain {chain} both name a chain")
    return None, steps
