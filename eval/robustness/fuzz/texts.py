"""Targets that read texts: recipes, records, results; and numbers that numpy has written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

import numpy as np

from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.eval.common.records import append, rows
from diffcodec.eval.common.results import read_result
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.figures.checking import check
from diffcodec.eval.figures.steps import is_schedule
from diffcodec.eval.rd.comparison import compare, to_text
from diffcodec.eval.rd.curves import curves_of, is_rated
from diffcodec.eval.robustness.fuzz import text_seeds
from diffcodec.eval.robustness.fuzz.mutation import mutated, some
from diffcodec.eval.robustness.fuzz.scratch import scratch
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.eval.robustness.fuzz.trees import TEXTS, dumped, varied
from diffcodec.network.config import Recipe
from diffcodec.sampling.latents import Latents

METRICS = ("psnr", "rmse", *SIMILARITIES)
WORDS = (
    *(
        "0",
        "1",
        "-1",
        "1e400",
        "nan",
        "inf",
        "true",
        '""',
        "[]",
        "[1, 2]",
        "{}",
        '"x"',
        "1979-05-27",
    ),
    *("99999999999999999999", "[[1]]", "0x7f", "1_000", "'''a'''", "[" * 2000),
)


def read_recipe(data: bytes) -> None:
    """A recipe of a network."""
    recipe = Recipe.load(scratch(data, "recipe.toml"))
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def read_classifier_recipe(data: bytes) -> None:
    """A recipe of a classifier."""
    recipe = ClassifierRecipe.load(scratch(data, "classifier.toml"))
    assert ClassifierRecipe.from_dict(recipe.to_dict()) == recipe


def read_records(data: bytes) -> None:
    """Records that are gone on with."""
    path = scratch(data, "records.jsonl")
    before = list(rows(path))
    append(path, {"key": "another", "value": 1})
    after = list(rows(path))
    assert after[-1] == {"key": "another", "value": 1} and len(after) == len(before) + 1


def read_a_result(data: bytes) -> None:
    """A result that is plotted."""
    path = scratch(data, "result.json")
    result = read_result(path)
    check(path, result)
    if is_rated(result) and not is_schedule(result):
        curves = curves_of({path: result})
        rows = compare(curves, curves[0], Random(data).choice(METRICS))
        assert to_text(rows, curves[0])


def read_latents(data: bytes) -> None:
    """Latents that are drawn from."""
    latents = Latents.read(data)
    assert np.isfinite(latents.y).all()


# --- changes ----------------------------------------------------------------------------------


def _varied_toml(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Other values behind names, lines that move, and bytes that change anyhow."""
    if dice.random() < 0.2:
        return mutated(data, dice, others)
    lines = data.decode("utf-8").split("\n")
    for _ in range(some(dice)):
        at = dice.randrange(len(lines))
        name, equals, _ = lines[at].partition("=")
        other = dice.choice(lines).partition("=")[2]
        if equals and dice.random() < 0.7:
            lines[at] = name + equals + dice.choice((*WORDS, other, other, json.dumps(TEXTS[9])))
        else:
            lines[at : at + 1] = [lines[at]] * dice.choice((0, 2))
            lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _varied_lines(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Lines of JSON, some of them changed."""
    if dice.random() < 0.3:
        return mutated(data, dice, others)
    lines = data.split(b"\n")
    for at, line in enumerate(lines):
        if line.endswith(b"}") and dice.random() < 0.4:
            lines[at] = dumped(varied(json.loads(line), dice), dice)
    return b"\n".join(lines)


def _varied_json(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """JSON, some values of which are others."""
    if dice.random() < 0.1:
        return mutated(data, dice, others)
    return dumped(varied(json.loads(data), dice), dice)


TARGETS = (
    Target("recipe", "a recipe of a network", read_recipe, text_seeds.recipes, _varied_toml, 40),
    Target(
        "classifier-recipe",
        "a recipe of a classifier",
        read_classifier_recipe,
        text_seeds.classifier_recipes,
        _varied_toml,
        20,
    ),
    Target("records", "records", read_records, text_seeds.records, _varied_lines, 40),
    Target("result", "results files", read_a_result, text_seeds.results, _varied_json, 40),
    Target("latents", "latents (.npz)", read_latents, text_seeds.latents, mutated, 40),
)
