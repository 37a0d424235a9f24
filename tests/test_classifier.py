"""Classifiers: they learn, resume exactly, are told the noise, and guide; what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcodec.classifier import accuracy
from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.classifier.file import ClassifierFile, load_classifier, shipped_classifiers
from diffcodec.classifier.guide import ClassifierGuide, load_guide
from diffcodec.classifier.judge import Judge
from diffcodec.classifier.labelled import LabelledBatches, read_labels
from diffcodec.classifier.network import build
from diffcodec.classifier.train import train
from diffcodec.errors import CheckpointError, DataError, OptionError, RecipeError
from diffcodec.theory.units import GREY, to_x0
from tests.command import invoke
from tests.tiny_classifiers import (
    CONVOLUTIONS,
    ENCODER,
    GUIDING,
    JUDGING,
    NOISE,
    TRAIN,
    dark_and_bright,
    saved,
    trained,
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def guiding(tmp_path_factory: pytest.TempPathFactory) -> ClassifierFile:
    torch.set_num_threads(1)
    return trained(GUIDING, tmp_path_factory.mktemp("guiding"))


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> ClassifierFile:
    torch.set_num_threads(1)
    return trained(JUDGING, tmp_path_factory.mktemp("judging"))


@pytest.mark.parametrize("kind", ["guiding", "judging"])
def test_it_learns_and_its_file_says_how_well(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    file: ClassifierFile = request.getfixturevalue(kind)
    found = accuracy.measure(Judge(file), dark_and_bright(100, seed=9))
    assert found["accuracy"] > 0.9 and found["images"] == 100
    levels = [row["sigma_grey"] for row in found["levels"]]
    assert levels == list(accuracy.SIGMAS if kind == "guiding" else accuracy.SIGMAS[:1])
    with_card = dataclasses.replace(file, card={**file.card, "accuracy": found})
    with_card.save(tmp_path / "c.safetensors")
    again = load_classifier(tmp_path / "c.safetensors")
    assert again.about == with_card.about and again.about["accuracy"] == found
    assert again.fingerprint == file.fingerprint and again.card["steps"] == 30
    x_0 = to_x0(dark_and_bright(4, seed=3).pixels)
    assert np.array_equal(Judge(again).log_probabilities(x_0), Judge(file).log_probabilities(x_0))


def test_probabilities_are_some(guiding: ClassifierFile) -> None:
    x_0 = to_x0(dark_and_bright(300, seed=4).pixels)  # more than one batch
    log_p = Judge(guiding).log_probabilities(x_0, 0.1)
    assert log_p.shape == (300, 2) and np.allclose(np.exp(log_p).sum(axis=1), 1, atol=1e-6)
    assert Judge(guiding).features(x_0[:3]).shape == (3, 16)


def test_a_guide_is_less_sure_of_noisier_images(guiding: ClassifierFile) -> None:
    levels = accuracy.measure(Judge(guiding), dark_and_bright(200, seed=5))["levels"]
    nats = [row["cross_entropy_nats"] for row in levels]
    assert nats[-1] > nats[0] + 0.05 and nats[-1] < 1.0


def test_the_gradient_is_that_of_the_log_probability(guiding: ClassifierFile) -> None:
    judge, rng = Judge(guiding), np.random.default_rng(0)
    judge.network.double()
    judge.tensor = lambda y: torch.from_numpy(y)  # type: ignore[method-assign]
    y, v = to_x0(dark_and_bright(2, seed=6).pixels) + 0.3 * rng.standard_normal((2, 3, 8, 8)), 0.09
    guide, direction = ClassifierGuide(judge, 1, 2.5), rng.standard_normal(y.shape)
    step = 1e-4 * direction

    def log_p(y: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        noise = torch.full((2,), v, dtype=torch.float64)
        with torch.no_grad():
            logits = judge.network.head(judge.network.features(torch.from_numpy(y), noise))
        return logits.log_softmax(dim=1)[:, 1].numpy()

    slope = 2.5 * (log_p(y + step) - log_p(y - step)) / 2e-4
    # The network answers in float32 at the end of forward, which the differences do not go through.
    assert np.allclose((guide(y, v) * direction).sum(axis=(1, 2, 3)), slope, rtol=1e-3, atol=1e-6)


def test_it_points_to_its_class_and_images_do_not_disturb_each_other(
    guiding: ClassifierFile,
) -> None:
    judge, v = Judge(guiding), 0.25
    rng = np.random.default_rng(1)
    y = to_x0(dark_and_bright(4, seed=7).pixels) + 0.5 * rng.standard_normal((4, 3, 8, 8))
    bright = ClassifierGuide(judge, 1)
    for label in (0, 1):
        moved = y + ClassifierGuide(judge, label)(y, v)
        gain = judge.log_probabilities(moved, v) - judge.log_probabilities(y, v)
        assert (gain[:, label] >= 0).all() and gain[:, label].max() > 1e-3
    for i in range(4):
        assert np.allclose(bright(y[i : i + 1], v)[0], bright(y, v)[i], atol=1e-5)
    assert not ClassifierGuide(judge, 1, 0.0)(y, v).any()
    assert np.allclose(ClassifierGuide(judge, 1, 3.0)(y, v), 3 * bright(y, v))


def test_resuming_is_the_uninterrupted_run(tmp_path: Path) -> None:
    images = dark_and_bright(40, seed=0)
    fields = GUIDING.to_dict()
    recipe = ClassifierRecipe.from_dict({**fields, "train": {**fields["train"], "steps": 6}})
    whole = train(recipe, images, tmp_path / "a").file()
    for _ in range(6):
        train(recipe, images, tmp_path / "b", minutes=1e-9)
    parts = load_classifier(tmp_path / "b" / "classifier.safetensors")
    assert parts.card["steps"] == 6 and whole.fingerprint == parts.fingerprint
    (line,) = (tmp_path / "a" / "stats.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 6


def test_a_run_that_is_to_end_ends(tmp_path: Path) -> None:
    run = train(JUDGING, dark_and_bright(40, seed=0), tmp_path, finish_in=1e-9)
    assert run.step == 1


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    images = dark_and_bright(40, seed=0)
    train(JUDGING, images, tmp_path, minutes=1e-9)
    with pytest.raises(RecipeError, match="run with another recipe"):
        train(GUIDING, images, tmp_path)
    (tmp_path / "state.pt").write_bytes(b"half a file")
    with pytest.raises(RecipeError, match="is damaged"):
        train(JUDGING, images, tmp_path)


def test_batches_are_functions_of_their_step() -> None:
    images = dark_and_bright(40, seed=0)
    batches = LabelledBatches(images, GUIDING, torch.device("cpu"))
    y, v, labels = batches[3]
    again = batches[3]
    assert all(torch.equal(a, b) for a, b in zip((y, v, labels), again, strict=True))
    assert not torch.equal(y, batches[4][0])
    low, high = ((s / GREY) ** 2 for s in (1.0, 400.0))
    assert low <= float(v.min()) < float(v.max()) <= high
    clean, none, labels = LabelledBatches(images, JUDGING, torch.device("cpu"))[0]
    assert not none.any() and float(clean.abs().max()) <= 1
    bright = clean.mean(dim=(1, 2, 3)) > -0.1  # between 70 and 180 grey levels
    assert torch.equal(bright.long(), labels)


def test_shifts_move_what_is_there() -> None:
    fields = JUDGING.to_dict()
    still = {**fields, "train": {**fields["train"], "shift": 0, "flips": False}}
    images = dark_and_bright(16, seed=0)
    x, _, _ = LabelledBatches(images, ClassifierRecipe.from_dict(still), torch.device("cpu"))[0]
    known = {tuple(i.ravel()) for i in images.pixels.transpose(0, 3, 1, 2)}
    assert {tuple(i.ravel()) for i in ((x + 1) * GREY).round().byte().numpy()} == known
    moved = {**fields, "train": {**fields["train"], "flips": False}}
    y, _, _ = LabelledBatches(images, ClassifierRecipe.from_dict(moved), torch.device("cpu"))[0]
    for one, other in zip(x, y, strict=True):
        places = [(r, c) for r in range(3) for c in range(3)]
        padded = torch.nn.functional.pad(one[None], (1, 1, 1, 1), mode="reflect")[0]
        assert any(torch.equal(padded[:, r : r + 8, c : c + 8], other) for r, c in places)


REFUSED = {
    "classifier.kind": ({"kind": "forest"}, {}),
    "classifier.classes": ({"classes": 1}, {}),
    "classifier.head_width": ({"head_width": 5}, {}),
    "classifier.attention": ({"attention": [3]}, {}),
    "classifier.multipliers": ({"multipliers": []}, {}),
    "train.sigma_max is 0": (CONVOLUTIONS, {}),
    "train.sigma_max above 0": ({}, {"sigma_min": 0.0, "sigma_max": 0.0}),
    "train.sigma_min": ({}, {"sigma_min": 500.0}),
    "train.batch": ({}, {"batch": 0}),
    "train.ema": ({}, {"ema": 1.0}),
    "train.shift must": ({}, {"shift": 8}),
    "unknown fields": ({"depth": 3}, {}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_recipes_that_do_not_fit_are_refused_by_name(words: str) -> None:
    network, training = REFUSED[words]
    network = network if network is CONVOLUTIONS else {**ENCODER, **network}
    fields = {"name": "x", "classifier": network, "train": {**TRAIN, **NOISE, **training}}
    with pytest.raises(RecipeError) as refusal:
        ClassifierRecipe.from_dict(fields)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_convolutions_take_channels_and_multipliers_alone() -> None:
    with pytest.raises(RecipeError, match="multipliers alone"):
        ClassifierRecipe.from_dict(
            {"name": "x", "classifier": {**CONVOLUTIONS, "patch": 2}, "train": TRAIN}
        )
    with pytest.raises(RecipeError, match=r"\[classifier\] and \[train\]"):
        ClassifierRecipe.load(ROOT / "recipes" / "cifar10.toml")


@pytest.mark.parametrize("name", ["cifar10-classifier", "cifar10-judge"])
def test_recipes_load_and_build_what_is_small(name: str) -> None:
    recipe = ClassifierRecipe.load(ROOT / "recipes" / f"{name}.toml")
    weights = build(recipe.classifier).state_dict()
    assert sum(weight.numel() for weight in weights.values()) < 1e6  # 2 MB in float16
    assert recipe.noisy == (name == "cifar10-classifier")


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "labels.npy"
    for array, words in (
        (np.array([0, 1, 2]), "has classes 0 to 2; the classifier has 2"),
        (np.array([0.5]), "no row of whole numbers"),
        (np.array([[1]]), "no row of whole numbers"),
        (np.array([{}], dtype=object), "no .npy file of whole numbers"),
    ):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(DataError, match=words):
            read_labels(path, 2)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no \.npy"):
        read_labels(path, 2)
    with pytest.raises(DataError, match="No such file"):
        read_labels(tmp_path / "none.npy", 2)


def test_what_does_not_guide(
    guiding: ClassifierFile, judging: ClassifierFile, tiny_float: Path, tmp_path: Path
) -> None:
    guiding.save(tmp_path / "guiding.safetensors")
    judging.save(tmp_path / "judging.safetensors")
    with pytest.raises(OptionError, match="has no class 2: it has 0 to 1"):
        load_guide(tmp_path / "guiding.safetensors", 2)
    with pytest.raises(OptionError, match="no class -1"):
        load_guide(tmp_path / "guiding.safetensors", -1)
    with pytest.raises(OptionError, match="finite"):
        load_guide(tmp_path / "guiding.safetensors", 0, float("nan"))
    with pytest.raises(CheckpointError, match="without noise"):
        load_guide(tmp_path / "judging.safetensors", 0)
    with pytest.raises(CheckpointError, match="holds no classifier"):
        load_guide(tiny_float, 0)
    with pytest.raises(CheckpointError, match='no classifier "nonesuch"'):
        load_guide("nonesuch", 0)
    guide = load_guide(tmp_path / "guiding.safetensors", 0)
    with pytest.raises(OptionError, match="takes RGB images of 8 x 8, not of 16 x 8"):
        guide(np.zeros((1, 3, 8, 16)), 0.1)
    with pytest.raises(OptionError, match="1 channels"):
        guide.check((1, 8, 8))


def test_the_command_trains_resumes_and_measures(tmp_path: Path) -> None:
    from tests.mini_recipe import to_toml

    fields = GUIDING.to_dict()
    text = to_toml({"name": "x", "network": {}, "train": {**fields["train"], "steps": 20}})
    (tmp_path / "r.toml").write_text(
        text.replace("[network]", to_toml_section("classifier", fields["classifier"]))
    )
    for name, seed in (("train", 0), ("test", 1)):
        images = dark_and_bright(20, seed)
        saved(images.pixels, tmp_path / "set", f"{name}-")
        np.save(tmp_path / f"{name}.npy", images.labels)
    words = ["train-classifier", tmp_path / "r.toml", "--data", tmp_path / "set"]
    words += ["--labels", tmp_path / "train.npy", "--out", tmp_path / "run"]
    test = ["--test-split", "test", "--test-labels", tmp_path / "test.npy"]
    refused = invoke(*words, *test, code=2)
    assert "is not to be trained on" in refused.stderr
    refused = invoke(*words, "--split", "train", "--test-split", "test", code=2)
    assert "go together" in refused.stderr
    refused = invoke(*words, code=1)
    assert "has 20 labels, and there are 40 images" in refused.stderr
    first = invoke(*words, "--split", "train", "--minutes", 1e-9)
    assert "step 1 of 20" in first.stderr
    done = invoke(*words, "--split", "train", *test)
    assert "step 20 of 20" in done.stderr and "of 20 test images" in done.stderr
    made = load_classifier(tmp_path / "run" / "classifier.safetensors")
    assert made.card["accuracy"]["images"] == 20
    saved(dark_and_bright(20, 0, size=12).pixels, tmp_path / "large")
    words[3] = tmp_path / "large"
    assert "is for images of 8 x 8, and one has 12 x 12" in invoke(*words, code=1).stderr


def to_toml_section(name: str, fields: dict[str, Any]) -> str:
    """A section of a recipe."""
    rows = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join([f"[{name}]", *rows])


@pytest.mark.parametrize("name", sorted(shipped_classifiers()))
def test_shipped_classifiers_are_small_and_say_how_good_they_are(name: str) -> None:
    path = shipped_classifiers()[name]
    assert path.stat().st_size <= 2_000_000
    file = load_classifier(name)
    stem = "cifar10-classifier" if name == "cifar10" else name
    recipe = ClassifierRecipe.load(ROOT / "recipes" / f"{stem}.toml")
    assert file.recipe.classifier == recipe.classifier and file.recipe.noisy == recipe.noisy
    found = file.card["accuracy"]
    assert found["images"] == 10_000
    card = (path.parent / "README.md").read_text("utf-8")
    row = f"| {file.parameters:,} | {path.stat().st_size:,} | `{file.fingerprint.hex()}` |"
    assert f"{row} {found['accuracy']:.2%} |" in card
    for level in found["levels"][1:]:
        assert f"{level['accuracy']:.1%} at {level['sigma_grey']:g} grey levels" in card
