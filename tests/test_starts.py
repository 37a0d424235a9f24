"""What the adaptive coder starts from, and the grid of colours that it looks for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from diffcodec.bitstream.adaptive import KERNEL, encode_strip
from diffcodec.bitstream.adaptive.grid import ColourGrid, find_grid
from diffcodec.bitstream.adaptive.level import GRIDS, LEVELS, learnt_size
from diffcodec.bitstream.adaptive.starts import (
    FILE,
    NOISES,
    SMALL_LEVEL,
    STEPS,
    pack,
    start_name,
    start_of,
    unpack,
    untrained,
    views,
)
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.image import load, save
from diffcodec.training import starts
from tests.synthetic import synthetic_image

FORMAT = Path(__file__).parents[1] / "bitstream" / "FORMAT-residual.md"
DOG = Path(__file__).parent / "images" / "dog.png"


def test_the_file_is_the_one_that_the_format_names() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() in FORMAT.read_text(encoding="utf-8")


def test_every_start_is_there_and_is_finite() -> None:
    for level in range(len(LEVELS)):
        for sigma in (None, *NOISES):
            start = start_of(level, 3, 1 << 16, sigma)
            assert start.shape == (3, learnt_size(LEVELS[level])) and np.isfinite(start).all()
            assert not np.array_equal(start, untrained(level, 3))
    small, large = (start_of(SMALL_LEVEL, 3, n, 0.8) for n in (1024, 1 << 16))
    assert not np.array_equal(small, large)


def test_which_start() -> None:
    assert start_name(1, False, None) == "1-large-none"
    names = [start_name(2, True, sigma) for sigma in (0.1, 1.12, 1.13, 3.0, 4.53, 100.0)]
    assert [name[-1] for name in names] == ["0", "0", "1", "2", "3", "3"]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_know_no_sums(channels: int) -> None:
    start = start_of(1, channels, 1 << 16, None)
    assert len(start) == channels and not views(start, 1)["gram"].any()
    first = start_of(1, 3, 1 << 16, None)[:1]
    assert np.array_equal(views(start, 1)["mixer"][:1], views(first, 1)["mixer"])


def test_packing_keeps_what_it_promises() -> None:
    rng = np.random.default_rng(1)
    run = untrained(0, 3)
    run += rng.normal(0, 0.05, run.shape).astype(np.float32)
    before, after = views(run, 0), views(unpack(pack(run, 0), 0), 0)
    for name, step in STEPS.items():
        at = (..., 0) if name == "plain" else ...
        assert np.abs(before[name][at] - after[name][at]).max() <= step / 2 + 1e-6
    assert np.array_equal(before["gram"], after["gram"])


@pytest.mark.skipif(KERNEL is None, reason="needs the compiled kernel")
def test_a_start_saves_bits() -> None:
    planes = np.ascontiguousarray(load(DOG)[:64, :64].transpose(2, 0, 1))
    cold = encode_strip(planes, None, 2, RGB8, learnt=untrained(2, 3))
    assert encode_strip(planes, None, 2, RGB8).bits < 0.98 * cold.bits


@pytest.mark.skipif(KERNEL is None, reason="needs the compiled kernel")
def test_training_of_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "LARGE_IMAGES", 2)
    monkeypatch.setattr(starts, "SMALL_IMAGES", 2)
    monkeypatch.setattr(starts, "NOISES", (3.2,))
    folder = tmp_path / "train-00"
    folder.mkdir()
    for seed in range(2):
        save(synthetic_image(32, 32, 3, seed), folder / f"{seed}.png")
    out = tmp_path / "made.npz"
    ask = ["--photos", str(folder), "--cifar10", str(tmp_path), "--out", str(out)]
    done = CliRunner().invoke(starts.main, ask)
    assert done.exit_code == 0, done.output
    assert done.output.split()[0] == "1-large-none" and len(done.output.split()) == 8
    with np.load(out) as file:
        assert file["1-large-2/mixer"].shape == (3, LEVELS[1].contexts, LEVELS[1].inputs)


def coded(image: np.ndarray) -> ColourGrid:
    """The grid of an image (H, W, 3), which is coded green first."""
    return find_grid(np.ascontiguousarray(image[..., [1, 0, 2]]).astype(np.uint16), 8)


@pytest.mark.parametrize("known", range(1, len(GRIDS) + 1))
def test_grids_are_found(known: int) -> None:
    assert coded(starts.gridded(load(DOG), known - 1)).known == known


def test_the_colours_of_a_jpeg_lie_on_its_grid(tmp_path: Path) -> None:
    Image.fromarray(load(DOG)).save(tmp_path / "a.jpg", quality=90)
    assert coded(np.asarray(Image.open(tmp_path / "a.jpg"))).known == 1


def test_photo_cd_repeats_after_19_steps() -> None:
    assert coded(starts.gridded(load(DOG), 3)).period == 19


def test_without_a_grid() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (200, 200, 3), np.uint8)
    assert coded(noise).known == 0
    assert find_grid(noise[..., :1].astype(np.uint16), 8) == ColourGrid(1, 0)


def test_bytes_of_grids() -> None:
    for byte in range(256):
        grid = ColourGrid.of(byte)
        assert 1 <= grid.period <= 32 and 0 <= grid.known <= len(GRIDS)
        assert grid.byte == byte or byte >= 32 * (len(GRIDS) + 1)


@pytest.mark.skipif(KERNEL is None, reason="needs the compiled kernel")
@pytest.mark.parametrize("known", range(1, len(GRIDS) + 1))
def test_a_known_grid_saves_bits(known: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = starts.gridded(load(DOG)[:128, :128], known - 1)
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    found = encode_strip(planes, None, 1, RGB8)
    monkeypatch.setattr(
        "diffcodec.bitstream.adaptive.find_grid", lambda samples, depth: ColourGrid(1, 0)
    )
    assert found.bits < 0.995 * encode_strip(planes, None, 1, RGB8).bits
