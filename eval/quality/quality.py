"""A set of samples against real images, and as many real ones beside it: the whole measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcodec.bitstream.types import Pixels
from diffcodec.classifier.file import load_classifier
from diffcodec.errors import OptionError
from diffcodec.eval.common.images import ImageSet
from diffcodec.eval.quality.bootstrap import DRAWS, LEVEL
from diffcodec.eval.quality.features import look, stacked
from diffcodec.eval.quality.measure import Reference

if TYPE_CHECKING:
    from diffcodec.classifier.judge import Judge

DEFAULT = "cifar10-judge"
MEASURES = {
    "frechet_distance": "Frechet distance",
    "classifier_score": "classifier score",
    "precision": "precision",
    "recall": "recall",
}


def load_judge(classifier: str | Path = DEFAULT, device: str = "cpu") -> Judge:
    """A classifier of clean images; CheckpointError for no classifier, OptionError for a guide."""
    from diffcodec.classifier.judge import Judge

    judge = Judge(load_classifier(classifier), device)
    if judge.recipe.noisy:
        raise OptionError(
            f"{classifier} was trained on noisy images, to guide samples: have them judged by "
            "another classifier, of images without noise"
        )
    return judge


def compare(
    sets: dict[str, ImageSet],
    judge: Judge,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    inception_file: Path | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """The result, ready for JSON; sets: "samples", "reference" and, where there is one, "floor".

    The floor is cut to as many images as there are samples. Raises DataError for images of a size
    that the classifier does not take, and for too few of them.
    """
    size = judge.recipe.classifier.size
    pixels = {name: stacked(one.images, size, name) for name, one in sets.items()}
    count = len(pixels["samples"])
    if "floor" in pixels:
        pixels["floor"] = pixels["floor"][:count]
    reference = Reference(look(judge, pixels["reference"]))
    measured = {
        name: reference.measure(look(judge, one), draws, seed).to_dict()
        for name, one in pixels.items()
        if name != "reference"
    }
    result = {
        "reference": sets["reference"].about,
        "dataset": sets["samples"].about,
        "classifier": judge.file.about,
        "features": judge.network.width,
        "interval_level": LEVEL,
        "bootstrap_draws": draws,
        "seed": seed,
        **measured,
    }
    if inception_file is not None:
        result["inception"] = _with_inception(pixels, inception_file, device)
    return result


def _with_inception(pixels: dict[str, Pixels], file: Path, device: str) -> dict[str, Any]:
    from diffcodec.eval.quality import inception

    sha256 = inception.check(file)
    measured = {
        name: inception.measure(one, pixels["reference"], file, device)
        for name, one in pixels.items()
        if name != "reference"
    }
    return {"network": sha256[:16], **measured}


def to_text(result: dict[str, Any]) -> str:
    """The result for people: a row for each measure, and what it was measured with."""
    from tabulate import tabulate

    sets = [name for name in ("samples", "floor") if name in result]
    heads = {"samples": "samples", "floor": "real images"}
    rows = [[label, *(_shown(result[one][key]) for one in sets)] for key, label in MEASURES.items()]
    for key, label in (("fid", "FID"), ("inception_score", "IS")):
        if "inception" in result:
            rows.append([label, *(f"{result['inception'][one][key]:.3f}" for one in sets)])
    rows.append(["images", *(f"{result[one]['images']:,}" for one in sets)])
    table = tabulate(rows, ["", *(heads[one] for one in sets)], disable_numparse=True)
    return "\n".join([table, "", *_notes(result)])


def _shown(estimate: dict[str, Any]) -> str:
    value, interval = f"{estimate['value']:.3f}", estimate["interval"]
    return value if interval is None else f"{value} ({interval[0]:.3f} to {interval[1]:.3f})"


def _notes(result: dict[str, Any]) -> Sequence[str]:
    about, reference = result["classifier"], result["reference"]
    known = about["accuracy"]
    right = (
        "of unknown accuracy"
        if known is None
        else f"right on {known['accuracy']:.1%} of {known['images']:,} test images"
    )
    lines = [
        f"against {reference['images']:,} images of {reference['name']}, in {result['features']} "
        f"features of the classifier {about['name']} ({about['fingerprint']}), {right}"
    ]
    if "inception" not in result:
        lines.append("these are not FID and IS, which are of another network (--inception FILE)")
    if result["samples"]["images"] <= result["features"]:
        lines.append("fewer samples than features: the distance is mostly bias, as the floor shows")
    return lines
