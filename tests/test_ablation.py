"""The table of objectives: every setting is trained and measured once, and what fails is told."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec.eval.experiments import ablation
from diffcodec.eval.likelihood.plan import Settings
from diffcodec.image import save
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.training import train as training
from tests.measured import measured
from tests.mini_recipe import RECIPE, to_toml
from tests.synthetic import synthetic_image

SMALL = {"norm": "none", "attention": [], "window": 8, "blocks": 1}


def write_recipe(path: Path) -> None:
    fields = RECIPE.to_dict()
    fields["network"] |= SMALL
    fields["train"] |= {"crop": 8, "batch": 2, "grey": 0.0}
    path.write_text(to_toml(fields))


def test_the_table_has_every_combination_that_makes_sense() -> None:
    recipes = list(ablation.settings(RECIPE, 7, ablation.PREDICTS))
    assert len(recipes) == 1 + 2 * 3 * 4 == len({r.name for r in recipes})
    assert {r.train.steps for r in recipes} == {7}
    assert {(r.network.sigma2, r.train.objective) for r in recipes[1:]} == {
        (sigma2, objective) for objective, sigma2 in ablation.KINDS
    }
    assert len({ablation.folder_of(r) for r in recipes}) == len(recipes)


def test_it_resumes_and_records_what_is_unstable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablation, "KINDS", (("hybrid", "learned"), ("simple", "beta")))
    monkeypatch.setattr(ablation, "BETAS", ("linear",))
    for i in range(2):
        save(synthetic_image(8, 8, 3, seed=i), Path(f"{i}.png"))
    write_recipe(Path("recipe.toml"))
    trained: list[str] = []
    train = training.train

    def counted(recipe: Recipe, *args: Any, **options: Any) -> Any:
        trained.append(recipe.name)
        if recipe.train.objective == "simple":
            raise FloatingPointError("the loss is nan at step 1; lower train.lr")
        return train(recipe, *args, **options)

    monkeypatch.setattr(training, "train", counted)
    monkeypatch.setattr(ablation, "Settings", partial(Settings, steps=10))
    ask = ["recipe.toml", "--data", ".", "--test", ".", "--steps", "1", "--predicts", "eps"]
    ask += ["--out", "runs"]
    result, text = measured(ablation.main, *ask, out=Path("table.json"))
    names = ["as it is", "eps, hybrid, learned, linear", "eps, simple, beta, linear"]
    assert trained == names
    reference, hybrid, simple = result["settings"]
    assert [row["name"] for row in result["settings"]] == names
    assert set(reference["nelbo"]) == {"beta", "beta_tilde"} and set(hybrid["nelbo"]) == {"learned"}
    assert hybrid["nelbo"]["learned"]["bpd"] > 0 and hybrid["outcome"] == "trained"
    assert list(hybrid["psnr_db"]) == ["0.5", "1.5", "3"]
    assert simple["outcome"] == "the loss is nan at step 1" and simple["nelbo"] == {}
    assert text.count("\n") == 4 and "the loss is nan at step 1" in text
    # The same again does nothing.
    again, same = measured(ablation.main, *ask, out=Path("table.json"))
    assert trained == names and same == text
    assert again["settings"] == result["settings"]
    assert ablation._known(Path("table.json"), {**result["dataset"], "images": 9}) == {}


def test_weights_that_are_not_numbers_are_an_outcome(tmp_path: Path) -> None:
    weights = {"a": np.array([np.inf], np.float16)}
    row = ablation.measure(Checkpoint(RECIPE, weights), np.zeros((1, 8, 8, 3), np.uint8))
    assert row["outcome"] == "weights beyond float16" and row["nelbo"] == {}
