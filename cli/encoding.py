"""encode: parse, call, print."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from diffcodec.cli.inspection import how_far
from diffcodec.cli.ledger import claim_ledger, ledger_option, write_ledger
from diffcodec.cli.options import (
    Network,
    chain_option,
    effort_option,
    encoder_cut_options,
    ending_options,
    network_options,
    output_options,
    seed_option,
)
from diffcodec.cli.output import Output
from diffcodec.cli.streams import PIPE, about, beside, name_of, print_json, read


def _step_code(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A name of a step code; these are imported only where one is given."""
    if value is not None:
        from diffcodec.bitstream.step_codes import BY_NAME

        if value not in BY_NAME:
            message = f"{value!r} is not one of {', '.join(BY_NAME)}"
            raise click.BadParameter(message, param=option)
    return value


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@network_options
@encoder_cut_options
@effort_option
@chain_option("as --effort and the size suggest")
@click.option(
    "--code",
    callback=_step_code,
    metavar="NAME",
    help="How steps are sent: butterfly:8 is fastest, polar:64 makes the smallest files of "
    "photographs (default: as --effort and the size suggest).",
)
@ending_options
@seed_option("the randomness that encoder and decoder share")
@ledger_option
@output_options
def encode(
    source: str,
    target: str | None,
    network: Network,
    cut: dict[str, Any],
    effort: str,
    chain: str | None,
    code: str | None,
    ending: dict[str, Any],
    seed: int,
    ledger: str | None,
    output: Output,
) -> None:
    """Compress the image IN to the file OUT; `-` is a pipe.

    OUT is IN with the suffix .dfc, unless it is given. Without a cut it is lossless at its full
    length, and any beginning of it is an image. With one the encoder stops as soon as the cut
    is reached.

    \b
    Examples:
      diffcodec encode photo.png
      diffcodec encode photo.png small.dfc --bpp 0.5
      diffcodec encode photo.png good.dfc --psnr 40
      diffcodec encode photo.png fine.dfc --switch 0.6
      diffcodec encode photo.png --ledger photo.txt
    """
    target = target or beside(source, ".dfc")
    output.claim(source, target)
    if ledger is not None:
        claim_ledger(output, source, target, ledger)

    from diffcodec.image import load, notes

    image = read(source) if source == PIPE else Path(source)
    pixels = load(image)
    for note in notes(image):
        output.say(f"{name_of(source)}: {note} is not kept")

    from diffcodec import api
    from diffcodec.accounting.trace import Trace

    trace = Trace() if ledger else None
    coding = {"effort": effort, "chain": chain, "code": code, "seed": seed, **ending, **cut}
    began = time.perf_counter()
    with about(source), output.progress("encoding") as progress:
        data = api.encode(
            pixels, network.model, trace=trace, progress=progress, **coding, **network.running
        )
    seconds = time.perf_counter() - began
    file = api.open_file(data, network.model)
    facts = api.info(file, network.model)
    output.write(target, data)
    if ledger is not None:
        write_ledger(output, ledger, api.ledger(file, network.model, trace))
    output.say(f"encoded to {len(data):,} bytes, {facts['bpp']:.3f} bpp, {how_far(facts)}")
    if output.as_json:
        names = {"input": source, "output": target}
        print_json({**names, **facts, "encoding_seconds": round(seconds, 3)})
