"""The measurements of the codec: against a made-up record, and end to end with a tiny network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from diffcodec.bitstream.types import Pixels
from diffcodec.errors import OptionError
from diffcodec.eval.common import metrics, records
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.experiments import demo
from diffcodec.eval.rd import rate_distortion, room
from diffcodec.eval.rd.pooling import pool
from tests.made_up_record import a_record

if TYPE_CHECKING:
    from diffcodec.codec import Codec


def test_theory_stands_at_equal_error() -> None:
    result = pool([a_record()])
    curve = result["results"]
    assert curve["bpp"] == [2.5, 3.75, 10.0] and curve["bpd"] == [b / 3 for b in curve["bpp"]]
    assert curve["rmse-rgb-pooled"] == pytest.approx([10.0, 50**0.5, 3**0.5])
    assert "ms-ssim-rgb" not in curve  # the image is too small for it
    theory = result["theory"]
    assert theory["bpp"] == [2.5, 3.75]  # the third cut lies in the pixels' exact code
    assert theory["bpp_mi"] == pytest.approx([2.0, 3.0])
    assert theory["bpp_kl"] == pytest.approx([2.5, 3.75])
    assert result["overhead_percent"]["over_mi"] == pytest.approx([25.0, 25.0])
    assert result["overhead_percent"]["over_kl"] == pytest.approx([0.0, 0.0])


def test_steps_and_the_lossless_end() -> None:
    result = pool([a_record(), a_record(scale=2)])
    steps = result["steps"]
    assert steps["sigma_grey"] == [40.0, 20.0, 10.0]
    assert steps["bpp_file"] == pytest.approx([3.75, 7.5, 11.25])
    assert steps["overhead_percent"]["file_over_mi"] == pytest.approx([25.0] * 3)
    assert steps["psnr-rgb"] == pytest.approx([metrics.psnr(m) for m in (100.0, 25.0, 6.25)])
    end = result["lossless"]
    assert end["exact"] == end["images"] == 2
    assert end["bpd"] == pytest.approx(7.5) and end["bpd_ideal_mi"] == pytest.approx(
        840 * 1.5 / 192
    )
    assert end["overhead_percent_over_mi"] == pytest.approx(100 * (960 / 840 - 1))


def test_a_image_that_skipped_a_step_is_interpolated() -> None:
    steps = pool([a_record(), a_record(skip=True)])["steps"]
    assert steps["sigma_grey"] == [40.0, 20.0, 10.0]
    assert steps["bpp_mi"] == pytest.approx([2.0, 4.0, 6.0])
    assert steps["psnr-rgb-pooled"] == pytest.approx([metrics.psnr(m) for m in (100.0, 25.0, 6.25)])


def test_exact_cuts_do_not_enter_the_curve() -> None:
    record = a_record()
    record["cuts"][2]["mse"] = 0.0
    assert pool([record])["results"]["bpp"] == [2.5, 3.75]


def test_similarity_is_a_mean_of_all_images_or_none() -> None:
    large, small = a_record(), a_record()
    for cut, value in zip(large["cuts"][:3], (0.5, 0.75, 0.875), strict=True):
        cut["ms_ssim"] = value
    assert pool([large, large])["results"]["ms-ssim-rgb"] == [0.5, 0.75, 0.875]
    assert "ms-ssim-rgb" not in pool([large, small])["results"]


def test_a_image_without_steps_leaves_finite_numbers() -> None:
    record = {**a_record(), "steps": [], "lossless_ideal_bits": 0.0}
    result = pool([record])
    assert result["steps"]["bpp_file"] == [] and result["lossless"]["bpd_ideal_mi"] == 0
    assert result["lossless"]["overhead_percent_over_mi"] is None
    json.dumps(result, allow_nan=False)


def test_grid_leaves_room_for_the_header() -> None:
    small, large = np.zeros((32, 32, 3), np.uint8), np.zeros((512, 768, 3), np.uint8)
    assert min(room.grid_bpp([large])) == 0.05
    assert min(room.grid_bpp([large, small])) * 32 * 32 / 8 >= room.HEADER
    assert len([b for b in room.grid_bpp([small]) if b <= 12]) >= 12


def test_records_resume(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    seen: list[int] = []

    def measure(pixels: Pixels) -> dict[str, Any]:
        seen.append(int(pixels[0, 0, 0]))
        return {"value": seen[-1]}

    images = [np.full((1, 1, 3), k, np.uint8) for k in range(3)]
    keys = ["a", "b", "c"]
    records.collect(lambda: measure, images[:2], keys[:2], path=path)
    with path.open("a") as file:
        file.write('{"key": "c", "val')  # stopped in the middle of a line
    rows = records.collect(lambda: measure, images, keys, path=path)
    assert [row["value"] for row in rows] == [0, 1, 2] and seen == [0, 1, 2]
    rows = records.collect(lambda: measure, images[::-1], keys[::-1], path=path)
    assert [row["value"] for row in rows] == [2, 1, 0] and len(seen) == 3


@pytest.mark.usefixtures("steps_pay")
def test_measure_with_a_real_codec(tiny_codec: Codec, small_rgb: Pixels) -> None:
    settings = rate_distortion.Settings((1.5, 4.0, 1000.0), chain="6")
    record = rate_distortion.measure(tiny_codec, settings, NamedImage("a", small_rgb))
    assert record["exact"] and record["cuts"][2] is None
    assert [cut["bytes"] for cut in record["cuts"][:2]] == [48, 128]
    assert record["cuts"][1]["mse"] < record["cuts"][0]["mse"] < record["prior_mse"]
    assert record["bytes"] > record["steps"][-1]["bytes"] + record["lossless_bytes"]
    assert all(step["path_bits"] > step["mi_bits"] for step in record["steps"])
    assert 0 < record["encode_seconds"]["network"] < record["encode_seconds"]["total"]
    other = rate_distortion.Settings((1.5,), chain="6", effort="fast")
    assert rate_distortion.measure(tiny_codec, other, NamedImage("a", small_rgb))["bytes"] == len(
        tiny_codec.encode(small_rgb, chain="6", effort="fast")
    )
    other = rate_distortion.Settings((1.5,), effort="heroic")
    with pytest.raises(OptionError, match="heroic"):  # so it gets there
        rate_distortion.measure(tiny_codec, other, NamedImage("a", small_rgb))


def test_a_refused_file_is_counted_not_fatal(
    tiny_codec: Codec, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("the decoded pixels do not match")

    monkeypatch.setattr(tiny_codec, "decode", refuse)
    record = rate_distortion.measure(
        tiny_codec, rate_distortion.Settings((1000.0,), chain="6"), NamedImage("a", small_rgb)
    )
    assert record["exact"] is False


@pytest.mark.parametrize("name", ["flowers", "city"])
def test_demo(name: str, tiny_network: Path, tmp_path: Path) -> None:
    image = Path(__file__).parent / "images" / f"{name}.png"
    arguments = [str(image), "--model", str(tiny_network), "--out", str(tmp_path / "demo")]
    run = CliRunner().invoke(demo.main, arguments)
    assert run.exit_code == 0, run.output
    assert "exact" in run.output and (tmp_path / "demo" / f"{name}.dfc").exists()
    with Image.open(tmp_path / "demo" / f"{name}-cuts.png") as strip:
        assert strip.width > 6 * 150
