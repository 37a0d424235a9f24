"""Many images in one file: each is denoised alone, and together they take fewer bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from diffcodec import image
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.cli.main import main
from diffcodec.codec import Codec
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import Point
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.publish.tables import cifar10
from diffcodec.eval.rd import rate_distortion
from diffcodec.eval.rd.joint import JointError, Stacked, as_one, stacks
from diffcodec.eval.rd.mean_curve import mean
from tests.gaussian import gaussian_codec, gaussian_image
from tests.synthetic import synthetic_image


def gaussian_images(n: int) -> list[NamedImage]:
    """From the Gaussian source, whose codec is exact."""
    return [NamedImage(f"{i}", gaussian_image(seed=i)) for i in range(n)]


def test_each_image_of_a_stack_is_denoised_alone(tiny_codec: Codec) -> None:
    rng = np.random.default_rng(0)
    apart = rng.standard_normal((3, 3, 16, 24)).astype(np.float32)
    together = np.concatenate(list(apart), axis=1)
    found = Stacked(tiny_codec.denoiser, 16)(together, 0.1)  # type: ignore[arg-type]
    expected = [tiny_codec.denoiser(y, 0.1) for y in apart]
    np.testing.assert_array_equal(found, np.concatenate(expected, axis=1))


def test_together_they_take_fewer_bytes_and_come_back_exactly() -> None:
    codec, single = gaussian_codec(), gaussian_images(6)
    (stack,) = stacks(single, 8)
    assert stack.pixels.shape == (6 * 32, 32, 3) and stack.parts == 6
    settings = rate_distortion.Settings((0.3, 1.0, 3.0), chain="25")
    joint = rate_distortion.measure(codec, settings, stack)
    alone = [rate_distortion.measure(codec, settings, one) for one in single]
    assert joint["exact"] and all(one["exact"] for one in alone)
    assert joint["bytes"] < 0.99 * sum(one["bytes"] for one in alone)
    for cut, *others in zip(joint["cuts"], *(one["cuts"] for one in alone), strict=True):
        assert len(cut["part_mse"]) == 6 and np.mean(cut["part_mse"]) == pytest.approx(cut["mse"])
        if None not in others:
            assert cut["mse"] < np.mean([other["mse"] for other in others])
    bits = [step["path_bits"] + step["side_bits"] for step in joint["steps"]]
    assert min(bits) > 32 * 4  # every step serves all of them


def test_a_stack_is_no_image_to_anyone_else() -> None:
    codec, (stack,) = gaussian_codec(), stacks(gaussian_images(2), 2)
    own = as_one(codec, 32)
    data = own.encode(stack.pixels, chain="12", max_steps=2)
    assert parse_header(data)[0].height == 64
    for other in (codec, as_one(codec, 16)):
        with pytest.raises(BitstreamError, match="was made with network"):
            other.decode(data)


def test_stacks_of_one_size_only() -> None:
    found = stacks(gaussian_images(5), 2)
    assert [one.parts for one in found] == [2, 2, 1] and len({one.name for one in found}) == 3
    with pytest.raises(JointError, match="one size, not 2"):
        stacks([*gaussian_images(1), NamedImage("b", synthetic_image(8, 8, 3, seed=0))], 2)


def test_records_of_stacks_have_names_of_their_own() -> None:
    codec, settings = gaussian_codec(), rate_distortion.Settings((1.0,))
    (stack,) = stacks(gaussian_images(2), 2)
    tall = NamedImage("tall", stack.pixels)
    key = rate_distortion.record_key
    assert key(codec, settings, stack) != key(codec, settings, tall)


def test_the_mean_psnr_is_over_images_not_files() -> None:
    parts = (4.0, 100.0)
    one = mean([Point(10, 52.0, 1.0, 1.0, part_mses=parts)], [(64, 32, 3)])
    assert one["psnr-rgb"] == pytest.approx(metrics.mean_psnr(parts))
    assert one["psnr-rgb-pooled"] == pytest.approx(metrics.psnr(52.0))
    exact = mean([Point(10, 50.0, 1.0, 1.0, part_mses=(0.0, 100.0))], [(64, 32, 3)])
    assert exact["psnr-rgb"] is None and exact["psnr-rgb-pooled"] is not None


def test_the_command_and_the_readmes_table(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    for i in range(5):
        image.save(synthetic_image(16, 16, 3, seed=i), Path(f"set/{i}.png"))
    ask = [
        "eval",
        "set",
        "-m",
        str(tiny_network),
        "--chain",
        "6",
        "--cuts",
        "0.9,3",
        "--threads",
        "1",
    ]
    for name, options in {"joint": ["--joint", "2"], "alone": ["--no-peers"]}.items():
        run = CliRunner().invoke(main, [*ask, *options, "--json", f"{name}.json"])
        assert run.exit_code == 0, run.output
    joint, alone = (json.loads(Path(f"{name}.json").read_text()) for name in ("joint", "alone"))
    assert joint["joint"] == 2 and joint["peers"] == {} and "joint" not in alone
    assert joint["dataset"] == alone["dataset"] and joint["lossless"]["images"] == 3
    assert joint["name"] == f"diffcodec {joint['model']['name']}, 2 images a file"
    assert joint["lossless"]["bpd"] < alone["lossless"]["bpd"]
    Path("rd-cifar10.json").write_text(json.dumps(alone))
    Path("rd-cifar10-joint.json").write_text(json.dumps(joint))
    text = cifar10.published(tmp_path)
    assert "| BPG | 0.52 | 0.90 | 1.57 | 2.66 | 4.31 | - | 14.21 |" in text
    assert "**diffcodec**, 5 images, 2 to a file" in text
    assert f"| **{joint['lossless']['bpp']:.2f}** |" in text
