"""quality: how good samples are, against real images; parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.device import device_option, own_device
from diffcodec.cli.measuring_options import Selection, images_argument, results_options
from diffcodec.cli.output import Results
from diffcodec.cli.reading_options import reading_options
from diffcodec.eval.common.options import count_option, tile_option

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices


@click.command()
@images_argument
@click.option(
    "--reference",
    required=True,
    metavar="IMAGES",
    help="Real images to compare with: a file or folder.",
)
@click.option(
    "--split",
    default="all",
    metavar="NAME",
    help="Of the reference only files or folders whose name begins with NAME.",
)
@click.option(
    "--floor",
    metavar="NAME",
    help="Measure as many real images of the reference's folder, too, those whose name begins so.",
)
@tile_option
@count_option()
@reading_options
@click.option(
    "--classifier",
    metavar="NAME|FILE",
    help="In whose features: a shipped classifier, or a file of train-classifier "
    "(default: cifar10-judge).",
)
@click.option(
    "--inception",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The Inception network: FID and IS as well, by torch-fidelity.",
)
@click.option(
    "--bootstrap",
    "draws",
    type=click.IntRange(0),
    default=200,
    metavar="N",
    help="Draws for the intervals; 0 for none (default: 200).",
)
@device_option
@results_options
def quality(
    sources: tuple[str, ...],
    reference: str,
    split: str,
    floor: str | None,
    tile: int,
    count: int | None,
    choices: Choices,
    classifier: str | None,
    inception: Path | None,
    draws: int,
    device: str,
    output: Results,
) -> None:
    """Measure samples against real images: Frechet distance, score, precision, recall.

    They are measured in the features of a small classifier, whose numbers are compared with each
    other and never with FID and IS; those take --inception. Precision is the share of the samples
    that look real, recall the share of the real images that samples come near. Intervals hold
    95 % of other samples' values; --floor shows what real images get.

    \b
    Examples:
      diffcodec quality samples/ --reference cifar10/ --split test --floor train --tile 32
      diffcodec quality samples/ --reference cifar10/ --split test --tile 32 --json quality.json
    """
    if output.json_file is not None:
        output.claim_files(sources, {"--json": output.json_file})
    from diffcodec.eval.common.results import provenance
    from diffcodec.eval.quality.quality import DEFAULT, compare, load_judge, to_text

    device = own_device(device)
    if inception is not None:
        from diffcodec.eval.quality.inception import check

        check(inception)
    judge = load_judge(classifier or DEFAULT, device)
    sets = {"samples": Selection("all", tile, count).read(sources, choices)}
    sets["reference"] = Selection(split, tile).read([reference], choices)
    if floor is not None:
        # As many images as there are samples: the first of that name.
        many = len(sets["samples"].images)
        sets["floor"] = Selection(floor, tile, many).read([reference], choices)
    result = compare(sets, judge, draws=draws, inception_file=inception, device=device)
    result |= provenance("diffcodec", threads=_threads(), processes=1, device=device)
    output.give(result, to_text(result))


def _threads() -> int:
    import torch

    return torch.get_num_threads()
