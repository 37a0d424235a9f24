"""sample, interpolate, invert: what they draw, whatever the batches are, and what they refuse."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffcodec import load, save
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.sampler_options import SPACINGS
from diffcodec.sampling import taus
from diffcodec.sampling.grid import GAP
from diffcodec.sampling.latents import Latents
from diffcodec.zoo import load_network
from tests.command import invoke
from tests.synthetic import synthetic_image

SIDE = 16
FEW = ("--steps", "4", "--threads", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.png and b.png of 16x16, wide.png of 24x16, grey.png."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a", "b")):
        save(synthetic_image(SIDE, SIDE, 3, seed), f"{name}.png")
    save(synthetic_image(SIDE, 24, 3, 5), "wide.png")
    save(synthetic_image(SIDE, SIDE, 1, 6), "grey.png")
    return tmp_path


def parts(path: str, side: int = SIDE) -> list[list[Pixels]]:
    """The images of a grid, row by row."""
    sheet, step = load(path), side + GAP
    rows, columns = (-(-length // step) for length in sheet.shape[:2])
    cut = [[sheet[i * step :, j * step :] for j in range(columns)] for i in range(rows)]
    return [[image[:side, :side] for image in row] for row in cut]


def drawn(network: Path, *words: object) -> Pixels:
    """(N, H, W, C): what `sample` draws with these words."""
    invoke("sample", "-m", network, *FEW, "--size", SIDE, "-q", "-f", "--npz", "x.npz", *words)
    with np.load("x.npz") as found:
        return np.asarray(found["arr_0"], np.uint8)


# --- sample -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_samples_go_to_a_grid_a_folder_and_an_array(tiny_network: Path) -> None:
    words = ("-m", tiny_network, "-n", 5, "--size", SIDE, *FEW, "--seed", 3)
    files = ("-o", "grid.png", "--folder", "out/deep", "--npz", "all.npz", "--json")
    result = json.loads(invoke("sample", *words, *files).stdout)
    assert result["images"] == {"count": 5, "shape": [SIDE, SIDE, 3]}
    assert result["sampler"] == {"name": "ddim", "levels": 4, "eta": 0.0}
    assert result["model"]["name"] == "tiny" and result["seed"] == 3
    with np.load("all.npz") as found:
        array = found["arr_0"]
    assert array.shape == (5, SIDE, SIDE, 3) and array.dtype == np.uint8
    assert sorted(os.listdir("out/deep")) == [f"{i:05}.png" for i in range(5)]
    shown = [image for row in parts("grid.png") for image in row]
    for i in range(5):
        np.testing.assert_array_equal(load(f"out/deep/{i:05}.png"), array[i])
        np.testing.assert_array_equal(shown[i], array[i])
    assert (shown[5] == 255).all()
    assert len({image.tobytes() for image in array}) == 5


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        ("--sampler", "ddim", "--eta", "0.7"),
        ("--sampler", "ddpm"),
        ("--sampler", "langevin", "--each", "2"),
    ],
)
def test_a_seed_gives_the_same_images_in_any_batches(
    tiny_network: Path, words: tuple[str, ...]
) -> None:
    whole = drawn(tiny_network, *words, "-n", 5)
    for size in (1, 3):
        np.testing.assert_array_equal(
            drawn(tiny_network, *words, "-n", 5, "--batch-size", size), whole
        )
    np.testing.assert_array_equal(drawn(tiny_network, *words, "-n", 2), whole[:2])
    assert (drawn(tiny_network, *words, "-n", 5, "--seed", 1) != whole).any()


def test_processes_of_torchrun_draw_what_one_draws(folder: Path, tiny_network: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ["-m", str(tiny_network), "-n", "5", "--size", str(SIDE), *FEW, "--npz", "many.npz"]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "diffcodec", "sample", *words],
            env={
                **os.environ,
                **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
                **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"},
                "PYTHONPATH": str(Path(__file__).parent.parent),
            },
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    alone = drawn(tiny_network, "-n", 5)
    said = [process.communicate(timeout=100)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], said
    with np.load("many.npz") as found:
        np.testing.assert_array_equal(found["arr_0"], alone)


@pytest.mark.usefixtures("folder")
def test_float_networks_are_drawn_from_too(tiny_float: Path) -> None:
    samples = drawn(tiny_float, "-n", 2, "--spacing", "optimised", "--steps", "6")
    assert samples.shape == (2, SIDE, SIDE, 3)
    assert (drawn(tiny_float, "-n", 2, "--sampler", "ddpm", "--sigma2", "widened") != samples).any()


@pytest.mark.usefixtures("folder")
def test_a_conditional_network_draws_a_class(tmp_path: Path) -> None:
    from tests.float_networks import float_network

    float_network(classes=3).save(tmp_path / "three.safetensors")
    network = tmp_path / "three.safetensors"
    first, second = (drawn(network, "-n", 2, "--class", label) for label in (0, 1))
    assert (first != second).any()
    words = ("-m", network, "-n", 1, "-o", "x.png", *FEW)
    assert "0 to 2" in invoke("sample", *words, code=1).stderr
    assert invoke("sample", *words, "--class", 3, code=1).stderr.count("\n") == 1


@pytest.mark.usefixtures("folder")
def test_a_folder_of_diffusers_draws_images_of_its_size(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from tests.diffusers_folders import model, pipeline

    network = pipeline(tmp_path / "ddpm", model(num_class_embeds=3), beta_schedule="linear")
    words = ("-m", network, "--class", 2, "-n", 1, "-o", "x.png", *FEW)
    invoke("sample", *words)
    assert load("x.png").shape == (SIDE, SIDE, 3)
    invoke("invert", "a.png", "-m", network, "--class", 2, *FEW, "-o", "x.npz")
    assert "has to know the class" in invoke("invert", "a.png", "-m", network, code=1).stderr


@pytest.mark.usefixtures("folder")
def test_a_learned_variance_is_the_usual_one_of_its_network(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from tests.diffusers_folders import model, pipeline

    network = pipeline(tmp_path / "f", model(out_channels=6), variance_type="learned_range")
    ask = ("--sampler", "ddpm", "-n", 2)
    learned = drawn(network, *ask)
    np.testing.assert_array_equal(drawn(network, *ask, "--sigma2", "learned"), learned)
    assert (drawn(network, *ask, "--sigma2", "beta_tilde") != learned).any()


@pytest.mark.usefixtures("folder")
def test_batches_of_a_float_network_differ_by_rounding_alone(tiny_float: Path) -> None:
    whole = drawn(tiny_float, "-n", 5).astype(int)
    alone = drawn(tiny_float, "-n", 5, "--batch-size", 1).astype(int)
    assert np.abs(alone - whole).max() <= 1 and (alone == whole).mean() > 0.99


@pytest.mark.gpu
@pytest.mark.usefixtures("folder")
def test_a_gpu_draws_what_the_cpu_draws(tiny_network: Path, tiny_float: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    whole = drawn(tiny_network, "-n", 5)
    np.testing.assert_array_equal(drawn(tiny_network, "-n", 5, "--device", "cuda"), whole)
    apart = drawn(tiny_float, "-n", 5, "--device", "cuda").astype(int) - drawn(tiny_float, "-n", 5)
    assert np.abs(apart).max() <= 2


@pytest.mark.usefixtures("folder")
def test_progressive_rows_end_with_the_samples(tiny_network: Path) -> None:
    samples = drawn(tiny_network, "-n", 3, "--steps", 30)
    words = ("--steps", 30, "--progressive", "-n", 3, "-o", "grid.png")
    invoke("sample", "-m", tiny_network, "--size", SIDE, *words)
    rows = parts("grid.png")
    assert [len(row) for row in rows] == [11] * 3
    np.testing.assert_array_equal([row[-1] for row in rows], samples)
    assert (rows[0][0] != rows[0][-1]).any()


@pytest.mark.usefixtures("folder")
def test_samples_of_one_x_t_share_it(tiny_network: Path) -> None:
    words = ("--from-image", "a.png", "--t", "900,1", "--repeat", 3, "-o", "grid.png")
    invoke("sample", "-m", tiny_network, *words, *FEW)
    late, early = parts("grid.png")
    assert len(late) == len(early) == 4
    assert len({image.tobytes() for image in late}) == 4
    original = load("a.png").astype(int)
    np.testing.assert_allclose(early[0], original, atol=8)  # x_1 has noise of 1.3 grey levels
    for image in early[2:]:
        np.testing.assert_array_equal(
            image, early[1]
        )  # from t = 1 there is one step, without noise


# --- interpolate --------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_rows_of_interpolate_begin_and_end_with_reconstructions(tiny_network: Path) -> None:
    words = ("-m", tiny_network, "--t", "300,700", "-o", "grid.png", *FEW)
    invoke("interpolate", "a.png", "b.png", *words, "--points", 3)
    rows = parts("grid.png")
    assert [len(row) for row in rows] == [7, 7]
    for row in rows:
        np.testing.assert_array_equal(row[0], load("a.png"))
        np.testing.assert_array_equal(row[-1], load("b.png"))
    invoke("interpolate", "b.png", "b.png", *words, "--points", 1, "-f")
    for alone, row in zip(parts("grid.png"), rows, strict=True):
        for image in alone[1:4]:
            np.testing.assert_array_equal(image, row[5])  # lambda = 1: b is all that is known
    assert len({image.tobytes() for image in rows[0][1:6]}) == 5


@pytest.mark.usefixtures("folder")
def test_latents_are_mixed_on_a_sphere(tiny_network: Path) -> None:
    words = ("-m", tiny_network, "--space", "ddim", "--steps", 30, "-o", "grid.png")
    invoke("interpolate", "a.png", "b.png", *words, "--points", 2)
    (row,) = parts("grid.png")
    assert len(row) == 6
    for name, image in (("a", row[1]), ("b", row[4])):
        invoke("invert", f"{name}.png", "-m", tiny_network, "--steps", 30, "-o", "x.npz", "-f")
        invoke(
            "sample", "--latent", "x.npz", "-m", tiny_network, "--steps", 30, "-o", "y.png", "-f"
        )
        assert np.abs(load("y.png").astype(int) - image).max() <= 1  # latents of a file are float32


# --- invert -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_what_comes_back_has_the_error_that_invert_reports(tiny_network: Path) -> None:
    words = ("-m", tiny_network, "--steps", 30)
    result = json.loads(invoke("invert", "a.png", "b.png", *words, "-o", "x.npz", "--json").stdout)
    assert len(result["mse_of_images"]) == 2 and result["steps"] == 30
    said = invoke("invert", "a.png", "b.png", *words, "--batch-size", 1).stdout
    assert f"{result['mse']:.2e}" in said and "30 steps" in said
    invoke("sample", "--latent", "x.npz", *words, "--folder", "back", "-q")
    for i, name in enumerate(("a.png", "b.png")):
        back, original = (load(path) / 255 for path in (f"back/{i:05}.png", name))
        mse = np.mean((back - original) ** 2)
        assert mse == pytest.approx(result["mse_of_images"][i], rel=0.02, abs=2e-6)
    latents = Latents.read(Path("x.npz").read_bytes())
    assert latents.x_T.shape == (2, 3, SIDE, SIDE) and latents.x_T.dtype == np.float32
    assert latents.network == load_network(tiny_network).fingerprint


@pytest.mark.usefixtures("folder")
def test_latents_of_another_network_are_said(tiny_network: Path, tiny_float: Path) -> None:
    invoke("invert", "grey.png", "-m", tiny_network, *FEW, "-o", "x.npz")
    said = invoke("sample", "--latent", "x.npz", "-m", tiny_float, *FEW, "-o", "y.png").stderr
    assert "another network" in said and load("y.png").shape == (SIDE, SIDE, 1)


# --- bad input ----------------------------------------------------------------------------------

SAMPLE = ("sample", "-m", "NETWORK", "-o", "out.png")
BETWEEN = ("interpolate", "-m", "NETWORK", "-o", "out.png")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ((*SAMPLE, "--eta", "-1"), 1, "from 0 on"),
        ((*SAMPLE, "--eta", "nan"), 1, "from 0 on"),
        ((*SAMPLE, "--eta", "9", "--steps", "5"), 1, "take at most 1"),
        ((*SAMPLE, "--taus", "1,5,5"), 1, "increasing"),
        ((*SAMPLE, "--taus", "1,2000"), 1, "1..1000"),
        ((*SAMPLE, "--taus", "1,x"), 2, "list of whole numbers"),
        ((*SAMPLE, "--taus", "1,5", "--steps", "2"), 2, "leave them out"),
        ((*SAMPLE, "--steps", "1001"), 1, "2 to 1000 steps"),
        ((*SAMPLE, "--steps", "7", "--spacing", "optimised"), 1, "6"),
        ((*SAMPLE, "--sampler", "ddpm", "--sigma2", "learned"), 1, "no learned variance"),
        ((*SAMPLE, "--sampler", "ddpm", "--eta", "1"), 2, "--eta is about ddim"),
        ((*SAMPLE, "--sigma2", "beta"), 2, "--sigma2 is about ddpm"),
        ((*SAMPLE, "--snr", "0.1"), 2, "--snr is about langevin"),
        ((*SAMPLE, "--sampler", "langevin", "--snr", "2"), 1, "between 0 and 1"),
        ((*SAMPLE, "--class", "1"), 1, "no classes"),
        ((*SAMPLE, "--guide", "cifar10"), 2, "--class"),
        ((*SAMPLE, "--scale", "2"), 2, "--guide"),
        ((*SAMPLE, "--size", "0"), 2, "no size"),
        ((*SAMPLE, "--from-image", "a.png"), 2, "go together"),
        ((*SAMPLE, "--from-image", "a.png", "--t", "0"), 1, "1..1000"),
        ((*SAMPLE, "--from-image", "a.png", "--t", "9", "--sampler", "ddim"), 1, "--eta 1"),
        ((*SAMPLE, "--from-image", "missing.png", "--t", "9"), 1, "No such file"),
        ((*SAMPLE, "--progressive", "--npz", "x.npz"), 2, "-o alone"),
        ((*SAMPLE, "--repeat", "2"), 2, "--from-image"),
        ((*SAMPLE, "--latent", "a.png"), 1, "a.png: this is no file of latents"),
        ((*SAMPLE, "--latent", "odd.npz"), 1, "float64"),
        ((*SAMPLE, "--latent", "none.npz"), 1, "no file of latents"),
        ((*SAMPLE, "--latent", "a.png", "-n", "3"), 2, "leave them out"),
        (("sample", "-m", "NETWORK"), 2, "name what to write"),
        (("sample", "-m", "NETWORK", "-o", "out.doc"), 1, "suffix"),
        (("sample", "-m", "NETWORK", "-o", "a.png"), 1, "exists"),
        (("sample", "-m", "NETWORK", "--folder", "a.png"), 1, "not a folder"),
        (("sample", "-m", "absent", "-o", "out.png"), 1, "no network"),
        ((*BETWEEN, "a.png", "wide.png"), 1, "wide.png is 24 x 16 RGB, and a.png is 16 x 16 RGB"),
        ((*BETWEEN, "a.png", "grey.png"), 1, "one size"),
        ((*BETWEEN, "a.png", "b.png", "--space", "ddim", "--t", "5"), 2, "leave out --t"),
        ((*BETWEEN, "a.png", "b.png", "--t", "1001"), 1, "1..1000"),
        (("interpolate", "-m", "NETWORK", "-o", "a.png", "a.png", "b.png"), 1, "over itself"),
        (("invert", "-m", "NETWORK", "a.png", "wide.png"), 1, "one size"),
        (("invert", "-m", "NETWORK", "a.png", "-o", "a.png"), 1, "over itself"),
    ],
)
def test_bad_input_is_one_sentence(
    words: tuple[str, ...], code: int, reason: str, folder: Path, tiny_network: Path
) -> None:
    np.savez("odd.npz", x_T=np.zeros((1, 3, 8, 8)), v=1.0, network="")
    np.savez("none.npz", y=np.zeros(3))
    before = set(os.listdir(folder))
    result = invoke(*[tiny_network if word == "NETWORK" else word for word in words], code=code)
    assert reason in result.stderr and result.stderr.count("\n") == 1 and result.stdout == ""
    assert set(os.listdir(folder)) == before


def test_options_name_every_spacing() -> None:
    assert SPACINGS == taus.SPACINGS
