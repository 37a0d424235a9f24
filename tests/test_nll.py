"""The bound of a set: closed forms, and the same numbers whatever the batches, stops, processes."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from diffcodec import image
from diffcodec.bitstream.types import Float32, Float64, Pixels
from diffcodec.eval.common.records import RecordsError, rows
from diffcodec.eval.likelihood.elbo import COLUMNS, summarise, to_text
from diffcodec.eval.likelihood.nll import measure
from diffcodec.eval.likelihood.plan import PlannedImage, Settings, images_of, noise
from diffcodec.executors import executor
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig, Recipe, TrainConfig
from diffcodec.network.unet import UNet
from diffcodec.theory.elbo import GaussianDiffusion
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import to_x0
from tests.command import invoke
from tests.synthetic import synthetic_image
from tests.white_source import SETTINGS, SOURCE, named, source_images, terms_of


class Counting:
    """Counts what SOURCE is asked for."""

    def __init__(self) -> None:
        self.images, self.batches = 0, 0

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        self.images, self.batches = self.images + len(y), self.batches + 1
        return SOURCE.batch(y, v)


# --- the numbers --------------------------------------------------------------------------------


def test_every_term_of_a_gaussian_source_is_its_closed_form() -> None:
    pixels = source_images(150)
    terms, schedule = terms_of(pixels), SETTINGS.schedule
    x_0 = to_x0(np.stack(pixels))
    # L_T: KL(N(sqrt(abar) x_0, 1 - abar) || N(0, 1)), no draws in it.
    abar = schedule.alpha_bar[-1]
    nats = 0.5 * (abar * x_0**2 - abar - np.log1p(-abar))
    np.testing.assert_allclose(terms.prior, nats.mean(axis=(1, 2, 3)) / np.log(2), rtol=1e-6)
    # L_{t-1} with q's variance: D(v_t) (1/v_{t-1} - 1/v_t) / 2 nats; the error is D.
    D = np.array([SOURCE.mse(v) for v in schedule.v])
    spread = terms.vb.std(axis=0, ddof=1) / np.sqrt(len(pixels))
    steps = D[1:] * -np.diff(1 / schedule.v) / 2 / np.log(2)
    assert (np.abs(terms.vb.mean(axis=0)[1:] - steps) < 4.5 * spread[1:]).all()
    error = terms.mse.std(axis=0, ddof=1) / np.sqrt(len(pixels))
    assert (np.abs(terms.mse.mean(axis=0) - D) < 4.5 * error).all()
    # L_0: the mass of the pixel's bin under N(x0_hat, beta_tilde_2), x0_hat - x_0 ~ N(0, D_1).
    e = np.linspace(-6, 6, 2001)
    sigma = np.sqrt(schedule.beta_tilde[1])
    off = e * np.sqrt(D[0])
    mass = ndtr((off + 0.5 / 127.5) / sigma) - ndtr((off - 0.5 / 127.5) / sigma)
    weight = np.exp(-(e**2) / 2)
    L_0 = -(weight * np.log2(mass)).sum() / weight.sum()
    assert terms.vb[:, 0].mean() == pytest.approx(L_0, abs=4.5 * spread[0])


def test_one_image_is_calc_bpd_loop_with_its_noise() -> None:
    (pixels,) = source_images(1)
    schedule = SETTINGS.schedule
    terms = terms_of([pixels], size=7)

    class Given:
        """Instead of a generator: the noise of the image, from T down."""

        def __init__(self) -> None:
            self.left = iter(schedule.timesteps[::-1])

        def standard_normal(self, shape: tuple[int, ...]) -> Float64:
            return noise(pixels, int(next(self.left)), SETTINGS.seed).reshape(shape)

    diffusion = GaussianDiffusion(schedule, SETTINGS.sigma2)
    rng: Any = Given()
    loop = diffusion.calc_bpd_loop(SOURCE, to_x0(pixels[None]), rng)
    np.testing.assert_allclose(terms.vb, loop.vb, rtol=1e-8)
    np.testing.assert_allclose(terms.mse, loop.mse, rtol=1e-8)
    np.testing.assert_allclose(terms.prior, loop.prior, rtol=1e-8)


def test_summary_adds_up() -> None:
    pixels = source_images(5)
    images = images_of(named(pixels), SETTINGS, "00ff")
    terms = terms_of(pixels)
    result = summarise(terms, images, SETTINGS)
    n, steps = result["nelbo"], result["per_step"]
    total = terms.prior + terms.vb.sum(axis=1)
    assert n["bpd"] == pytest.approx(total.mean())
    assert n["bpd"] == pytest.approx(n["L_T_bpd"] + n["L_steps_bpd"] + n["L_0_bpd"])
    assert n["standard_error_bpd"] == pytest.approx(total.std(ddof=1) / np.sqrt(5))
    assert [row["bpd"] for row in result["per_image"]] == pytest.approx(total)
    assert [row["t"] for row in steps] == list(range(30, 0, -1))
    assert (steps[0]["timestep"], steps[-1]["timestep"]) == (1000, 1)
    assert steps[0]["rate_bpd"] == pytest.approx(n["L_T_bpd"])
    assert steps[-1]["rate_bpd"] == pytest.approx(n["L_T_bpd"] + n["L_steps_bpd"])
    assert steps[3]["rmse_grey"] == pytest.approx(127.5 * np.sqrt(terms.mse[:, 26].mean()))
    error = terms.vb[:, 26].std(ddof=1) / np.sqrt(5)
    assert steps[3]["L_standard_error_bpd"] == pytest.approx(error)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert f"{n['bpd']:.4f}" in to_text(result)
    alone = summarise(terms_of(pixels[:1]), images[:1], SETTINGS)
    assert alone["nelbo"]["standard_error_bpd"] is None
    assert alone["per_step"][0]["L_standard_error_bpd"] is None


# --- the same numbers in any company ------------------------------------------------------------


def test_batches_order_and_company_do_not_matter() -> None:
    pixels = source_images(6) + source_images(3, (5, 2, 1))
    terms, counting = terms_of(pixels), Counting()
    small = terms_of(pixels, size=7, denoiser=counting)
    assert counting.images == 9 * 30
    turned = terms_of(pixels[::-1], size=200)
    for other in (small.vb, turned.vb[::-1]):
        np.testing.assert_allclose(other, terms.vb, rtol=1e-6)
    np.testing.assert_allclose(terms_of(pixels[4:5]).mse, terms.mse[4:5], rtol=1e-6)
    assert not np.allclose(terms_of(pixels, Settings(steps=30, seed=1)).vb, terms.vb)


def test_a_subset_of_the_steps_sees_the_same_noise() -> None:
    pixels = source_images(2)
    full, few = Settings(steps=999), Settings(steps=4)
    shared = np.searchsorted(full.schedule.timesteps, few.schedule.timesteps)
    at = full.schedule.timesteps[shared] == few.schedule.timesteps
    assert at.sum() >= 3
    mse = terms_of(pixels, full).mse[:, shared[at]]
    np.testing.assert_allclose(terms_of(pixels, few).mse[:, at], mse, rtol=1e-6)


def test_copies_of_a_image_are_evaluated_once() -> None:
    one, two = source_images(2)
    counting = Counting()
    terms = terms_of([one, two, one], denoiser=counting)
    assert counting.images == 2 * 30
    np.testing.assert_array_equal(terms.vb[0], terms.vb[2])


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    pixels, path = source_images(7), tmp_path / "records.jsonl"
    whole = terms_of(pixels, path=path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7 and set(json.loads(lines[0])) == {
        *("key", "name", "shape", "L_T_bpd", "t", "L_bpd", "mse_grey")
    }
    path.write_bytes(b"".join(lines[:3]) + lines[3][:99])  # stopped while it wrote
    counting = Counting()
    shown: list[tuple[int, int]] = []
    resumed = terms_of(
        pixels,
        path=path,
        denoiser=counting,
        progress=lambda done, total: shown.append((done, total)),
    )
    assert counting.images == 4 * 30 and shown[-1] == (120, 120)
    for a, b in zip((whole.prior, whole.vb, whole.mse), vars(resumed).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)
    again = Counting()
    np.testing.assert_array_equal(terms_of(pixels, path=path, denoiser=again).vb, resumed.vb)
    assert again.images == 0
    # What the numbers depend on is part of a record's name.
    terms_of(pixels[:1], Settings(steps=30, sigma2="beta"), path=path, denoiser=again)
    assert again.images == 30


def test_other_files_are_not_taken_for_records(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(RecordsError, match="does not hold records"):
        terms_of(source_images(1), path=path)
    assert path.read_text() == "dear diary\n"


@pytest.mark.parametrize("length", [1, 5, 9, 40])
def test_a_first_record_that_was_cut_short_is_made_again(length: int, tmp_path: Path) -> None:
    """As a full disk leaves it; also by the call after the next one."""
    path = tmp_path / "records.jsonl"
    terms_of(source_images(1), path=path)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    terms_of(source_images(1), path=path)
    assert path.read_bytes() == whole[:length] + b"\n" + whole
    terms_of(source_images(1), path=path)
    assert len(list(rows(path))) == 1


def test_a_stride_evaluates_less_and_says_so() -> None:
    pixels, settings = source_images(8), Settings(steps=60, stride=4)
    counting = Counting()
    terms = terms_of(pixels, settings, denoiser=counting)
    assert counting.images == np.isfinite(terms.vb).sum() < 8 * 25
    assert np.isfinite(terms.vb[:, :10]).all() and np.isfinite(terms.vb).any(axis=0).all()
    full = terms_of(pixels, Settings(steps=60))
    met = np.isfinite(terms.vb)
    np.testing.assert_allclose(terms.vb[met], full.vb[met], rtol=1e-6)
    result = summarise(terms, images_of(named(pixels), settings, "00ff"), settings)
    assert result["per_image"] == [] and result["per_step"][0]["images"] == 2
    assert result["nelbo"]["standard_error_bpd"] > 0
    with pytest.raises(ValueError, match="stride"):
        images_of(named(pixels[:3]), settings, "00ff")


def _batch(pixels: Pixels) -> int:
    return 16


def _start() -> partial[list[dict[str, Any]]]:
    return partial(measure, SOURCE, SETTINGS, _batch)


def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    pixels = source_images(5)
    path = tmp_path / "records.jsonl"
    with executor(2) as pool:
        terms = terms_of(pixels, pool=pool, worker=_start, path=path)
    np.testing.assert_allclose(terms.vb, terms_of(pixels).vb, rtol=1e-6)
    assert len(path.read_bytes().splitlines()) == 5


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with two RGB images and a grey one of another size."""
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        image.save(synthetic_image(16, 16, 3, seed=i), Path(f"test-{i}.png"))
    image.save(synthetic_image(9, 12, 1, seed=2), Path("grey.png"))
    return tmp_path


