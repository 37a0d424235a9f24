"""bench: other codecs on the same images with the same measures; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from diffcodec.cli.measuring import (
    about_run,
    claim_outputs,
    give,
    read_images,
    resumable,
    tell_about_similarity,
)
from diffcodec.cli.options import (
    cuts_option,
    peers_options,
    reconstructions_option,
    result_options,
    run_options,
    set_options,
)
from diffcodec.cli.streams import narrate, progress_bar


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@set_options
@cuts_option
@peers_options
@click.option(
    "--codec",
    "templates",
    multiple=True,
    metavar="NAME=COMMANDS",
    help="A codec of your own, as 'NAME=ENCODER {input} {output} -q {q}; DECODER {output} "
    "{decoded}'; {output.avif} and the like choose a suffix. May be repeated.",
)
@click.option(
    "--qualities",
    default="10,30,50,70,90",
    metavar="Q,...",
    help="What {q} becomes (10,30,50,70,90).",
)
@reconstructions_option
@run_options
@result_options
def bench(
    data: Path,
    split: str | None,
    tile: int | None,
    count: int | None,
    cuts: tuple[float, ...] | None,
    peers: tuple[str, ...] | None,
    templates: tuple[str, ...],
    qualities: str,
    reconstructions: str | None,
    records: str | None,
    processes: int,
    force: bool,
    quiet: bool,
    json_path: str | None,
) -> None:
    """Rate and distortion of other codecs on the images below DATA, measured as `eval` does.

    Codecs with a quality dial show, at each rate, the best of their files that is not larger.
    Progressive ones are also cut like ours. What is not installed is named and left out.

    \b
    Examples:
      diffcodec bench photos/ --peers jpeg2000,jpeg2000-cut,jpegxl --json bench.json
      diffcodec bench photos/ --no-peers --qualities 20,40,60 \\
        --codec 'mine=menc {input.ppm} {output} -q {q}; mdec {output} {decoded.ppm}'
    """
    claim_outputs(
        data, json_path=json_path, records=records, reconstructions=reconstructions, force=force
    )
    from diffcodec.eval.peers.peers import at_hand
    from diffcodec.eval.rd import bench as benches
    from diffcodec.eval.rd.rate_distortion import grid_bpp

    chosen = at_hand(
        _chosen(peers, templates, qualities), lambda message: narrate(message, quiet=False)
    )
    if not chosen:
        raise click.ClickException("there is no codec to measure")
    images = read_images(data, split, tile, count, quiet=quiet)
    tell_about_similarity(images, quiet=quiet)
    with resumable(records), progress_bar("coding", quiet=quiet) as progress:
        found = benches.bench(
            chosen,
            images,
            cuts or grid_bpp([image.pixels for image in images]),
            processes=processes,
            path=None if records is None else Path(records),
            reconstructions=None if reconstructions is None else Path(reconstructions),
            progress=progress,
        )
    curves, lossless = benches.pool(chosen, found)
    result: dict[str, Any] = {
        "name": "other codecs",
        "description": "Whole-file bytes; 8-bit PSNR; at each rate the best file within it.",
        "peers": curves,
        "lossless": {"images": len(images), "peers": lossless},
        "codecs": {name: {"label": p.label, "about": p.about} for name, p in chosen.items()},
        **about_run(data, images, split=split, tile=tile, threads=1, processes=processes),
    }
    give(result, benches.summary(chosen, curves, lossless), json_path, force=force)


def _chosen(
    peers: tuple[str, ...] | None, templates: tuple[str, ...], qualities: str
) -> dict[str, Any]:
    """The known codecs and those of --codec; PeerError for names that are not, or not alone."""
    from diffcodec.eval.peers.command_codec import CommandCodec
    from diffcodec.eval.peers.peers import choose, of_command

    values = [value.strip() for value in qualities.split(",") if value.strip()]
    if not values:
        raise click.UsageError("--qualities wants values, separated by commas")
    chosen = choose(peers)
    for template in templates:
        codec = CommandCodec.parse(template, values)
        if codec.name in chosen:
            raise click.UsageError(f"--codec {codec.name}: there is a codec of this name already")
        chosen[codec.name] = of_command(codec)
    return chosen
