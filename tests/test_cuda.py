"""On a GPU integer networks give the integers of the definition, and files the CPU's bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.exact.backends import open_backend
from diffcodec.exact.bytewise.gemm import BAND, ByteGemm
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.conformance import vector
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.gemm import Gemm
from diffcodec.exact.reference import Reference
from diffcodec.zoo import load_network
from tests.exported import exported
from tests.random_bytes import extreme, inputs, random_bytes
from tests.synthetic import synthetic_image

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
CUDA = ("cuda64", "cuda32")


@pytest.mark.parametrize("backend", CUDA)
@pytest.mark.parametrize("patch", [1, 2])
def test_the_integers_are_those_of_the_definition(backend: str, patch: int) -> None:
    graph = exported(patch)
    x, v = vector(graph, "full")
    wanted = Reference(graph)(x, v)
    evaluate = open_backend(graph, backend)
    assert np.array_equal(evaluate(x, v), wanted)
    assert np.array_equal(evaluate(x[1:2], v[1:2]), wanted[1:2])
    many = evaluate(np.tile(x, (50, 1, 1, 1)), np.tile(v, 50))
    assert np.array_equal(many, np.tile(wanted, (50, 1, 1, 1)))


@pytest.mark.parametrize("band", [None, 1, 100_000])
@pytest.mark.parametrize("seed", range(16))
def test_bytes_are_those_of_the_definition(
    seed: int, band: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if band:
        monkeypatch.setitem(BAND, "cuda", band)
    network = random_bytes(seed)
    evaluate = open_backend(network, "cuda8")
    for n, rows, columns in ((1, 1, 1), (1 + seed % 5, 1 + seed % 7, 1 + seed // 3), (3, 33, 65)):
        x, v = inputs(network, n, rows, columns, seed)
        assert np.array_equal(evaluate(x, v), ByteReference(network, np.float64)(x, v))
    assert isinstance(open_backend(network), ByteGemm)


@pytest.mark.parametrize("channels", [1, 5, 8, 31])
def test_bytes_that_saturate_processors(channels: int) -> None:
    network, x, v = extreme(channels)
    assert np.array_equal(open_backend(network, "cuda8")(x, v), ByteReference(network)(x, v))


@pytest.mark.parametrize("backend", CUDA)
def test_coarse_products_do_not_spoil_them(backend: str) -> None:
    """Where torch may make float32 products of TF32 or bfloat16."""
    graph = exported()
    x, v = vector(graph, "quick")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert np.array_equal(open_backend(graph, backend)(x, v), Reference(graph)(x, v))
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("backend", CUDA)
def test_files_have_the_bytes_of_the_cpu(
    backend: str, tiny_network: Path, tiny_codec: Codec, small_rgb: Pixels, small_grey: Pixels
) -> None:
    codec = Codec.from_pretrained(tiny_network, threads=1, backend=backend)
    for pixels in (small_rgb, small_grey, synthetic_image(40, 56, 3, seed=9)):
        data = codec.encode(pixels)
        assert data == tiny_codec.encode(pixels)
        assert np.array_equal(codec.decode(data).pixels, pixels)
        cut = data[: len(data) // 2]
        assert np.array_equal(codec.decode(cut).pixels, tiny_codec.decode(cut).pixels)


def test_a_device_stands_for_its_fastest_backend(tiny_network: Path) -> None:
    denoiser = load_network(tiny_network, "cuda")
    assert isinstance(denoiser, ExactDenoiser) and isinstance(denoiser.evaluate, Gemm)
    assert denoiser.evaluate.device.type == "cuda" and denoiser.evaluate.dtype == "float32"
    y = np.random.default_rng(0).standard_normal((2, 3, 13, 7)).astype(np.float32)
    wanted = load_network(tiny_network).batch(y, 0.3)
    assert np.array_equal(denoiser.batch(y, 0.3), wanted)


def test_a_process_evaluates_on_the_gpu_that_it_was_given(tiny_network: Path) -> None:
    last = torch.cuda.device_count() - 1
    denoiser = load_network(tiny_network, f"cuda:{last}")
    assert isinstance(denoiser, ExactDenoiser) and isinstance(denoiser.evaluate, Gemm)
    assert denoiser.evaluate.silu.device.index == last