run = partial(invoke, "nll")


def test_json_csv_plot_and_records(folder: Path, tiny_network: Path) -> None:
    outputs = ["--csv", "a.csv", "--plot", "a.svg", "--records", "a.jsonl", "--json"]
    ask = ["test-0.png", "test-1.png", "grey.png", "-m", tiny_network, "--chain", "ddpm:12"]
    told = run(*ask, *outputs)
    result = json.loads(told.stdout)
    assert told.stderr == ""
    assert set(result) == {
        *("dataset", "model", "nelbo", "per_step", "per_image"),
        *("seconds", "environment", "command"),
    }
    assert set(result["nelbo"]) == {
        *("bpd", "standard_error_bpd", "L_T_bpd", "L_steps_bpd", "L_0_bpd", "T", "schedule"),
        *("sigma2", "clip_denoised", "stride", "seed", "images"),
    }
    assert result["dataset"]["shape"] is None and result["dataset"]["images"] == 3
    assert [row["name"] for row in result["per_image"]] == ["test-0", "test-1", "grey"]
    assert all(set(row) == set(COLUMNS) for row in result["per_step"])
    with open("a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["t"]) for row in rows] == list(range(12, 0, -1))
    assert float(rows[4]["L_bpd"]) == result["per_step"][4]["L_bpd"]
    assert Path("a.svg").read_text().count("bits/dim") >= 2
    assert len(Path("a.jsonl").read_text().splitlines()) == 3
    # The same again takes what the records hold; nothing else is overwritten unasked.
    assert "a.csv exists" in run(*ask, *outputs, code=1).stderr
    before = Path("a.svg").read_bytes()
    again = json.loads(run(*ask, *outputs, "-f").stdout)
    assert again["nelbo"] == result["nelbo"] and Path("a.svg").read_bytes() == before
    assert len(Path("a.jsonl").read_text().splitlines()) == 3


def test_a_folder_and_its_tiles(folder: Path, tiny_network: Path) -> None:
    ask = ["--data", ".", "--split", "test", "-m", tiny_network, "--chain", "cosine:5"]
    text = run(*ask).stdout
    assert "(2 images, T = 5 cosine)" in text and "bits/dim = L_T" in text
    result = json.loads(run(*ask, "--tile", "8", "--count", "3", "--json").stdout)
    assert result["dataset"]["shape"] == [8, 8, 3] and result["dataset"]["tile"] == 8
    assert result["nelbo"]["images"] == 3 and result["nelbo"]["T"] == 5


@pytest.mark.parametrize("family", ["linear", "quadratic", "sigmoid", "cosine"])
def test_every_schedule_is_a_chain(folder: Path, tiny_network: Path, family: str) -> None:
    ask = ["test-0.png", "-m", tiny_network, "--chain", f"{family}:5", "--json"]
    result = json.loads(run(*ask).stdout)
    assert (result["nelbo"]["schedule"], result["nelbo"]["T"]) == (family, 5)
    levels = Schedule.named(family).respaced(5).sigma_grey[::-1]
    assert [row["sigma_grey"] for row in result["per_step"]] == pytest.approx(levels.tolist())


def test_betas_and_variance_are_those_of_the_networks_recipe(folder: Path) -> None:
    from diffcodec.network.denoiser import NetworkDenoiser

    fields = dict(channels=8, multipliers=(1, 2), blocks=1, attention=(), norm="none", window=8)
    config = NetworkConfig(**fields, sigma2="learned", betas="cosine")  # type: ignore[arg-type]
    train = TrainConfig("nelbo", 4, 10, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16)
    torch.manual_seed(0)
    unet = UNet(config)
    with torch.no_grad():
        unet.head.weight.normal_(0, 0.02)
        unet.head.bias.normal_(0, 0.5)
    weights = {name: tensor.numpy() for name, tensor in unet.state_dict().items()}
    network = Checkpoint(Recipe("learned", config, train), weights)
    network.save(Path("learned.safetensors"))
    ask = ("test-0.png", "-m", "learned.safetensors", "--chain", "recipe:9", "--json")
    bound, fixed = (json.loads(run(*ask, *o).stdout)["nelbo"] for o in ([], ["--sigma2", "beta"]))
    assert (bound["sigma2"], bound["schedule"], bound["T"]) == ("learned", "cosine", 9)
    assert (fixed["sigma2"], fixed["schedule"]) == ("beta", "cosine")
    terms = terms_of(
        [image.load(Path("test-0.png"))],
        Settings("cosine", 9, "learned"),
        denoiser=NetworkDenoiser(network),
    )
    assert bound["bpd"] == pytest.approx(terms.prior.sum() + terms.vb.sum())
    assert bound["bpd"] != fixed["bpd"]
    # L_{t-1} by hand, for a grey image too: the three shares of a pixel are averaged.
    for name in ("test-0.png", "grey.png"):
        pixels = image.load(Path(name))
        schedule, t = Schedule.named("cosine"), np.array([400])
        diffusion, x_0 = GaussianDiffusion(schedule, "learned"), to_x0(pixels[None])
        x_t = diffusion.q_sample(x_0, t, np.random.default_rng(0).standard_normal(x_0.shape))
        y = (x_t / np.sqrt(schedule.alpha_bar[399])).astype(np.float32)
        x0_hat, share = NetworkDenoiser(network).with_variance(y, schedule.v[399:400])
        assert share.shape == x0_hat.shape == x_0.shape
        low, high = np.log(schedule.beta_tilde[399]), np.log(schedule.betas[399])
        _, variance, _ = diffusion.p_mean_variance(NetworkDenoiser(network), x_t, t)
        np.testing.assert_allclose(np.log(variance), low + share * (high - low), rtol=1e-6)


def test_an_engine_measures_what_one_process_does(folder: Path, tiny_network: Path) -> None:
    distributed = pytest.importorskip("distributed")
    ask = ["test-0.png", "test-1.png", "-m", tiny_network, "--chain", "6", "--json"]
    alone = json.loads(run(*ask).stdout)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        engine = json.loads(run(*ask, "--dask", cluster.scheduler_address).stdout)
    assert engine["nelbo"]["bpd"] == pytest.approx(alone["nelbo"]["bpd"], rel=1e-6)
    assert engine["dataset"] == alone["dataset"]
    assert "give one of them" in run(*ask, "-j", "2", "--dask", "tcp://localhost:1", code=2).stderr


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        ([], 2, "name images, or a folder"),
        (["a.png", "--data", "."], 2, "name images, or a folder"),
        (["a.png", "--chain", "fast"], 2, "neither a number nor a chain"),
        (["test-0.png", "--chain", "ddpm:1"], 2, "can keep 2..1000 of 1000 steps, not 1"),
        (["test-0.png", "--chain", "spiral:9"], 2, "unknown schedule"),
        (["test-0.png", "--stride", "2"], 2, "the stride must lie between 1"),
        (["test-0.png", "--sigma2", "learned", "-m", "NETWORK"], 2, "has no learned variance"),
        (["a.png", "--plot", "a.gif"], 2, "--plot a.gif has no suffix of"),
        (["a.png", "--csv", "a.txt", "--plot", "a.svg", "--records", "a.txt"], 2, "of their own"),
        (["a.png", "--csv", "-"], 2, "of their own"),
        (["a.png"], 1, "a.png does not exist"),
        (["--data", "nowhere"], 1, "nowhere does not exist"),
        (["test-0.png", "notes.png"], 1, "notes.png is not an image"),
        (["test-0.png", "--csv", "test-0.png", "-f"], 1, "would be written over itself"),
        (["test-0.png", "--csv", "no/a.csv"], 1, "no is not a directory"),
        (["test-0.png", "--records", "notes.png", "-m", "NETWORK"], 1, "does not hold records"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, tiny_network: Path, args: list[str], code: int, reason: str
) -> None:
    Path("notes.png").write_text("not an image\n")
    told = run(*[str(tiny_network) if a == "NETWORK" else a for a in args], code=code)
    assert reason in told.stderr and told.stderr.count("\n") == 1 and told.stdout == ""
    assert Path("notes.png").read_text() == "not an image\n"


def test_what_torchrun_starts_agrees_with_one_process(folder: Path, tiny_float: Path) -> None:
    ask = [
        *("grey.png", "test-0.png", "test-1.png"),
        "-m",
        str(tiny_float),
        "--chain",
        "ddpm:10",
        "--json",
        "--threads",
        "1",
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "diffcodec", "nll", *ask, "--records", "r.jsonl"],
            env={
                **os.environ,
                **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
                **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"},
                "PYTHONPATH": str(Path(__file__).parent.parent),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    alone = json.loads(run(*ask).stdout)
    (first, first_errors), (second, second_errors) = (p.communicate(timeout=100) for p in ranks)
    assert [p.returncode for p in ranks] == [0, 0], (first_errors, second_errors)
    assert second == b""
    together = json.loads(first)
    for key, value in alone["nelbo"].items():
        same = value if isinstance(value, str) else pytest.approx(value, rel=1e-5)
        assert together["nelbo"][key] == same
    assert first_errors == second_errors == b""
    for a, b in zip(together["per_step"], alone["per_step"], strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    assert together["dataset"] == alone["dataset"]
    assert together["environment"]["processes"] == 2
    assert len(Path("r.jsonl").read_text().splitlines()) == 3


def test_images_keep_their_names() -> None:
    (found,) = images_of(named(source_images(1)), SETTINGS, "00ff")
    assert isinstance(found, PlannedImage) and found.name == "image 0"
