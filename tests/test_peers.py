"""The other codecs: sizes are whole files, budgets are kept, better files win, cuts decode."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import File, PeerError, Point
from diffcodec.eval.peers import jpeg2000, peers
from diffcodec.eval.peers.peers import PEERS
from diffcodec.eval.peers.pillow_codecs import coded, read, webp
from diffcodec.eval.rd.mean_curve import curve

IMAGES = Path(__file__).parent / "images"
JXL = pytest.mark.skipif(shutil.which("cjxl") is None, reason="needs cjxl and djxl")
LOSSY = [
    pytest.param(name, marks=JXL if name.startswith("jpegxl") else ())
    for name, peer in PEERS.items()
    if peer.lossy and not name.startswith("jpegxl-")
]


@pytest.fixture(scope="module")
def dog() -> Pixels:
    """(48, 48, 3)."""
    return np.asarray(Image.open(IMAGES / "dog.png"))[64:112, 64:112]


def files(name: str, pixels: Pixels, budgets: list[int]) -> list[File | None]:
    lossy = PEERS[name].lossy
    assert lossy is not None
    return list(lossy(pixels, budgets))


@pytest.mark.parametrize("name", LOSSY)
def test_budgets_are_kept_and_used(name: str, dog: Pixels) -> None:
    budgets = [700, 1000, 2000]
    errors = []
    found = files(name, dog, budgets)
    for file, budget in zip(found, budgets, strict=True):
        if file is not None:
            assert 0 < len(file.data) == file.point.bytes <= budget
            again = metrics.mse(file.decode(file.data), dog)
            assert again == file.point.mse
            errors.append(again)
    assert len(errors) >= 2 and errors == sorted(errors, reverse=True)
    assert found[2] is not None and found[2].point.bytes > 0.7 * 2000


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "jpeg2000-cut", "webp"])
def test_no_file_within_a_few_bytes(name: str, dog: Pixels) -> None:
    assert files(name, dog, [0, 10]) == [None, None]


def test_bisection_leaves_no_better_quality_out(dog: Pixels) -> None:
    [found] = webp(dog, [900])
    every = [coded(dog, format="WEBP", quality=q, method=6, exact=True) for q in range(101)]
    best = min((f.point for f in every if f.point.bytes <= 900), key=lambda p: p.mse)
    assert found is not None and found.point.mse <= 1.02 * best.mse


def test_lossless_files_are_exact_and_smaller_than_raw(dog: Pixels) -> None:
    points = peers.lossless(dog)
    assert set(points) - {"jpegxl"} == {"png", "webp", "jpeg2000"}
    assert all(point.mse == 0 and point.bytes < dog.size for point in points.values())


@pytest.mark.parametrize("name", ["png", "qoi", "webp", "jpeg2000", "jpeg2000-lossless-cut"])
def test_grey_images_stay_grey_and_exact(name: str, dog: Pixels) -> None:
    grey = np.ascontiguousarray(dog[..., :1])
    lossless = PEERS[name].lossless
    assert lossless is not None
    file = lossless(grey)
    assert file.decode(file.data).shape == grey.shape and file.point.mse == 0


def test_a_lossy_file_is_not_taken_for_an_exact_one(dog: Pixels) -> None:
    with pytest.raises(PeerError, match="jpeg did not return the exact pixels"):
        peers.exact("jpeg", coded(dog, format="JPEG", quality=90))


def test_cuts_of_a_layered_file_are_nearly_as_good_as_files_of_their_own() -> None:
    """And cut anywhere: what is received of a packet's layer counts, the rest is taken as empty."""
    image = np.asarray(Image.open(IMAGES / "dog.png").convert("RGB"))
    budgets = [n * image.shape[0] * image.shape[1] // 32 for n in (2, 4, 8)]  # 0.5, 1, 2 bpp
    own = files("jpeg2000", image, budgets)
    cut = files("jpeg2000-cut", image, budgets)
    for a, b in zip(own, cut, strict=True):
        assert a is not None and b is not None
        assert 10 * np.log10(b.point.mse / a.point.mse) < 1.5  # dB
    whole = PEERS["jpeg2000-lossless-cut"].lossless
    assert whole is not None
    data = whole(image).data
    with pytest.raises(PeerError, match="inside the headers"):
        jpeg2000.read_cut(data[:20], [100, 200], 3)


@JXL
@pytest.mark.parametrize("name", ["jpegxl-cut", "jpegxl-lossless-cut"])
def test_cuts_of_a_progressive_file(name: str, dog: Pixels) -> None:
    """What djxl makes of half a file is an image; of a few bytes it is none."""
    large = np.tile(dog, (6, 6, 1))
    whole = len(_first(files(name, large, [10**6])).data)
    short, half, *all_of_it = files(name, large, [20, whole // 2, whole, whole + 100])
    assert short is None and len(_first([half]).data) == whole // 2
    assert all_of_it[0] is all_of_it[1] and _first(all_of_it).point.mse < _first([half]).point.mse


def _first(found: list[File | None]) -> File:
    assert found[0] is not None
    return found[0]


def test_all_of_a_cut_file_is_the_file(dog: Pixels) -> None:
    [found] = files("jpeg2000-lossless-cut", dog, [10**6])
    assert found is not None and found.point.mse == 0
    assert np.array_equal(read(found.data, 3), dog)  # an ordinary codestream


def test_unknown_and_missing_codecs() -> None:
    with pytest.raises(PeerError, match="no codec 'bpg' to compare with; choose of jpeg, "):
        peers.choose(["jpeg", "bpg"])
    assert list(peers.choose(None)) == list(PEERS) and peers.choose([]) == {}
    told: list[str] = []
    absent = peers.Peer("X", "", missing=lambda: ["xenc", "xdec"])
    assert peers.at_hand({"x": absent, "png": PEERS["png"]}, told.append) == {"png": PEERS["png"]}
    assert told == ["x is left out: it needs xenc and xdec"]


def test_curve_counts_only_budgets_where_every_image_has_a_lossy_file() -> None:
    def point(size: int, mse: float) -> Point:
        return Point(size, mse, 0.1, 0.2)

    first = [None, point(80, 4.0), point(150, 2.0), point(150, 2.0), point(300, 0.0)]
    second = [point(40, 9.0), point(90, 4.0), point(200, 1.0), point(200, 1.0), point(290, 0.5)]
    found = curve([first, second], [(8, 8, 3), (8, 16, 3)])
    assert found["bpp"] == [(80 / 8 + 90 / 16) / 2, (150 / 8 + 200 / 16) / 2]
    assert found["psnr-rgb"][0] == metrics.psnr(4.0)
    assert found["psnr-rgb-pooled"][1] == metrics.pooled_psnr([2.0, 1.0], [192, 384])
    assert found["rmse-rgb-pooled"][1] == pytest.approx(((2 * 192 + 384) / 576) ** 0.5)
    assert found["encoding_time"] == [0.1, 0.1] and found["decoding_time"] == [0.2, 0.2]
