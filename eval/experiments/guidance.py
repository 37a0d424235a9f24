"""What guidance does: how many samples another classifier takes for the class, and how varied.

The same noise is led to a class by one classifier at several scales, and judged by another, which
shares nothing with it but its training images. Diversity is the spread of the samples' features,
the trace of their covariance, as a share of that of real images of the class; recall is the share
of those that samples come near.

    python -m diffcodec.eval.experiments.guidance --data cifar10/ --split test --tile 32 \\
        --labels cifar10/test_labels.npy --class 3 -n 64
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from diffcodec.classifier.file import load_classifier
from diffcodec.eval.common import options
from diffcodec.eval.common.images import about
from diffcodec.eval.common.processes import network_of
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.quality.bootstrap import bootstrap
from diffcodec.eval.quality.features import Seen, look
from diffcodec.eval.quality.measure import Reference
from diffcodec.eval.quality.quality import DEFAULT, load_judge
from diffcodec.eval.quality.samples import samples
from diffcodec.sampling.method import Method
from diffcodec.sampling.taus import T, spaced
from diffcodec.theory.schedule import Schedule

SCALES = (0.0, 1.0, 2.0, 5.0)
SPACING = {"ddim": "quadratic", "ddpm": "linear"}


def measure(seen: Seen, real: Seen, label: int, seed: int = 0) -> Result:
    """What a judge says of samples that are meant to be of a class; real: images of it."""
    is_it = seen.log_p.argmax(axis=1) == label
    p = np.exp(seen.log_p[:, label])
    apart = _spread(real.features)

    def diversity(which: Any) -> float:
        return _spread(seen.features[which]) / apart

    n = len(seen)
    found = Reference(real).measure(seen, seed=seed).to_dict()
    return {
        "class_share": bootstrap(
            float(is_it.mean()), lambda i: float(is_it[i].mean()), n, seed=seed
        ).to_dict(),
        "class_probability": bootstrap(
            float(p.mean()), lambda i: float(p[i].mean()), n, seed=seed
        ).to_dict(),
        "diversity": bootstrap(diversity(slice(None)), diversity, n, seed=seed).to_dict(),
        **{key: found[key] for key in ("precision", "recall", "frechet_distance")},
    }


def _spread(features: Any) -> float:
    """The trace of the covariance."""
    return float(features.var(axis=0, ddof=1).sum())


def to_text(result: dict[str, Any]) -> str:
    """A row for each scale, and real images below."""
    from tabulate import tabulate

    keys = ("class_share", "class_probability", "diversity", "precision", "recall")
    rows = [
        [name, *(row[key]["value"] for key in (*keys, "frechet_distance"))]
        for name, row in [
            *((row["scale"], row) for row in result["rows"]),
            ("real", result["real"]),
        ]
    ]
    heads = ["scale", *(key.replace("_", " ") for key in keys), "Frechet distance"]
    return str(tabulate(rows, heads, floatfmt=".3f"))


@options.measurement
@options.model_option("cifar10")
@click.option("--guide", default="cifar10", help="The classifier that guides.")
@click.option("--judge", default=DEFAULT, help="The classifier that judges.")
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@options.split_option
@options.tile_option
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="A .npy of classes.")
@click.option("--class", "label", type=click.IntRange(0), default=3, help="Which one (default: 3).")
@click.option("-n", "count", type=click.IntRange(4), default=64, help="Samples (default: 64).")
@click.option("--sampler", type=click.Choice(list(SPACING)), default="ddim", help="Or ddpm.")
@click.option("--steps", type=click.IntRange(2), default=50, help="Of the sampler (default: 50).")
@click.option("--scale", "scales", type=float, multiple=True, default=SCALES)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the noise.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the network.")
@options.json_option
def main(
    model: str,
    guide: str,
    judge: str,
    data: Path,
    split: str,
    tile: int,
    labels: Path,
    label: int,
    count: int,
    sampler: Any,
    steps: int,
    scales: tuple[float, ...],
    seed: int,
    threads: int,
    json_path: Path | None,
) -> None:
    """Samples led to a class at several scales, judged by another classifier."""
    import torch

    from diffcodec.classifier.guide import load_guide
    from diffcodec.classifier.labelled import read_labelled

    torch.set_num_threads(threads)
    network, judged = network_of(model, "cpu", threads), load_judge(judge)
    size = judged.recipe.classifier.size
    recipe = replace(judged.recipe, train=replace(judged.recipe.train, tile=tile))
    images = read_labelled(recipe, [data], labels, split)
    # Half of the class is the reference; of the other half as many as there are samples a floor.
    of_class = look(judged, images.pixels[images.labels == label])
    real, other = of_class.some(slice(0, None, 2)), of_class.some(slice(1, None, 2))
    levels = spaced(SPACING[sampler], steps, Schedule.named(network.betas, T))
    rows = []
    for scale in scales:
        led = load_guide(guide, label, scale) if scale else None
        method, began = Method(sampler, levels, guide=led), time.perf_counter()
        pixels = samples(network, method, size, count, seed, f"scale {scale:g}")
        seconds = round(time.perf_counter() - began, 1)
        seen = look(judged, pixels)
        rows.append({"scale": scale, **measure(seen, real, label), "seconds": seconds})
    result = {
        "rows": rows,
        "real": measure(other.some(slice(0, count)), real, label),
        "model": {key: getattr(network, key) for key in ("name", "fingerprint", "parameters")},
        "guide": load_classifier(guide).about,
        "judge": judged.file.about,
        "class": label,
        "samples": count,
        "reference_images": len(real),
        "sampler": {"name": sampler, "steps": steps, "spacing": SPACING[sampler]},
        "seed": seed,
        "dataset": about(data, split, tile, list(images.pixels)),
        **provenance(__name__, threads=threads, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(result))


if __name__ == "__main__":
    main()
