"""eval: rate and distortion of the progressive codec on a set of images; parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from diffcodec.cli.measuring import (
    about_run,
    claim_outputs,
    give,
    measure,
    read_images,
    tell_about_similarity,
)
from diffcodec.cli.options import (
    cuts_option,
    effort_option,
    model_option,
    peers_options,
    reconstructions_option,
    result_options,
    run_options,
    set_options,
    threads_option,
)
from diffcodec.cli.streams import about, narrate


@click.command("eval")
@click.argument("data", type=click.Path(path_type=Path))
@set_options
@model_option
@cuts_option
@effort_option
@click.option("--chain", metavar="K|NAME:N", help="Noise levels, as in encode.")
@click.option(
    "--joint",
    type=click.IntRange(2),
    metavar="N",
    help="Code N images of one size as one file (for measuring: no other command reads it).",
)
@peers_options
@reconstructions_option
@run_options
@threads_option
@result_options
def evaluate(
    data: Path,
    split: str | None,
    tile: int | None,
    count: int | None,
    model: str | None,
    cuts: tuple[float, ...] | None,
    effort: str,
    chain: str | None,
    joint: int | None,
    peers: tuple[str, ...] | None,
    reconstructions: str | None,
    records: str | None,
    processes: int,
    threads: int | None,
    force: bool,
    quiet: bool,
    json_path: str | None,
) -> None:
    """Rate and distortion of the images below DATA: encoded once, cut at many sizes, decoded.

    Rates are of whole files, errors of 8-bit pixels, beside what theory asks for and what other
    codecs do (as `diffcodec bench` has it). Exit code 1 if a file does not come back exactly.

    \b
    Examples:
      diffcodec eval photos/ --json rd.json
      diffcodec eval cifar10/ --split test --tile 32 --count 256 -j 2 --records cifar.jsonl
      diffcodec eval cifar10/ --split test --tile 32 --count 256 --joint 64 --json joint.json
      diffcodec eval photo.png --cuts 0.1,0.5,2 --no-peers --save-reconstructions cuts/
    """
    claim_outputs(
        data, json_path=json_path, records=records, reconstructions=reconstructions, force=force
    )
    from diffcodec.eval.peers.peers import at_hand, choose
    from diffcodec.eval.rd import bench as benches

    chosen = choose(() if joint else peers)  # others code an image at a time: bench measures them
    images = read_images(data, split, tile, count, quiet=quiet)

    from diffcodec.api import default_model_of
    from diffcodec.codec import Codec
    from diffcodec.eval.rd.joint import stacks
    from diffcodec.eval.rd.rate_distortion import Settings, grid_bpp, summary

    others = at_hand(chosen, lambda message: narrate(message, quiet=False))
    tell_about_similarity(images, quiet=quiet)
    name = model or default_model_of([image.pixels for image in images])
    codec = Codec.from_pretrained(name, threads or (1 if processes > 1 else None))
    coded = stacks(images, joint) if joint else images
    rates = cuts or grid_bpp([image.pixels for image in coded])
    if not rates:
        narrate("the smallest image is too small for a cut; only whole files count", quiet=quiet)
    settings = Settings(rates, chain, codec.workers, reconstructions, effort)
    with about(str(data)):
        result = measure(
            codec,
            name,
            coded,
            settings,
            others,
            records=records,
            processes=processes,
            quiet=quiet,
        )
    result |= about_run(
        data, images, split=split, tile=tile, threads=codec.workers, processes=processes
    )
    result |= {"joint": joint} if joint else {}
    text = summary(result)
    if others:
        text += "\n\n" + benches.summary(others, result["peers"], result["lossless"]["peers"])
    give(result, text, json_path, force=force)
    if result["lossless"]["exact"] < len(coded):
        raise click.ClickException("some images did not come back exactly")
