"""FLOPs of a step against a count by hand, and what is told of them."""

from __future__ import annotations

import pytest
import torch

from diffcodec.network.config import NetworkConfig
from diffcodec.training.throughput import Progress, flops_per_image, peak, speed
from tests.mini_recipe import RECIPE


def test_flops_are_those_of_the_layers() -> None:
    c, side = 8, 16
    config = NetworkConfig(c, (1,), blocks=1, attention=(), norm="none", window=8)
    pixels = side * side
    blocks = [(c, c), (c, c), (c, c), (2 * c, c), (2 * c, c)]  # down, middle twice, up twice
    convolutions = 9 * (3 * c + c * 3) + sum(
        9 * (i * o + o * o) + (i * o if i != o else 0) for i, o in blocks
    )
    embedding = c * 4 * c + 16 * c * c + len(blocks) * 4 * c * c
    assert flops_per_image(config, side) == 3 * 2 * (pixels * convolutions + embedding)
    attending = NetworkConfig(c, (1,), blocks=1, attention=(8,), norm="none", window=8)
    layers = len(blocks)
    more = layers * (pixels * 4 * c * c + pixels * 2 * 64 * c)  # qkv and out; scores and sums
    assert flops_per_image(attending, side) - flops_per_image(config, side) == 6 * more


def test_the_share_of_the_peak_is_told_where_it_is_known() -> None:
    assert peak("NVIDIA H200") == 989e12 and peak("NVIDIA H100 PCIe") == 756e12
    assert peak("GRID K2") is None
    assert speed(494.5e12, 1, "NVIDIA H200") == "494.50 TFLOP/s (50.0% of the peak)"
    assert speed(494.5e12, 2, "NVIDIA H200") == "494.50 TFLOP/s (25.0% of the peak)"
    assert speed(1e12, 1, "GRID K2") == "1.00 TFLOP/s"


def test_progress_tells_flops_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    bar = Progress(RECIPE, 48, torch.device("cuda"), quiet=False)
    assert bar(49, 1.0) is None
    record = bar(50, 3.0, most=90.0)
    assert record is not None and record["loss"] == 2.0 and record["flops_per_second"] > 0
    assert "images/s" in (told := capsys.readouterr().err) and "of the peak" in told
    on_cpu = Progress(RECIPE, 49, torch.device("cpu"), quiet=False)(50, 3.0)
    assert on_cpu is not None and "flops_per_second" not in on_cpu
    assert "FLOP" not in capsys.readouterr().err
