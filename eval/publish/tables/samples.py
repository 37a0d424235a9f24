"""Samples by DDIM's steps and eta, under guidance, and inverted, as a classifier of ours judges."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, table

NAMES = {"frechet_distance": "Frechet distance", "classifier_score": "classifier score"}
NAMES |= {"precision": "precision", "recall": "recall"}
LED = {"class_share": "share in the class", "class_probability": "its mean probability"}
LED |= {"diversity": "diversity", "precision": "precision", "recall": "recall"}


def by_steps(results: Path) -> str:
    """DDIM's Table 1 in form."""
    result = load(results, "sample-quality-cifar10")
    rows = [
        [f"{row['steps']}", f"{row['eta']:g}", *_estimates(row, NAMES)] for row in result["rows"]
    ]
    rows.append([f"{result['samples']} real images", "", *_estimates(result["real"], NAMES)])
    return f"{table(['steps', 'eta', *NAMES.values()], rows)}\n\n{_judged(result)}"


def by_time(results: Path) -> str:
    """DDPM's Figure 10 as a table."""
    result = load(results, "progressive-quality-cifar10")
    rows = [[f"{row['reverse_steps']}", *_estimates(row, NAMES)] for row in result["rows"]]
    rows.append([f"{result['samples']} real images", *_estimates(result["real"], NAMES)])
    return f"{table(['reverse steps', *NAMES.values()], rows)}\n\n{_judged(result)}"


def guidance(results: Path) -> str:
    """What another classifier says of samples that were led to a class."""
    rows, notes = [], []
    for name in ("guidance-cifar10", "guidance-ddpm-cifar10"):
        result = load(results, name)
        sampler = "{name}, {steps} steps".format(**result["sampler"])
        rows += [[sampler, f"{row['scale']:g}", *_estimates(row, LED)] for row in result["rows"]]
        notes.append(_judged(result))
    rows.append(["real images of the class", "", *_estimates(result["real"], LED)])
    head = ["sampler", "scale", *LED.values()]
    return f"{table(head, rows)}\n\n" + "\n\n".join(notes)


def floor(results: Path) -> str:
    """The measures of training images and of test images, against other test images."""
    result = load(results, "quality-floor-cifar10")
    sets = {"samples": "of the training set", "floor": "of the test set"}
    rows = [
        [f"{result[one]['images']:,} {name}", *_estimates(result[one], NAMES)]
        for one, name in sets.items()
    ]
    return f"{table(['images', *NAMES.values()], rows)}\n\n{machine(result)}"


def classifiers(results: Path) -> str:
    """How often the classifiers are right, by noise."""
    result = load(results, "classifiers-cifar10")
    rows, levels = [], [level["sigma_grey"] for level in result["classifiers"][0]["levels"]]
    for one in result["classifiers"]:
        right = {level["sigma_grey"]: f"{level['accuracy']:.1%}" for level in one["levels"]}
        what = "guides" if one["noisy"] else "judges"
        name = f"`{one['name']}` ({one['fingerprint']}), {what}"
        rows.append([name, *(right.get(level, "-") for level in levels)])
    head = ["classifier", *(f"right at noise {level:g}" for level in levels)]
    return f"{table(head, rows)}\n\n{machine(result)}"


def inversion(results: Path) -> str:
    """DDIM's Table 2: what comes back of images that were inverted, beside the paper's."""
    result = load(results, "inversion-cifar10")
    rows = [
        [
            f"{row['steps']}",
            f"**{row['mse']:.1e}** +- {row['standard_error']:.0e}",
            f"{row['psnr']:.1f}",
            f"{row['paper']:.1e}",
        ]
        for row in result["inversion"]
    ]
    head = ["steps", "mean square error", "dB", "DDIM, Table 2"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def _estimates(row: Result, names: dict[str, str]) -> list[str]:
    return [_estimate(row[key]) for key in names]


def _estimate(found: Result) -> str:
    """A value, with its interval where it has one."""
    if found["interval"] is None:
        return f"{found['value']:.3f}"
    low, high = found["interval"]
    return f"{found['value']:.3f} ({low:.3f} to {high:.3f})"


def _judged(result: Result) -> str:
    judge = result["judge"]
    right = judge["accuracy"]
    known = "" if right is None else f", right on {right['accuracy']:.1%} of CIFAR-10's test images"
    return (
        f"{result['samples']} samples of `{result['model']['name']}`; judged by "
        f"`{judge['name']}` ({judge['fingerprint']}){known}; intervals of 95 % over samples.\n\n"
        f"{machine(result)}"
    )
