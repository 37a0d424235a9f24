"""DDIM's Table 1 in form: what samples are worth by the number of steps and by eta.

From the same noise, judged in the features of a classifier of ours (so these are no FIDs), beside
as many real images.

    python -m diffcodec.eval.experiments.sample_quality --data cifar10/ --split test --tile 32
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.images import about, load_named
from diffcodec.eval.common.processes import network_of
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.quality.features import look, stacked
from diffcodec.eval.quality.measure import Reference
from diffcodec.eval.quality.quality import DEFAULT, load_judge
from diffcodec.eval.quality.samples import samples
from diffcodec.sampling.method import Method
from diffcodec.sampling.taus import T, spaced
from diffcodec.theory.schedule import Schedule

STEPS = (10, 20, 50, 100, 1000)
ETAS = (0.0, 0.5, 1.0)


def to_text(result: Result) -> str:
    """A row for each number of steps and eta, and real images below."""
    from tabulate import tabulate

    keys = ("frechet_distance", "classifier_score", "precision", "recall")
    rows = [
        [row["steps"], row["eta"], *(row[key]["value"] for key in keys)] for row in result["rows"]
    ]
    rows.append(["real", "", *(result["real"][key]["value"] for key in keys)])
    return str(tabulate(rows, ["steps", "eta", *keys], floatfmt=".3f"))


@options.measurement
@options.model_option("cifar10")
@click.option("--judge", default=DEFAULT, help="The classifier that judges.")
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@options.split_option
@options.tile_option
@click.option("-n", "count", type=click.IntRange(4), default=128, help="Samples (default: 128).")
@click.option("--steps", "lengths", type=click.IntRange(2, T), multiple=True, default=STEPS)
@click.option("--eta", "etas", type=click.FloatRange(0), multiple=True, default=ETAS)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the noise.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the network.")
@options.json_option
def main(
    model: str,
    judge: str,
    data: Path,
    split: str,
    tile: int,
    count: int,
    lengths: tuple[int, ...],
    etas: tuple[float, ...],
    seed: int,
    threads: int,
    json_path: Path | None,
) -> None:
    """Samples of MODEL by DDIM, by steps and eta, against the images in DATA."""
    network, judged = network_of(model, "cpu", threads), load_judge(judge)
    size = judged.recipe.classifier.size
    images = load_named(data, split, tile)
    seen = look(judged, stacked(images, size, "reference"))
    # As many real images as there are samples are the floor, the others the reference.
    reference, floor = Reference(seen.some(slice(count, None))), seen.some(slice(0, count))
    rows = []
    for steps in lengths:
        levels = spaced("quadratic", steps, Schedule.named(network.betas, T))
        for eta in etas:
            began = time.perf_counter()
            name = f"{steps} steps, eta {eta:g}"
            pixels = samples(network, Method("ddim", levels, eta), size, count, seed, name)
            found = reference.measure(look(judged, pixels)).to_dict()
            seconds = round(time.perf_counter() - began, 1)
            rows.append({"steps": steps, "eta": eta, **found, "seconds": seconds})
    result: Result = {
        "rows": rows,
        "real": reference.measure(floor).to_dict(),
        "model": {key: getattr(network, key) for key in ("name", "fingerprint", "parameters")},
        "judge": judged.file.about,
        "samples": count,
        "seed": seed,
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        **provenance(__name__, threads=threads, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(result))


if __name__ == "__main__":
    main()
