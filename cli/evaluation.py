"""eval: rate and distortion of the progressive codec on a set of images; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.coding_options import chain_option, effort_option, ending_options
from diffcodec.cli.measuring import (
    about_run,
    choose_cuts,
    claim_outputs,
    measure,
    place_of,
    report_sizes,
)
from diffcodec.cli.measuring_options import (
    Run,
    Selection,
    cuts_option,
    images_argument,
    peers_options,
    reconstructions_option,
    results_options,
    run_options,
    selection_options,
)
from diffcodec.cli.options import Network, class_option, network_options
from diffcodec.cli.output import Results
from diffcodec.cli.parallel import Parallel, parallel_options
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.streams import about, warn
from diffcodec.eval.common.options import joint_option

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices


@click.command("eval")
@images_argument
@selection_options
@reading_options
@network_options
@cuts_option
@effort_option
@chain_option("as --effort and the size suggest")
@ending_options
@class_option
@joint_option
@peers_options
@reconstructions_option
@run_options
@parallel_options("images")
@results_options
def evaluate(
    sources: tuple[str, ...],
    selection: Selection,
    choices: Choices,
    network: Network,
    cuts: tuple[float, ...] | None,
    effort: str,
    chain: str | None,
    ending: dict[str, Any],
    label: int | None,
    joint: int | None,
    peers: tuple[str, ...] | None,
    reconstructions: Path | None,
    run: Run,
    parallel: Parallel,
    output: Results,
) -> None:
    """Measure rate and distortion on images: files, folders, or - for one from a pipe.

    Each is encoded once, cut at many sizes and decoded. Rates are of whole files, errors of 8-bit
    pixels, beside theory and other codecs (as `diffcodec bench` measures them). Exit code 1 if a
    file does not come back exactly.

    \b
    Examples:
      diffcodec eval photos/ --json rd.json
      diffcodec eval cifar10/ --split test --tile 32 --count 256 -j 2 --records cifar.jsonl
      diffcodec eval cifar10/ --split test --tile 32 --count 256 --joint 64 --json joint.json
      diffcodec eval photo.png --cuts 0.1,0.5,2 --no-peers --save-reconstructions cuts/
    """
    claim_outputs(sources, output, run, reconstructions)
    from diffcodec.eval.peers.peers import at_hand, choose
    from diffcodec.eval.rd import bench as benches

    chosen = choose(() if joint else peers)  # others code an image at a time: bench measures them
    found = selection.read(sources, choices)

    from diffcodec.api import default_model_of
    from diffcodec.eval.rd.joint import stacks
    from diffcodec.eval.rd.rate_distortion import Settings, summary

    others = at_hand(chosen, warn)
    report_sizes(found.images, output)
    name = network.model or default_model_of([image.pixels for image in found.images])
    codec = network.codec(name, parallel)
    coded = stacks(found.images, joint) if joint else found.images
    at = choose_cuts(coded, cuts, output)
    folder = None if reconstructions is None else place_of(str(reconstructions), parallel)
    given = (at.rates, chain, codec.workers, folder, effort, network.backend)
    settings = Settings(*given, label=label, **ending)
    with about(found.name if len(sources) > 1 else sources[0]):
        result = measure(codec, name, coded, at, settings, others, run, parallel, output)
    result |= about_run(found, codec.workers, parallel)
    result |= {"joint": joint} if joint else {}
    text = summary(result)
    if others:
        text += "\n\n" + benches.summary(others, result["peers"], result["lossless"]["peers"])
    output.give(result, text)
    if result["lossless"]["exact"] < len(coded):
        raise click.ClickException("some images did not come back exactly")
