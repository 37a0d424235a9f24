"""decode: parse, call, print."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.decoder import Decoder, Shown, decode_file, losses, remarks, shown_options
from diffcodec.cli.limit_options import limit_options
from diffcodec.cli.many import make_many, tell
from diffcodec.cli.options import (
    Network,
    cut_options,
    file_network_options,
    output_options,
    resume_option,
    target_option,
)
from diffcodec.cli.output import Output
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import strip_option
from diffcodec.cli.resuming import begins_image, is_decoded
from diffcodec.cli.streams import PIPE, about, name_of, print_json, read
from diffcodec.cli.targets import Arguments, arguments

if TYPE_CHECKING:
    from diffcodec.limits import Limits

# Of diffcodec.image.formats, which imports numpy with its room; a test sees to it that they agree.
FORMATS = ("png", "ppm", "webp", "tiff", "jpeg", "avif")
SUFFIXES = (
    *(".png", ".ppm", ".pgm", ".pnm", ".pam", ".webp", ".tif", ".tiff"),
    *(".jpg", ".jpeg", ".jfif", ".avif"),
)


@click.command()
@click.argument("words", metavar="IN... [OUT]", nargs=-1, required=True)
@target_option(".png, or as --format says")
@file_network_options
@cut_options
@click.option(
    "--scale",
    type=click.Choice(["1/2", "1/4", "1/8"]),
    help="A smaller preview, from the steps that matter to it.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    metavar="N",
    help="A smaller preview, whose longest side has N pixels; smaller images stay as they are.",
)
@shown_options
@click.option(
    "--strict",
    is_flag=True,
    help="Fail unless IN is whole and intact, to the exact pixels, and OUT keeps all of it.",
)
@strip_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Format of the result, if no suffix names one; jpeg and avif do not keep every pixel "
    "(default: png).",
)
@limit_options
@parallel_options("images")
@resume_option("an image")
@output_options
def decode(
    words: tuple[str, ...],
    target: str | None,
    network: Network,
    cut: dict[str, Any],
    scale: str | None,
    size: int | None,
    shown: Shown,
    strict: bool,
    strip: bool,
    format_: str | None,
    limits: Limits,
    parallel: Parallel,
    resume: bool,
    output: Output,
) -> None:
    """Turn files into images: IN is a .dfc file or a beginning of one, a folder, or `-`, a pipe.

    A result lies beside its IN, with the suffix .png, unless -o names a file, or a folder for
    several. The last of two names is OUT if it has an image's suffix, is `-` or a device. A cut
    leaves the rest of IN unused. Where exact pixels are damaged, or a float network gives other
    numbers than where IN was made, OUT shows what the steps say, and a message says so. An IN that
    asks for more pixels, memory or seconds than the limits makes no OUT. The images of an archive
    come out by `diffcodec extract`.

    \b
    Examples:
      diffcodec decode photo.dfc
      head -c 2000 photo.dfc | diffcodec decode - preview.png
      diffcodec decode coded/ -o photos/ -j 4
      diffcodec decode photo.dfc small.jpg --size 256
      diffcodec decode upload.dfc --max-pixels 24M --max-seconds 60
      diffcodec decode photo.dfc --bpp 0.1 --reconstruction sample --seed 7
    """
    if scale is not None and size is not None:
        raise click.UsageError("--scale and --size each say how small; give one of them")
    given = arguments(words, target, SUFFIXES, else_target=format_ is not None)
    one = given.single and not resume and parallel.dask is None
    running = network.running if one else parallel.running(network)
    times = int(scale[2:]) if scale else 1
    decoder = Decoder(network.anywhere(), running, cut, times, size, shown, strip, strict, limits)
    if one:
        _decode_one(decoder, given, format_, output)
    else:
        _decode_many(decoder, given, format_, parallel, resume, output)


def _decode_one(decoder: Decoder, given: Arguments, format: str | None, output: Output) -> None:
    source, target = given.sources[0], given.target_of_one(f".{format or 'png'}")
    output.claim(source, target)

    from diffcodec import image

    kind = format or ("png" if target == PIPE else image.format_of(target))
    data = read(source)
    with about(source), output.progress("decoding") as progress:
        made = decoder.decode(data, kind, name_of(source), progress)
    record = {"input": source, "output": target, **made.record}
    output.write(target, made.data, source)
    tell(record, losses, remarks, output)
    total = "" if record["total_bytes"] is None else f" of {record['total_bytes']:,}"
    output.say(f"decoded {record['bytes_used']:,}{total} bytes, {made.how_far}")
    if output.as_json:
        print_json(record)


def _decode_many(
    decoder: Decoder,
    given: Arguments,
    format: str | None,
    parallel: Parallel,
    resume: bool,
    output: Output,
) -> None:
    from diffcodec.image.scan import find_files

    outcome = make_many(
        partial(decode_file, decoder, format),
        find_files(given.sources, _why_not),
        given,
        suffix=f".{format or 'png'}",
        what=".dfc file to decode",
        done=is_decoded if resume else None,
        ours=begins_image,
        parallel=parallel,
        output=output,
        label="decoding",
        losses=losses,
        remarks=remarks,
    )
    exact = sum(record["lossless"] for record in outcome.records)
    output.say(outcome.summary("decoded", f", {exact:,} lossless"))
    outcome.end(output)


def _why_not(beginning: bytes) -> str | None:
    """Why a file that begins so is left out, in a phrase."""
    from diffcodec.bitstream.container import ARCHIVE_MAGIC, MAGIC

    if beginning.startswith(ARCHIVE_MAGIC):
        return "is an archive; its images come out by diffcodec extract"
    return None if beginning.startswith(MAGIC) else "is not a .dfc file"
