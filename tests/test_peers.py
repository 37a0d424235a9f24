"""The other codecs: sizes are whole files, budgets are kept, better files win."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffcodec.eval import metrics, peers

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture(scope="module")
def dog() -> NDArray[np.uint8]:
    """(64, 64, 3)."""
    return np.asarray(Image.open(PICTURES / "dog.png"))[64:128, 64:128]


@pytest.mark.parametrize("name", list(peers.LOSSY))
def test_budgets_are_kept_and_used(name: str, dog: NDArray[np.uint8]) -> None:
    budgets = [400, 700, 1000, 2000, 4000]
    points = peers.LOSSY[name](dog, budgets)
    errors = []
    for point, budget in zip(points, budgets, strict=True):
        if point is None:
            continue
        assert 0 < point.bytes <= budget
        errors.append(point.mse)
    assert len(errors) >= 3 and errors == sorted(errors, reverse=True)
    assert points[3] is not None and points[3].bytes > 0.85 * 2000


@pytest.mark.parametrize("name", list(peers.LOSSY))
def test_no_file_within_a_few_bytes(name: str, dog: NDArray[np.uint8]) -> None:
    assert peers.LOSSY[name](dog, [10]) == [None]


def test_bisection_leaves_no_better_quality_out(dog: NDArray[np.uint8]) -> None:
    [point] = peers.webp(dog, [900])
    files = [peers.measure(dog, format="WEBP", quality=q, method=6, exact=True) for q in range(101)]
    best = min((f for f in files if f.bytes <= 900), key=lambda f: f.mse)
    assert point is not None and point.mse <= 1.02 * best.mse


def test_lossless_files_are_exact_and_smaller_than_raw(dog: NDArray[np.uint8]) -> None:
    points = peers.lossless(dog)
    assert set(points) - {"jpegxl"} == {"png", "webp", "jpeg2000"}
    assert all(point.mse == 0 and point.bytes < dog.size for point in points.values())


def test_curve_counts_only_budgets_where_every_picture_has_a_lossy_file() -> None:
    def point(size: int, mse: float) -> peers.Point:
        return peers.Point(size, mse, 0.1, 0.2)

    first = [None, point(80, 4.0), point(150, 2.0), point(150, 2.0), point(300, 0.0)]
    second = [point(40, 9.0), point(90, 4.0), point(200, 1.0), point(200, 1.0), point(290, 0.5)]
    curve = peers.curve([first, second], [(8, 8, 3), (8, 16, 3)])
    assert curve["bpp"] == [(80 / 8 + 90 / 16) / 2, (150 / 8 + 200 / 16) / 2]
    assert curve["psnr-rgb"][0] == metrics.psnr(4.0)
    assert curve["psnr-rgb-pooled"][1] == metrics.pooled_psnr([2.0, 1.0], [192, 384])
    assert curve["encoding_time"] == [0.1, 0.1] and curve["decoding_time"] == [0.2, 0.2]
