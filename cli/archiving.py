"""archive: many images in one file; parse, call, print."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from diffcodec.cli.archive_sources import Inputs, find_sources, inputs_and_target
from diffcodec.cli.coding_options import RESIDUALS, chain_option
from diffcodec.cli.ledger import claim_ledger, ledger_option, write_ledger
from diffcodec.cli.options import Network, network_options, output_options
from diffcodec.cli.output import Output, listed
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import choices_options
from diffcodec.cli.streams import PIPE, about, binary, name_of, print_json, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.archive.account import Written
    from diffcodec.archive.archive import Network as NetworkUse
    from diffcodec.bitstream.archive_header import ArchiveHeader
    from diffcodec.codec import Codec
    from diffcodec.image.picture import Choices
    from diffcodec.progressive.residual import Residual


@click.command()
@click.argument("words", metavar="IN... [OUT]", nargs=-1, required=True)
@click.option("-o", "--output", "target", metavar="OUT", help="The archive, if it is not last.")
@click.option("--name", metavar="NAME", help="What an image from standard input is called.")
@choices_options
@click.option(
    "--strict", is_flag=True, help="Refuse images that have something that no archive keeps."
)
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
@parallel_options("groups of images")
@ledger_option
@output_options
def archive(
    words: tuple[str, ...],
    target: str | None,
    name: str | None,
    choices: Choices,
    strict: bool,
    network: Network,
    use: NetworkUse,
    chain: str | None,
    residual: Residual,
    tile: int | None,
    on_error: str,
    resume: bool,
    parallel: Parallel,
    ledger: str | None,
    output: Output,
) -> None:
    """Put images into one lossless archive, OUT (.dfa); `-` is a pipe.

    IN is an image, or a folder with images in it and its folders. Their metadata, times of
    modification and permissions are kept. Small images are coded at the network's own rate
    (bits-back coding), in batches of similar ones, so larger sets are cheaper. Images that take
    fewer bytes without the network, as most photographs do, and those with alpha or 16 bits are
    coded without it. A network of floats codes no archive: `diffcodec export` makes integers of it.

    \b
    Examples:
      diffcodec archive photos/ photos.dfa
      diffcodec archive photos/ photos.dfa --resume      # after an interruption
      diffcodec archive 2023/ 2024/ *.png -o photos.dfa
      diffcodec archive photos/ photos.dfa --network never
      diffcodec archive photos/ - | ssh host 'cat > photos.dfa'
    """
    sources, out = inputs_and_target(words, target)
    for source in sources:
        output.claim(source, out)
        if ledger is not None:
            claim_ledger(output, source, out, ledger)
    if resume and out == PIPE:
        raise click.UsageError("a pipe cannot be resumed; leave out --resume")
    if resume and ledger is not None:
        raise click.UsageError("--ledger needs the whole run; leave out --resume")
    if use == "never" and network.model is not None:
        raise click.UsageError("--network never takes no network; leave out --model")

    from diffcodec.archive import archive as archives

    inputs = find_sources(sources, name, choices)
    if inputs.unreadable and on_error == "stop":
        path, reason = inputs.unreadable[0]
        raise click.ClickException(f"{name_of(path)} {reason}; go on without it: --on-error skip")
    model = codec = None
    if use != "never":
        model = network.anywhere() or archives.default_model(inputs.sources)
        codec = network.codec(model, parallel)
    header = archives.make_header(
        codec, chain, tile or archives.TILE, network=use, residual=residual
    )
    began = time.perf_counter()
    stream: Path | BinaryIO = binary(sys.stdout) if out == PIPE else Path(out)
    with (
        about("standard output" if out == PIPE else out),
        parallel.executor() as pool,
        output.progress("archiving") as progress,
    ):
        written = archives.write_archive(
            codec,
            inputs.sources,
            stream,
            header,
            stop_on_error=on_error == "stop",
            strict=strict,
            resume=resume,
            pool=None if parallel.alone else pool,
            model=model,
            backend=network.backend,
            left=_say_what_is_left,
            progress=progress,
        )
    seconds = time.perf_counter() - began
    _say_what_is_lost(written, output)
    if ledger is not None:
        _write_ledger(output, ledger, written, header, codec)
    before = inputs.file_bytes([name for name, _ in written.skipped])
    output.say(_summary(written, before) + inputs.others(len(written.skipped)))
    if output.as_json:
        print_json(
            {
                "input": sources[0] if len(sources) == 1 else sources,
                "output": out,
                "model": codec.name if codec else None,
                **_facts(written, inputs),
                "input_bytes": before,
                "archiving_seconds": round(seconds, 3),
            }
        )


def _write_ledger(
    output: Output, target: str, written: Written, header: ArchiveHeader, codec: Codec | None
) -> None:
    """What every bit of an archive was spent on; codec: None for one without a network."""
    from diffcodec.archive import account
    from diffcodec.theory.chain import choose_chain

    levels = choose_chain(header.chain_name, codec.tables) if codec else None
    write_ledger(output, target, account.ledger(written, levels))


def _summary(written: Written, before: int) -> str:
    """How large an archive is; and whether its inputs' files, of `before` bytes, are smaller."""
    larger = ""
    if written.file_bytes > before:
        files = "its file" if written.images == 1 else "its files"
        larger = f", larger than the {before:,} of {files}"
    images = counted(written.images, "image")
    return f"archived {images} in {written.file_bytes:,} bytes{larger}"


def _say_what_is_left(part: Path) -> None:
    """Of a call that did not come to its end."""
    warn(f"what was done is kept in {name_of(part)}; go on with --resume")


def _say_what_is_lost(written: Written, output: Output) -> None:
    """Say which images were left out, and what is not kept of the first one that has more than an
    archive holds, and of how many others."""
    for name, reason in written.skipped:
        warn(f"{name_of(name)} was left out: {reason}")
    for name, phrases in written.lost[:1]:
        others = counted(len(written.lost) - 1, "more image")
        more = f"; {others} with what is not kept" if len(written.lost) > 1 else ""
        warn(f"{name_of(name)}: {listed(phrases)} is not kept{more}")


def _facts(written: Written, inputs: Inputs) -> dict[str, Any]:
    """What an archive came to, as plain JSON types."""
    spent = written.spent
    return {
        "images": written.images,
        "groups": written.groups,
        "groups_resumed": written.resumed,
        "skipped": [list(pair) for pair in [*inputs.unreadable, *written.skipped]],
        "left_out": [list(pair) for pair in inputs.left_out],
        "hidden": inputs.hidden,
        "lost": [[name, list(phrases)] for name, phrases in written.lost],
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
        "metadata_bits": spent.metadata_bits,
    }
