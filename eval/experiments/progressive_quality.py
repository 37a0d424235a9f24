"""DDPM's Figure 10: what x0_hat is worth as an image while it is drawn, by reverse steps.

One set of samples by Algorithm 2; x0_hat of them is judged every so many steps in the features of
a classifier of ours (so these are no FIDs), beside as many real images.

    python -m diffcodec.eval.experiments.progressive_quality --data cifar10/ --split test --tile 32
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.images import about, load_named
from diffcodec.eval.common.processes import network_of
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.figures.progressive import draw
from diffcodec.eval.quality.features import look, stacked
from diffcodec.eval.quality.measure import Reference
from diffcodec.eval.quality.quality import DEFAULT, load_judge
from diffcodec.eval.quality.samples import on_the_way
from diffcodec.files import write_atomic
from diffcodec.sampling.method import Method
from diffcodec.sampling.taus import T, spaced
from diffcodec.theory.schedule import Schedule

POINTS = 10  # at which x0_hat is judged


def to_text(result: Result) -> str:
    """A row for each number of reverse steps, and real images below."""
    from tabulate import tabulate

    keys = ("frechet_distance", "classifier_score", "precision", "recall")
    rows = [[row["reverse_steps"], *(row[key]["value"] for key in keys)] for row in result["rows"]]
    rows.append(["real", *(result["real"][key]["value"] for key in keys)])
    return str(tabulate(rows, ["reverse steps", *keys], floatfmt=".3f"))


@options.measurement
@options.model_option("cifar10")
@click.option("--judge", default=DEFAULT, help="The classifier that judges.")
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@options.split_option
@options.tile_option
@click.option("-n", "count", type=click.IntRange(4), default=128, help="Samples (default: 128).")
@click.option("--steps", type=click.IntRange(POINTS, T), default=T, help=f"Of DDPM (default: {T}).")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the noise.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the network.")
@options.json_option
@options.plot_option
def main(
    model: str,
    judge: str,
    data: Path,
    split: str,
    tile: int,
    count: int,
    steps: int,
    seed: int,
    threads: int,
    json_path: Path | None,
    plot: Path | None,
) -> None:
    """x0_hat of MODEL by DDPM's reverse steps, against the images in DATA."""
    network, judged = network_of(model, "cpu", threads), load_judge(judge)
    size = judged.recipe.classifier.size
    images = load_named(data, split, tile)
    seen = look(judged, stacked(images, size, "reference"))
    # As many real images as there are samples are the floor, the others the reference.
    reference, floor = Reference(seen.some(slice(count, None))), seen.some(slice(0, count))
    began = time.perf_counter()
    method = Method("ddpm", spaced("linear", steps, Schedule.named(network.betas, T)))
    at = [steps * i // POINTS for i in range(1, POINTS + 1)]
    sets = on_the_way(network, method, size, count, seed, [k - 1 for k in at])
    result: Result = {
        "rows": [
            {"reverse_steps": k, **reference.measure(look(judged, pixels)).to_dict()}
            for k, pixels in zip(at, sets, strict=True)
        ],
        "real": reference.measure(floor).to_dict(),
        "model": {key: getattr(network, key) for key in ("name", "fingerprint", "parameters")},
        "judge": judged.file.about,
        "samples": count,
        "steps": steps,
        "seed": seed,
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "seconds": round(time.perf_counter() - began, 1),
        **provenance(__name__, threads=threads, processes=1),
    }
    write_result(json_path, result)
    if plot is not None:
        write_atomic(plot, draw(result, plot.suffix[1:] or "png"))
    click.echo(to_text(result))


if __name__ == "__main__":
    main()
