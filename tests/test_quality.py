"""Measures of samples: closed forms, what is known of equal and of noisy sets, names, refusals."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from diffcodec.classifier.judge import Judge
from diffcodec.eval.quality import inception
from diffcodec.eval.quality.bootstrap import bootstrap
from diffcodec.eval.quality.features import Seen, look
from diffcodec.eval.quality.frechet import Frechet, Moments
from diffcodec.eval.quality.measure import Reference, classifier_score
from diffcodec.eval.quality.neighbours import Covered, radii
from tests.command import invoke
from tests.tiny_classifiers import GUIDING, JUDGING, dark_and_bright, saved, trained

RNG = np.random.default_rng(0)


def covariance(width: int, seed: int) -> Any:
    root = np.random.default_rng(seed).standard_normal((width, width))
    return root @ root.T / width


def test_the_frechet_distance_of_gaussians() -> None:
    a, b = (Moments(RNG.standard_normal(5), covariance(5, seed)) for seed in (1, 2))
    shared = np.trace(sqrtm(a.covariance @ b.covariance).real)
    wanted = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance) - 2 * shared
    assert Frechet(a)(b) == pytest.approx(wanted, rel=1e-9)
    assert Frechet(b)(a) == pytest.approx(wanted, rel=1e-9)
    # Of variances s^2 and t^2 in each of D dimensions it is D (s - t)^2, and the means' distance.
    s, t = Moments(np.zeros(4), 9 * np.eye(4)), Moments(np.full(4, 0.5), 4 * np.eye(4))
    assert Frechet(s)(t) == pytest.approx(4 * (3 - 2) ** 2 + 4 * 0.25)
    assert Frechet(s)(s) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_samples_nears_that_of_their_sources() -> None:
    a, b = RNG.standard_normal((20_000, 3)), 2 * RNG.standard_normal((20_000, 3)) + 1
    assert Frechet(Moments.of(a))(Moments.of(b)) == pytest.approx(3 + 3, rel=0.05)


def test_few_samples_have_a_distance_all_the_same() -> None:
    few = Moments.of(RNG.standard_normal((4, 10)))  # a covariance of rank 3
    found = Frechet(Moments.of(RNG.standard_normal((100, 10))))(few)
    assert 0 < found < 20 and np.isfinite(found)


def test_the_score_is_one_to_the_number_of_classes() -> None:
    sure = np.log(np.eye(4) + 1e-300)
    assert classifier_score(sure) == pytest.approx(4)
    assert classifier_score(sure[[1, 1, 1]]) == pytest.approx(1)
    assert classifier_score(np.full((3, 4), -np.log(4))) == pytest.approx(1)
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    entropy = 0.5 * ((p * np.log(p / p.mean(axis=0))).sum())
    assert classifier_score(np.log(p)) == pytest.approx(np.exp(entropy))


def test_precision_and_recall_by_hand() -> None:
    line = np.arange(5.0)[:, None]  # neighbours of 0: 1, 2, 3
    assert np.allclose(radii(line), [3, 2, 2, 2, 3]) and np.allclose(radii(line, 1), 1)
    reach = radii(line, 1)
    points = np.array([[-1.0], [-1.1], [2.2], [5.5]])
    covered = Covered.by(line, reach, points)
    assert list(covered.each()) == [True, False, True, False] and covered.share() == 0.5
    assert covered.share(np.array([0, 0])) == 0.25 and covered.share(np.array([4])) == 0
    rng = np.random.default_rng(2)
    many, other = rng.standard_normal((2100, 4)), rng.standard_normal((1003, 4)) + 0.5
    apart = np.linalg.norm(many[:, None] - other, axis=2)
    wanted = (apart <= np.sort(np.linalg.norm(many[:, None] - many, axis=2))[:, 3, None]).any(0)
    assert np.array_equal(Covered.by(many, radii(many), other).each(), wanted)


def seen(features: Any) -> Seen:
    """Features whose first one decides between two classes."""
    logits = np.stack([features[:, 0], -features[:, 0]], axis=1)
    return Seen(features, logits - np.logaddexp(logits[:, :1], logits[:, 1:]))


def test_equal_sets_are_perfect_and_noise_makes_all_worse() -> None:
    rng = np.random.default_rng(3)
    real = rng.standard_normal((400, 6))
    reference = Reference(seen(real))
    same = reference.measure(seen(real), draws=0)
    assert same.frechet_distance.value == pytest.approx(0, abs=1e-9)
    assert same.precision.value == same.recall.value == 1
    assert same.frechet_distance.interval is None
    noise, found = rng.standard_normal(real.shape), []
    for sigma in (0.0, 0.5, 1.0, 2.0, 4.0):
        found.append(reference.measure(seen(real + sigma * noise), draws=0))
    distances = [one.frechet_distance.value for one in found]
    precisions = [one.precision.value for one in found]
    assert distances == sorted(distances) and len(set(distances)) == 5
    assert precisions == sorted(precisions, reverse=True) and precisions[-1] < 0.3


def test_samples_that_are_all_alike_are_precise_and_recall_little() -> None:
    rng = np.random.default_rng(4)
    reference = Reference(seen(rng.standard_normal((500, 2))))
    alike = reference.measure(seen(0.01 * rng.standard_normal((50, 2))), draws=20)
    assert alike.precision.value == 1 and alike.recall.value < 0.1
    assert alike.precision.interval == (1, 1)
    assert 0 < alike.shares[0] < 1 and sum(alike.shares) == pytest.approx(1)


def test_the_interval_is_the_means_spread_around_the_value() -> None:
    x = np.random.default_rng(5).standard_normal(400)
    found = bootstrap(7.0, lambda i: float(x[i].mean()) + 100, 400, draws=2000)
    assert found.interval is not None
    low, high = found.interval
    assert found.value == 7 and low + high == pytest.approx(14, abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert bootstrap(7.0, lambda i: 0.0, 400, draws=0).interval is None


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("judge")
    trained(JUDGING, folder)
    return folder / "classifier.safetensors"


def sets(folder: Path, count: int = 24) -> tuple[Path, Path]:
    """Samples, and a reference whose images are called train-... and test-..."""
    samples = saved(dark_and_bright(count, seed=20).pixels, folder / "samples")
    for name, seed in (("train", 21), ("test", 22)):
        saved(dark_and_bright(40, seed).pixels, folder / "real", f"{name}-")
    return samples, folder / "real"


def test_the_command_measures_and_says_what_it_is(judge: Path, tmp_path: Path) -> None:
    samples, real = sets(tmp_path)
    words = ["quality", samples, "--reference", real, "--split", "test", "--floor", "train"]
    words += ["--classifier", judge, "--bootstrap", 10]
    said = invoke(*words).stdout
    assert "Frechet distance" in said and "classifier score" in said and "real images" in said
    assert "these are not FID and IS" in said and "of unknown accuracy" in said
    assert "FID " not in said.replace("FID and IS", "")
    invoke(*words, "--json", tmp_path / "q.json")
    result = json.loads((tmp_path / "q.json").read_text())
    from diffcodec.classifier.file import load_classifier

    assert result["classifier"]["fingerprint"] == load_classifier(judge).fingerprint.hex()
    assert (result["samples"]["images"], result["floor"]["images"]) == (24, 24)
    assert (result["dataset"]["images"], result["reference"]["images"]) == (24, 40)
    assert result["reference"]["split"] == "test" and result["features"] == 16
    low, high = result["samples"]["frechet_distance"]["interval"]
    assert low < result["samples"]["frechet_distance"]["value"] < high
    assert result["samples"]["class_shares"] == [0.5, 0.5]
    assert "exists; overwrite" in invoke(*words, "--json", tmp_path / "q.json", code=1).stderr
    few = json.loads(invoke(*words, "--count", 8, "--json").stdout)
    assert few["samples"]["images"] == few["floor"]["images"] == 8
    assert "mostly bias" in invoke(*words, "--count", 8).stdout


def test_noise_shows_in_the_features_of_a_classifier(judge: Path) -> None:
    from diffcodec.classifier.file import load_classifier

    found = Judge(load_classifier(judge))
    reference = Reference(look(found, dark_and_bright(200, seed=30).pixels))
    rng, clean = np.random.default_rng(6), dark_and_bright(100, seed=31).pixels
    distances = []
    for sigma in (0, 20, 60):
        noisy = (clean + sigma * rng.standard_normal(clean.shape)).clip(0, 255).astype(np.uint8)
        distances.append(reference.measure(look(found, noisy), draws=0).frechet_distance.value)
    assert distances == sorted(distances) and distances[2] > 2 * distances[0]


def test_what_cannot_be_measured(judge: Path, tmp_path: Path) -> None:
    samples, real = sets(tmp_path)
    words = ["quality", samples, "--reference", real, "--bootstrap", 0]
    large = saved(dark_and_bright(6, 0, size=12).pixels, tmp_path / "large")
    ask = ["quality", large, "--reference", real, "--classifier", judge]
    assert "000 of the samples has 12 x 12 pixels" in invoke(*ask, code=1).stderr
    ask = ["quality", samples, "--reference", large, "--classifier", judge]
    assert "of the reference has 12 x 12 pixels" in invoke(*ask, code=1).stderr
    said = invoke(*words, "--classifier", judge, "--count", 3, code=1).stderr
    assert "more than 3 images" in said
    assert "no classifier" in invoke(*words, "--classifier", "nonesuch", code=1).stderr
    trained(GUIDING, tmp_path / "guide")
    guide = tmp_path / "guide" / "classifier.safetensors"
    assert "to guide samples" in invoke(*words, "--classifier", guide, code=1).stderr
    none = tmp_path / "none"
    said = invoke("quality", none, *words[2:], "--classifier", judge, code=1).stderr
    assert "does not exist" in said


def test_fid_is_of_one_network_only(judge: Path, tmp_path: Path) -> None:
    samples, real = sets(tmp_path)
    words = ["quality", samples, "--reference", real, "--classifier", judge, "--bootstrap", 0]
    (tmp_path / "other.pth").write_bytes(b"weights")
    said = invoke(*words, "--inception", tmp_path / "other.pth", code=1).stderr
    assert "is not weights-inception-2015-12-05-6726825d.pth" in said
    said = invoke(*words, "--inception", tmp_path / "none.pth", code=1).stderr
    assert "No such file" in said


def test_fid_and_is_come_from_the_library(
    judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def calculate_metrics(**options: Any) -> dict[str, float]:
        asked.append(options)
        image = options["input1"][0]
        assert image.shape == (3, 8, 8) and image.dtype == torch.uint8
        names = ("frechet_inception_distance", "inception_score_mean", "inception_score_std")
        return dict(zip(names, (12.5, 3.25, 0.5), strict=True))

    library = types.SimpleNamespace(calculate_metrics=calculate_metrics)
    file = tmp_path / "network.pth"
    file.write_bytes(pickle.dumps(print, protocol=2))
    samples, real = sets(tmp_path)
    words = ["quality", samples, "--reference", real, "--classifier", judge, "--bootstrap", 0]
    words += ["--inception", file]
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setattr(inception, "SHA256", "")
    assert "holds more than weights" in invoke(*words, code=1).stderr
    torch.save({"weight": torch.zeros(2)}, file)
    assert "pip install 'diffcodec[fid]'" in invoke(*words, code=1).stderr
    monkeypatch.setitem(sys.modules, "torch_fidelity", library)
    result = json.loads(invoke(*words, "--json").stdout)
    assert result["inception"]["samples"]["fid"] == 12.5
    assert result["inception"]["samples"]["inception_score"] == 3.25
    (options,) = asked
    assert options["fid"] and options["isc"] and len(options["input1"]) == 24
    assert options["feature_extractor_weights_path"] == str(file)
    said = invoke(*words).stdout
    assert "FID" in said and "12.500" in said and "not FID" not in said
