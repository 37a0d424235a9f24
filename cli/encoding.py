"""encode: parse, call, print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.coding_options import (
    chain_option,
    effort_option,
    ending_options,
    seed_option,
)
from diffcodec.cli.encoder import Encoder, encode_file, losses, remarks
from diffcodec.cli.inspection import how_far, promise
from diffcodec.cli.ledger import claim_ledger, ledger_option, write_ledger
from diffcodec.cli.many import make_many, tell
from diffcodec.cli.options import (
    Network,
    class_option,
    encoder_cut_options,
    grouped,
    network_options,
    output_options,
    resume_option,
    target_option,
)
from diffcodec.cli.output import Output
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import choices_options
from diffcodec.cli.resuming import begins_coded, is_coded
from diffcodec.cli.streams import about, print_json
from diffcodec.cli.targets import Arguments, arguments

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices

SUFFIX = ".dfc"


def _step_code(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A name of a step code; these are imported only where one is given."""
    if value is not None:
        from diffcodec.bitstream.step_codes import BY_NAME

        if value not in BY_NAME:
            message = f"{value!r} is not one of {', '.join(BY_NAME)}"
            raise click.BadParameter(message, param=option)
    return value


@dataclass(frozen=True)
class Coding:
    """What the codec is asked for, but for the network and a cut."""

    effort: str
    chain: str | None
    code: str | None
    seed: int
    label: int | None

    @property
    def options(self) -> dict[str, Any]:
        """As keyword arguments of api.encode."""
        return vars(self).copy()


coding_options = grouped(
    "coding",
    Coding,
    effort_option,
    chain_option("as --effort and the size suggest"),
    click.option(
        "--code",
        callback=_step_code,
        metavar="NAME",
        help="How steps are sent: butterfly:8 is fastest, polar:64 makes the smallest files of "
        "photographs (default: as --effort and the size suggest).",
    ),
    seed_option("the randomness that encoder and decoder share"),
    class_option,
)


@click.command()
@click.argument("words", metavar="IN... [OUT]", nargs=-1, required=True)
@target_option(SUFFIX)
@network_options
@encoder_cut_options
@coding_options
@ending_options
@choices_options
@click.option(
    "--strict", is_flag=True, help="Refuse an image of which anything, metadata say, is not kept."
)
@parallel_options("images")
@resume_option("a whole .dfc file of an image of its size")
@ledger_option
@output_options
def encode(
    words: tuple[str, ...],
    target: str | None,
    network: Network,
    cut: dict[str, Any],
    coding: Coding,
    ending: dict[str, Any],
    choices: Choices,
    strict: bool,
    parallel: Parallel,
    resume: bool,
    ledger: str | None,
    output: Output,
) -> None:
    """Compress images: IN is a file, a folder with images in it and its folders, or `-`, a pipe.

    A result lies beside its IN, with the suffix .dfc, unless -o names a file, or a folder for
    several. The last of two names is OUT if it ends in .dfc, is `-` or a device. Without a cut a
    result is lossless at its full length, and any beginning of it is an image. With one the encoder
    stops as soon as the cut is reached. One bad image does not stop the others.

    Files of integer networks are lossless on every machine. Those of float networks are where the
    network gives the same numbers, so on this machine with its libraries; elsewhere they show what
    their steps say.

    \b
    Examples:
      diffcodec encode photo.png
      diffcodec encode photo.png small.dfc --bpp 0.5
      diffcodec encode photos/ -o coded/ -j 4          # and --resume after an interruption
      diffcodec encode photo.png good.dfc --psnr 40
      diffcodec encode photo.png fine.dfc --switch 0.6
      diffcodec encode photo.png -m runs/mine/model.safetensors
      diffcodec encode photo.png --ledger photo.txt
    """
    given = arguments(words, target, (SUFFIX,))
    options = {**coding.options, **ending, **cut}
    one = given.single and not resume and parallel.dask is None
    running = network.running if one else parallel.running(network)
    encoder = Encoder(network.anywhere(), running, options, choices, strict)
    if one:
        _encode_one(encoder, given, ledger, output)
    elif ledger is not None:
        raise click.UsageError("--ledger is about one image; leave out --resume and --dask")
    else:
        _encode_many(encoder, given, parallel, resume, output)


def _encode_one(encoder: Encoder, given: Arguments, ledger: str | None, output: Output) -> None:
    source, target = given.sources[0], given.target_of_one(SUFFIX)
    output.claim(source, target)
    if ledger is not None:
        claim_ledger(output, source, target, ledger)
    with about(source):
        original = encoder.read(source)

    from diffcodec import api
    from diffcodec.accounting.trace import Trace

    trace = Trace() if ledger else None
    with about(source), output.progress("encoding") as progress:
        file, facts = encoder.encode(original, source, trace, progress)
    record = {"input": source, "output": target, **facts}
    output.write(target, file.data, source)
    if ledger is not None:
        write_ledger(output, ledger, api.ledger(file, encoder.model, trace))
    tell(record, losses, remarks, output)
    far = f"{how_far(facts)}{promise(facts, 'this machine and its libraries')}"
    output.say(f"encoded to {facts['bytes']:,} bytes, {facts['bpp']:.3f} bpp, {far}")
    if output.as_json:
        print_json(record)


def _encode_many(
    encoder: Encoder, given: Arguments, parallel: Parallel, resume: bool, output: Output
) -> None:
    from diffcodec.image.scan import find_images

    outcome = make_many(
        partial(encode_file, encoder),
        find_images(given.sources),
        given,
        suffix=SUFFIX,
        what="image to encode",
        done=is_coded if resume else None,
        ours=begins_coded,
        parallel=parallel,
        output=output,
        label="encoding",
        losses=losses,
        remarks=remarks,
    )
    done = outcome.records
    size = sum(record["bytes"] for record in done)
    area = sum(record["width"] * record["height"] for record in done)
    figures = f", {size:,} bytes, {8 * size / area:.3f} bpp" if area else ""
    if here := sum(record["complete"] and not record["exact_anywhere"] for record in done):
        figures += f", {here:,} lossless on this machine and its libraries"
    output.say(outcome.summary("encoded", figures))
    outcome.end(output)
