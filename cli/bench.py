"""bench: other codecs on the same images with the same measures; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.measuring import (
    about_run,
    choose_cuts,
    claim_outputs,
    measure_peers,
    place_of,
    report_sizes,
)
from diffcodec.cli.measuring_options import (
    Run,
    Selection,
    cuts_option,
    images_argument,
    names,
    peers_options,
    reconstructions_option,
    results_options,
    run_options,
    selection_options,
)
from diffcodec.cli.output import Results
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import warn

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices


@click.command()
@images_argument
@selection_options
@reading_options
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
@parallel_options("images")
@results_options
def bench(
    sources: tuple[str, ...],
    selection: Selection,
    choices: Choices,
    cuts: tuple[float, ...] | None,
    peers: tuple[str, ...] | None,
    templates: tuple[str, ...],
    qualities: str,
    reconstructions: Path | None,
    run: Run,
    parallel: Parallel,
    output: Results,
) -> None:
    """Measure other codecs on images, as `eval` does: files, folders, or - for one from a pipe.

    Codecs with a quality setting show, at each rate, their best file that is not larger.
    Progressive ones are also cut like ours. What is not installed is named and left out.

    \b
    Examples:
      diffcodec bench photos/ --peers jpeg2000,jpeg2000-cut,jpegxl --json bench.json
      diffcodec bench photos/ --no-peers --qualities 20,40,60 \\
        --codec 'mine=menc {input.ppm} {output} -q {q}; mdec {output} {decoded.ppm}'
    """
    claim_outputs(sources, output, run, reconstructions)
    from diffcodec.eval.peers.peers import at_hand
    from diffcodec.eval.rd.bench import summary

    chosen = at_hand(_chosen(peers, templates, qualities), warn)
    if not chosen:
        raise click.ClickException("there is no codec to measure")
    found = selection.read(sources, choices)
    report_sizes(found.images, output)
    at = choose_cuts(found.images, cuts, output)
    folder = reconstructions and Path(place_of(str(reconstructions), parallel))
    curves, lossless = measure_peers(chosen, found.images, at, folder, run, parallel, output)
    result: dict[str, Any] = {
        "name": "other codecs",
        "description": "Whole-file bytes; 8-bit PSNR; at each rate the best file within it.",
        "peers": curves,
        "too_small": list(at.small),
        "lossless": {"images": len(found.images), "peers": lossless},
        "codecs": {name: {"label": p.label, "about": p.about} for name, p in chosen.items()},
        **about_run(found, 1, parallel),
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
