"""Table 2 of DDPM in bits: what objective, prediction, variance and betas are worth, at one budget.

    python -m diffcodec.eval.experiments.ablation recipes/ablation.toml --data DIR --split train \
        --test FILE --steps 1000 --out runs/ablation --json ablation.json

Every setting is the same recipe but for these fields, trained for the same number of steps on the
same batches, and measured on the same held-out images. A run whose loss was not finite is a
result: it is recorded as such. The same command resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.data import digest
from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_pixels
from diffcodec.eval.common.results import provenance, read_result, write_result
from diffcodec.eval.likelihood.denoising import denoising_curve, implied_rate
from diffcodec.eval.likelihood.elbo import nelbo
from diffcodec.eval.likelihood.plan import Settings
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Betas, Predicts, Recipe
from diffcodec.theory.elbo import Variance

PREDICTS: tuple[Predicts, ...] = ("mu", "eps", "preconditioned")  # of the table
BETAS: tuple[Betas, ...] = ("linear", "cosine")
KINDS = (  # objective and variance; simple has the same gradient with either fixed variance
    ("nelbo", "learned"),
    ("nelbo", "beta"),
    ("simple", "beta"),
    ("hybrid", "learned"),
)
RATES_BPP = (0.5, 1.5, 3.0)  # at which PSNR is reported
STRIDE = 16  # every image meets 72 of the 1000 timesteps


def settings(base: Recipe, steps: int, predicts: Sequence[str]) -> Iterator[Recipe]:
    """The recipes of the table, the base's own objective first, for reference."""
    yield _variant(base, "as it is", steps, {}, {})
    for betas in BETAS:
        for output in predicts:
            for objective, sigma2 in KINDS:
                name = f"{output}, {objective}, {sigma2}, {betas}"
                network = {"predicts": output, "sigma2": sigma2, "betas": betas}
                yield _variant(base, name, steps, network, {"objective": objective})


def _variant(
    base: Recipe, name: str, steps: int, network: dict[str, Any], train: dict[str, Any]
) -> Recipe:
    fields = base.to_dict()
    fields["name"] = name
    fields["network"].update(network)
    fields["train"].update(train, steps=steps)
    return Recipe.from_dict(fields)


def train_and_measure(
    recipe: Recipe, data: Path, split: str, folder: Path, pixels: Pixels
) -> dict[str, Any]:
    """One row of the table, ready for JSON; what is not finite is None, and the outcome says so."""
    from diffcodec.training.train import train

    row: dict[str, Any] = {"name": recipe.name, "recipe": _plain(recipe)}
    try:
        run = train(recipe, data, folder, split=split)
    except FloatingPointError as error:
        return {**row, "outcome": str(error).partition(";")[0], "nelbo": {}, "psnr_db": {}}
    measured = measure(run.checkpoint(), pixels)
    return {**row, "steps": run.step, "seconds": round(run.seconds, 1), **measured}


