"""Crops made on the device: parts of the images, enlarged, flipped and grey as on the CPU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from diffcodec.data import Batches
from diffcodec.network.config import TrainConfig
from diffcodec.training.crops import DeviceBatches, enlarge
from tests.synthetic import synthetic_image

CPU = torch.device("cpu")
PLAIN = TrainConfig(
    "edm", batch=6, steps=9, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=8, flips=False
)
IMAGES = [synthetic_image(20, 9, 3, 1), synthetic_image(8, 30, 3, 2), synthetic_image(16, 16, 3, 3)]


def places(crop: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """Where a (3, S, S) crop lies in IMAGES: image, row, column."""
    side = crop.shape[1]
    return [
        (i, row, column)
        for i, image in enumerate(IMAGES)
        for row in range(image.shape[0] - side + 1)
        for column in range(image.shape[1] - side + 1)
        if np.array_equal(image[row : row + side, column : column + side], crop.transpose(1, 2, 0))
    ]


def test_crops_are_parts_of_the_images() -> None:
    batches = DeviceBatches(IMAGES, PLAIN, CPU)
    found = [places(crop) for step in range(100) for crop in batches[step].numpy()]
    assert all(len(places) == 1 for places in found)
    images, rows, columns = zip(*(places[0] for places in found), strict=True)
    assert sorted(images) == [0] * 200 + [1] * 200 + [2] * 200  # epochs: every image as often
    assert max(rows) == 12 and max(columns) == 22 and min(rows) == min(columns) == 0


def test_they_are_a_function_of_step_and_rank() -> None:
    config = dataclasses.replace(PLAIN, flips=True, scale=2.0, grey=0.3)
    batches = DeviceBatches(IMAGES, config, CPU)
    assert torch.equal(batches[3], DeviceBatches(IMAGES, config, CPU)[3])
    assert not torch.equal(batches[3], batches[4])
    halves = [DeviceBatches(IMAGES, config, CPU, rank, 2)[3] for rank in (0, 1)]
    assert halves[0].shape == (3, 3, 8, 8) and not torch.equal(*halves)


def test_the_cpu_sees_the_same_images() -> None:
    config = dataclasses.replace(PLAIN, crop=4)
    marked = [np.full((8, 8, 3), i, np.uint8) for i in range(7)]
    on_cpu = Batches(marked, batch=6, crop=4, flips=False, grey=0, seed=config.seed)
    on_device = DeviceBatches(marked, config, CPU)
    for step in range(5):
        assert np.array_equal(on_cpu[step], on_device[step].numpy())


def test_flips_and_grey() -> None:
    config = dataclasses.replace(PLAIN, batch=400, flips=True, grey=0.25)
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * np.array([1, 2, 3], np.uint8)
    crops = DeviceBatches([ramp], config, CPU)[0].numpy().astype(int)
    flipped = crops[:, 0, 0, 0] > crops[:, 0, 0, 7]
    grey = (crops[:, 0] == crops[:, 2]).all(axis=(1, 2))
    assert 150 < flipped.sum() < 250 and 60 < grey.sum() < 140
    luma = np.round(ramp @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(crops[grey & ~flipped][0, 0] - luma).max() <= 1


@pytest.mark.parametrize("side", [8, 11, 16])
def test_enlarging_is_bicubic(side: int) -> None:
    x, y = np.meshgrid(np.arange(24), np.arange(24))
    smooth = 128 + 100 * np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], axis=2)
    window = np.round(smooth).astype(np.uint8)
    left, top = 3, 5
    square = Image.fromarray(window[top : top + side, left : left + side])
    wanted = np.asarray(square.resize((24, 24), Image.Resampling.BICUBIC)).astype(int)
    tensor = torch.from_numpy(window.transpose(2, 0, 1).copy())[None]
    found = enlarge(tensor, torch.tensor([[left, top]]), torch.tensor([side]))[0].numpy()
    inner = np.abs(found.transpose(1, 2, 0).astype(int) - wanted)[4:-4, 4:-4]
    assert inner.max() <= 2 and inner.mean() < 0.4


def test_half_of_a_batch_is_enlarged() -> None:
    config = dataclasses.replace(PLAIN, batch=40, scale=2.0)
    crops = DeviceBatches(IMAGES, config, CPU)[1].numpy()
    found = [len(places(crop)) for crop in crops]
    assert sum(found[:20]) <= 6 and found[20:] == [1] * 20  # a factor near 1 changes nothing


def test_a_larger_image_is_drawn_more_often() -> None:
    images = [np.full((8, 8, 3), 10, np.uint8), np.full((16, 24, 3), 20, np.uint8)]
    batches = DeviceBatches(images, dataclasses.replace(PLAIN, batch=7, crop=8), CPU)
    drawn = [int(crop[0, 0, 0]) for step in range(10) for crop in batches[step]]
    assert drawn.count(10) == 10 and drawn.count(20) == 60


def test_turns_are_all_eight_symmetries() -> None:
    config = dataclasses.replace(PLAIN, batch=400, turns=True)
    square = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    wanted = [np.rot90(side, k) for side in (square, square[:, ::-1]) for k in range(4)]
    crops = DeviceBatches([square], config, CPU)[0].numpy().transpose(0, 2, 3, 1)
    found = [[np.array_equal(crop, turned) for turned in wanted].index(True) for crop in crops]
    assert min(np.bincount(found, minlength=8)) > 25


def test_colours_change_in_some_crops() -> None:
    config = dataclasses.replace(PLAIN, batch=400, colours=0.25)
    image = synthetic_image(8, 8, 3, 5)
    crops = DeviceBatches([image], config, CPU)[0].numpy().transpose(0, 2, 3, 1)
    changed = [crop for crop in crops if not np.array_equal(crop, image)]
    assert 60 < len(changed) < 140
    ranks = image.reshape(-1, 3).argsort(axis=0, kind="stable")
    orders = set()
    for crop in changed:  # every channel is one of the image's, through a curve that never falls
        flat = crop.reshape(-1, 3).astype(int)
        rising = [
            [bool((np.diff(flat[ranks[:, i], j]) >= 0).all()) for i in range(3)] for j in range(3)
        ]
        assert all(any(row) for row in rising)
        orders.add(tuple(row.index(True) for row in rising))
    assert len(orders) == 6
