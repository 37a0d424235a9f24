"""eval: rate and distortion of the progressive codec on a set of images; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from diffcodec.cli.measuring import about_run, claim_outputs, measure, report_similarity
from diffcodec.cli.measuring_options import (
    Run,
    Selection,
    cuts_option,
    peers_options,
    reconstructions_option,
    results_options,
    run_options,
    selection_options,
)
from diffcodec.cli.options import (
    Network,
    chain_option,
    effort_option,
    ending_options,
    network_options,
)
from diffcodec.cli.output import Results
from diffcodec.cli.streams import about, warn
from diffcodec.eval.common.options import joint_option


@click.command("eval")
@click.argument("data", type=click.Path(path_type=Path))
@selection_options
@network_options
@cuts_option
@effort_option
@chain_option("as --effort and the size suggest")
@ending_options
@joint_option
@peers_options
@reconstructions_option
@run_options
@results_options
def evaluate(
    data: Path,
    selection: Selection,
    network: Network,
    cuts: tuple[float, ...] | None,
    effort: str,
    chain: str | None,
    ending: dict[str, Any],
    joint: int | None,
    peers: tuple[str, ...] | None,
    reconstructions: Path | None,
    run: Run,
    output: Results,
) -> None:
    """Measure rate and distortion on the images below DATA.

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
    claim_outputs(data, output, run, reconstructions)
    from diffcodec.eval.peers.peers import at_hand, choose
    from diffcodec.eval.rd import bench as benches

    chosen = choose(() if joint else peers)  # others code an image at a time: bench measures them
    images = selection.read(data, output)

    from diffcodec.api import default_model_of
    from diffcodec.eval.rd.joint import stacks
    from diffcodec.eval.rd.rate_distortion import Settings, grid_bpp, summary

    others = at_hand(chosen, warn)
    report_similarity(images, output)
    name = network.model or default_model_of([image.pixels for image in images])
    codec = network.codec(name, run.processes)
    coded = stacks(images, joint) if joint else images
    rates = cuts or grid_bpp([image.pixels for image in coded])
    if not rates:
        output.say("the smallest image is too small for a cut; only whole files count")
    folder = None if reconstructions is None else str(reconstructions)
    settings = Settings(rates, chain, codec.workers, folder, effort, network.backend, **ending)
    with about(data):
        result = measure(codec, name, coded, settings, others, run, output)
    result |= about_run(data, images, selection, codec.workers, run.processes)
    result |= {"joint": joint} if joint else {}
    text = summary(result)
    if others:
        text += "\n\n" + benches.summary(others, result["peers"], result["lossless"]["peers"])
    output.give(result, text)
    if result["lossless"]["exact"] < len(coded):
        raise click.ClickException("some images did not come back exactly")