def measure(checkpoint: Checkpoint, pixels: Pixels) -> dict[str, Any]:
    """The bound with every variance that the network has, PSNR in dB at RATES_BPP and by noise.

    The rates are those of an ideal coder of infinitely many steps (eval.denoising.implied_rate).
    """
    from diffcodec.network.denoiser import NetworkDenoiser

    if not all(np.isfinite(weight).all() for weight in checkpoint.weights.values()):
        return {"outcome": "weights beyond float16", "nelbo": {}, "psnr_db": {}}
    network = NetworkDenoiser(checkpoint)
    curve = denoising_curve(network, pixels)
    if not all(np.isfinite(level["mse"]) for level in curve):
        return {"outcome": "x0_hat is not finite", "nelbo": {}, "psnr_db": {}}
    rates = implied_rate(curve)
    psnr = np.interp(
        np.log(RATES_BPP),
        [np.log(3 * level["rate_bpd"]) for level in rates],
        [level["psnr_db"] for level in rates],
    )
    stride = min(STRIDE, max(1, len(pixels) // 2))
    variances: tuple[Variance, ...] = ("beta", "beta_tilde")
    bounds = {
        sigma2: nelbo(network, pixels, Settings(network.betas, sigma2=sigma2, stride=stride))
        for sigma2 in (variances if network.sigma2 != "learned" else ("learned",))
    }
    kept = ("bpd", "L_T_bpd", "L_steps_bpd", "L_0_bpd", "standard_error_bpd")
    return {
        "outcome": "trained",
        "nelbo": {
            key: {k: _finite(found["nelbo"][k]) for k in kept} for key, found in bounds.items()
        },
        "psnr_db": {f"{bpp:g}": float(db) for bpp, db in zip(RATES_BPP, psnr, strict=True)},
        "denoising_db": {f"{level['sigma_grey']:g}": level["psnr_db"] for level in rates},
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and np.isfinite(number) else None


def _plain(recipe: Recipe) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(recipe.to_dict()))
    return plain


def folder_of(recipe: Recipe) -> str:
    """A run's folder, another one for every recipe."""
    about = hashlib.sha256(json.dumps(_plain(recipe), sort_keys=True).encode()).hexdigest()
    return f"{recipe.name.replace(', ', '-').replace(' ', '-')}-{about[:8]}"


def to_text(rows: Sequence[dict[str, Any]]) -> str:
    """The table for people: the best variance of each network."""
    from tabulate import tabulate

    head = ["prediction, objective, variance, betas", "outcome", "NELBO"]
    lines = []
    for row in rows:
        bounds = [b["bpd"] for b in row["nelbo"].values() if b["bpd"] is not None]
        lines.append([row["name"], row["outcome"], min(bounds, default=None)])
        lines[-1] += row["psnr_db"].values()
    head += [f"{bpp:g} bpp" for bpp in RATES_BPP]
    return tabulate(lines, head, "plain", floatfmt=("", "", ".3f", *[".2f"] * len(RATES_BPP)))


@options.measurement
@click.argument("recipe", type=click.Path(exists=True, path_type=Path))
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@options.split_option
@click.option("--test", required=True, type=click.Path(exists=True, path_type=Path))
@options.count_option(64)
@click.option("--steps", default=1000, show_default=True, help="Of every training.")
@click.option(
    "--predicts",
    type=click.Choice(get_args(Predicts)),
    multiple=True,
    default=PREDICTS,
    show_default=True,
    help="Only this prediction; may be given again.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the runs.")
@click.option("--json", "json_path", required=True, type=click.Path(path_type=Path))
def main(
    recipe: Path,
    data: Path,
    split: str,
    test: Path,
    count: int,
    steps: int,
    predicts: Sequence[str],
    out: Path,
    json_path: Path,
) -> None:
    """Train RECIPE with every objective, variance and betas; bits/dim and PSNR into one JSON."""
    import torch

    base = Recipe.load(recipe)
    variants = list(settings(base, steps, predicts))
    pixels = load_pixels(test, "all", count, base.train.tile, base.train.crop)
    result: dict[str, Any] = {
        "dataset": {"name": test.name, "images": len(pixels), "sha256": digest(list(pixels))},
        "rates_bpp": list(RATES_BPP),
        "settings": [],
        **provenance(__name__, threads=torch.get_num_threads(), processes=1),
    }
    known = _known(json_path, result["dataset"])
    for variant in variants:
        row = known.get(json.dumps(_plain(variant)))
        if row is None:
            click.echo(variant.name, err=True)
            row = train_and_measure(variant, data, split, out / folder_of(variant), pixels)
        result["settings"] = [*result["settings"], row]
        write_result(json_path, result)
    click.echo(to_text(result["settings"]))


def _known(path: Path, dataset: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run on the same images, by recipe."""
    if not path.exists():
        return {}
    earlier = read_result(path)
    rows = earlier["settings"] if earlier["dataset"] == dataset else []
    return {json.dumps(row["recipe"]): row for row in rows}


if __name__ == "__main__":
    main()
