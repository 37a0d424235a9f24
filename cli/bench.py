"""bench: other codecs on the same images with the same measures; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from diffcodec.cli.measuring import about_run, claim_outputs, measure_peers, report_similarity
from diffcodec.cli.measuring_options import (
    Run,
    Selection,
    cuts_option,
    names,
    peers_options,
    reconstructions_option,
    results_options,
    run_options,
    selection_options,
)
from diffcodec.cli.output import Results
from diffcodec.cli.streams import warn


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@selection_options
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
    help="What {q} of --codec becomes (default: 10,30,50,70,90).",
)
@reconstructions_option
@run_options
@results_options
def bench(
    data: Path,
    selection: Selection,
    cuts: tuple[float, ...] | None,
    peers: tuple[str, ...] | None,
    templates: tuple[str, ...],
    qualities: str,
    reconstructions: Path | None,
    run: Run,
    output: Results,
) -> None:
    """Measure other codecs on the images below DATA, as `eval` does.

    Codecs with a quality setting show, at each rate, their best file that is not larger.
    Progressive ones are also cut like ours. What is not installed is named and left out.

    \b
    Examples:
      diffcodec bench photos/ --peers jpeg2000,jpeg2000-cut,jpegxl --json bench.json
      diffcodec bench photos/ --no-peers --qualities 20,40,60 \\
        --codec 'mine=menc {input.ppm} {output} -q {q}; mdec {output} {decoded.ppm}'
    """
    claim_outputs(data, output, run, reconstructions)
    from diffcodec.eval.peers.peers import at_hand
    from diffcodec.eval.rd.bench import summary
    from diffcodec.eval.rd.rate_distortion import grid_bpp

    chosen = at_hand(_chosen(peers, templates, qualities), warn)
    if not chosen:
        raise click.ClickException("there is no codec to measure")
    images = selection.read(data, output)
    report_similarity(images, output)
    rates = cuts or grid_bpp([image.pixels for image in images])
    curves, lossless = measure_peers(chosen, images, rates, reconstructions, run, output)
    result: dict[str, Any] = {
        "name": "other codecs",
        "description": "Whole-file bytes; 8-bit PSNR; at each rate the best file within it.",
        "peers": curves,
        "lossless": {"images": len(images), "peers": lossless},
        "codecs": {name: {"label": p.label, "about": p.about} for name, p in chosen.items()},
        **about_run(data, images, selection, threads=1, processes=run.processes),
    }
    output.give(result, summary(chosen, curves, lossless))


def _chosen(
    peers: tuple[str, ...] | None, templates: tuple[str, ...], qualities: str
) -> dict[str, Any]:
    """The known codecs and those of --codec; PeerError for names that are not, or not alone."""
    from diffcodec.eval.peers.command_codec import CommandCodec
    from diffcodec.eval.peers.peers import choose, of_command

    values = list(names(qualities))
    if not values:
        raise click.UsageError("--qualities wants values, separated by commas")
    chosen = choose(peers)
    for template in templates:
        codec = CommandCodec.parse(template, values)
        if codec.name in chosen:
            raise click.UsageError(f"--codec {codec.name}: there is a codec of this name already")
        chosen[codec.name] = of_command(codec)
    return chosen
