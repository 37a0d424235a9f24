"""Prefixes are images, and longer ones no worse: short runs, and faults that have to be noticed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from diffcodec import Codec
from diffcodec.archive.reading import extract
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.robustness.prefixes import golden
from diffcodec.eval.robustness.prefixes.__main__ import ALLOWED, findings, to_text
from diffcodec.eval.robustness.prefixes.golden import archive_row, golden_row, whole_golden
from diffcodec.eval.robustness.prefixes.jobs import doer
from diffcodec.eval.robustness.prefixes.prefix import EXACT, Prefix, psnr_of, sharing, summary
from diffcodec.eval.robustness.prefixes.shipped import Large, centre, shipped_row, sizes_of
from diffcodec.golden import FOLDER
from diffcodec.image import load

IMAGES = Path(__file__).parent / "images"


def test_golden_files_that_are_prefixes_of_others_are_done_with_these() -> None:
    names = whole_golden()
    assert {"colour.dfc", "polar.dfc", "archive.dfa"} <= set(names)
    assert not {"step.dfc", "pixels.dfc", "adaptive-cut.dfc", "polar-step.dfc"} & set(names)


@pytest.mark.parametrize("name", ["narrow.dfc", "metadata.dfc", "plain.dfa", "alpha.dfc"])
def test_prefixes_of_golden_files(name: str) -> None:
    row = golden_row(name, stride=1 if name == "narrow.dfc" else 31)
    assert not findings(row) and row["lossless"] and row["images"] > 2
    assert name in to_text([row]) and "nothing was found" in to_text([row])


def test_prefixes_that_share_are_the_same_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "SLOW", 0)
    row = golden_row("colour.dfc", stride=5)
    assert row["otherwise"] == [] and row["lossless"] and row["first_image"] < 40


def test_a_file_that_ends_at_a_cut_need_not_be_exact() -> None:
    row = golden_row("polar.dfc", stride=4000)
    assert row["lossless"] is None and not findings(row)


@pytest.fixture(scope="module")
def small() -> Iterator[Large]:
    """An image of CIFAR-10's size, of which some prefixes were 0.2 dB worse than shorter ones."""
    yield Large("dog", "cifar10", centre(load(IMAGES / "dog.png"), 32), 20)


def test_random_prefixes_of_a_shipped_networks_file(small: Large) -> None:
    row = shipped_row(small)
    assert not findings(row) and row["prefixes"] == 21 and row["fall_db"] <= ALLOWED
    codec = Codec.from_pretrained("cifar10", threads=1)
    data = codec.encode(small.pixels, effort="fast")
    sizes = sizes_of(codec, data, 40, seed=3)
    assert sizes == sizes_of(codec, data, 40, seed=3) and len(set(sizes)) == 40
    assert 0 < sizes[0] < 100 and sizes[-1] < len(data)


def test_the_first_bytes_of_a_step_make_nothing_worse(
    small: Large, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what was there before the step they do, and it is noticed."""
    codec = Codec.from_pretrained("cifar10", threads=1)
    data = codec.encode(small.pixels, effort="fast")
    ends = codec.open(data).step_ends[8:20:2]
    sizes = sorted({end + more for end in ends for more in range(0, 9, 2)})
    row = summary(data, sharing(codec, data, sizes, small.pixels))
    assert row["fall_db"] <= ALLOWED
    monkeypatch.setattr("diffcodec.progressive.steps.SETTLED", 0.0)
    row = summary(data, sharing(codec, data, sizes, small.pixels))
    assert row["fall_db"] > ALLOWED
    about = {"name": "dog", "model": "cifar10", "shape": [33, 33, 3], "lossless": True}
    (said,) = findings({**row, **about})
    assert "dB worse at" in said


def test_what_is_wrong_is_noticed() -> None:
    given = [Prefix(1, None), Prefix(2, 9.0), Prefix(3, None), Prefix(4, 8.5), Prefix(5, 8.8)]
    row = summary(bytes(5), given)
    assert (row["images"], row["first_image"], row["refused_late"]) == (3, 2, 1)
    assert (row["fall_db"], row["fall_at"], row["step_db"]) == (0.5, 4, 0.5)
    assert len(findings({"name": "x", "model": "y", "shape": [9, 9, 1], **row})) == 3
    assert len(findings({"name": "x", **row, "lossless": None, "otherwise": [4]})) == 2


def test_an_archive_that_loses_images_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, data = golden.golden_codec(), (FOLDER / "plain.dfa").read_bytes()
    right = [(image.name, found) for image, found in extract(codec, io.BytesIO(data))]

    def images(_: Codec, given: bytes) -> Iterator[tuple[str, object]]:
        if len(given) < 10:
            raise BitstreamError("too short")
        yield from right[: 1 + (len(given) < 500)]
        if len(given) == len(data):
            yield right[1][0], np.zeros(3)

    monkeypatch.setattr(golden, "_images", images)
    row = archive_row(codec, data, [1, 100, 600, 700, len(data)])
    assert (row["fewer"], row["wrong"], row["first_image"]) == (1, 1, 100)
    assert "images get lost (1) or are wrong (1)" in findings({"name": "x", **row})[0]


def test_jobs_are_done_in_other_processes() -> None:
    (row,) = in_order(partial(doer, 99), ["narrow.dfc"], 2, "files")
    assert row == golden_row("narrow.dfc", stride=99)


def test_psnr_of_all_depths() -> None:
    black, white = np.zeros((2, 2, 1), np.uint16), np.full((2, 2, 1), 65535, np.uint16)
    assert psnr_of(black, black) == EXACT and psnr_of(black, white) == 0.0
