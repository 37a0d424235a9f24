"""Integer networks of bytes: every way to evaluate them gives what the definition says."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.exact import denoiser
from diffcodec.exact.backends import BACKENDS, Unavailable, conforms, open_backend
from diffcodec.exact.bytewise import gemm, reference
from diffcodec.exact.bytewise.gemm import ByteGemm
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.conformance import expected
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.spans import reach, spans
from tests.exact_network import build
from tests.random_bytes import ByteBuilder, inputs, random_bytes

ROOT = Path(__file__).parent.parent
SEEDS = range(16)


# --- the definition ---


@pytest.mark.parametrize("seed", SEEDS)
def test_float64_says_what_integers_say(seed: int) -> None:
    network = random_bytes(seed, widest=40)
    x, v = inputs(network, 4, 3, 5, seed)
    out = ByteReference(network)(x, v)
    assert out.dtype == np.int16 and out.shape == x.shape
    assert np.array_equal(out, ByteReference(network, np.float64)(x, v))
    assert np.array_equal(out[2], ByteReference(network)(x[2:3], v[2:3])[0])


def test_images_are_told_apart_and_so_are_levels() -> None:
    """A network that says nothing would prove nothing."""
    for seed in SEEDS:
        network = random_bytes(seed, levels=True)
        x, v = inputs(network, 4, 6, 6, seed)
        out = ByteReference(network, np.float64)(x, v)
        assert out.std(axis=(1, 2, 3)).min() > 100
        if any(name.startswith("layer") and name.endswith("levels") for name in network.tensors):
            assert not np.array_equal(out, ByteReference(network, np.float64)(x, v[::-1]))


def test_saturation_happens_and_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of streams, by sums and by additions, and of bytes, in what these tests are made of."""
    network = random_bytes(7)
    x, v = inputs(network, 4, 8, 8)
    wanted = ByteReference(network, np.float64)(x, v)
    cut: list[tuple[int, int, int]] = []

    def spied(stream: NDArray[np.int64]) -> NDArray[np.int64]:
        cut.append((stream.size, int((stream > 32767).sum()), int((stream < -32768).sum())))
        return np.clip(stream, -32768, 32767)

    monkeypatch.setattr(reference, "clip16", spied)
    evaluator = ByteReference(network, np.float64)
    assert np.array_equal(evaluator(x, v), wanted)
    assert len(cut) == len(x) * (
        len(network.layers) + sum(k.add is not None for k in network.layers)
    )
    all_, above, below = np.sum(cut, axis=0)
    assert above > 100 and below > 100 and above + below < all_ / 2
    monkeypatch.setattr(reference, "clip16", lambda stream: stream)
    unlike = [not np.array_equal(a, b) for a, b in zip(evaluator(x, v), wanted, strict=True)]
    assert all(unlike)


def test_bytes_reach_both_ends() -> None:
    network = random_bytes(7)
    x, v = inputs(network, 1, 8, 8)
    found: list[NDArray[np.int64]] = []
    evaluator = ByteReference(network, np.float64)
    inner = evaluator.activations

    def spied(k: int, stream: NDArray[np.int64]) -> NDArray[np.int64]:
        a = inner(k, stream)
        if not network.layers[k].wide:
            found.append((a + network.tensors[f"{network.layers[k].name}.zero"]).ravel())
        return a

    evaluator.activations = spied  # type: ignore[method-assign]
    evaluator(x, v)
    q = np.concatenate(found)
    assert q.min() == 0 and q.max() == 255
    assert 0.001 < (q == 0).mean() < 0.5 and 0.001 < (q == 255).mean() < 0.3


# --- products of int8 ---


@pytest.mark.parametrize("band", [None, 1, 5000])
@pytest.mark.parametrize("seed", SEEDS)
def test_torch_says_the_same(seed: int, band: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """band: of one row, of some, of all; images of one pixel to several, batches of 1 to 5."""
    if band:
        monkeypatch.setitem(gemm.BAND, "cpu", band)
    network = random_bytes(seed)
    x, v = inputs(network, 1 + seed % 5, 1 + seed % 7, 1 + seed // 3, seed)
    before = x.copy()
    wanted = ByteReference(network, np.float64)(x, v)
    for threads in (1, 2):
        out = ByteGemm(network, threads=threads)(x, v)
        assert out.dtype == np.int16 and np.array_equal(out, wanted)
    assert np.array_equal(x, before)
    scattered = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert np.array_equal(ByteGemm(network)(scattered[::2], v[::2]), wanted[::2])


@pytest.mark.parametrize("how", [{}, {"stride": 2}, {"kernel": 1}, {"kernel": 1, "upsample": True}])
def test_channels_that_are_no_multiple_of_anything(how: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for c_in, c_out in [(1, 1), (1, 8), (7, 9), (8, 8), (15, 17), (16, 16), (33, 1), (70, 65)]:
        for wide in (False, True):
            for side in ((1, 1), (1, 17), (4, 4), (5, 7)):
                net = ByteBuilder(rng, 3)
                net.conv(c_in, 1)
                net.conv(c_out, **{"wide": wide, **how})
                x, v = inputs(net.graph(), 3, *side)
                wanted = ByteReference(net.graph(), np.float64)(x, v)
                assert np.array_equal(ByteGemm(net.graph())(x, v), wanted)


def test_what_goes_to_cublas_has_sides_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole groups of 8 bytes, more than 16 rows, the second matrix by columns."""
    seen: list[tuple[int, int, int]] = []
    product = gemm.torch._int_mm

    def spied(a: Any, b: Any) -> Any:
        seen.append((*a.shape, b.shape[1]))
        assert a.is_contiguous() and b.T.is_contiguous() and a.shape[1] == b.shape[0]
        return product(a, b)

    monkeypatch.setattr(gemm.torch, "_int_mm", spied)
    for seed in SEEDS:
        network = random_bytes(seed)
        ByteGemm(network)(*inputs(network, 1, 1, 1))
        ByteGemm(network)(*inputs(network, 3, 5, 6))
    rows, inner, columns = np.array(seen).T
    assert (rows % 32 == 0).all() and (inner % 16 == 0).all() and (columns % 16 == 0).all()


SATURATING = """
import numpy as np
from diffcodec.exact.bytewise.gemm import ByteGemm
from diffcodec.exact.bytewise.reference import ByteReference
from tests.random_bytes import extreme
for channels in (1, 2, 5, 8, 31):
    network, x, v = extreme(channels)
    assert np.array_equal(ByteGemm(network)(x, v), ByteReference(network)(x, v)), channels
"""


@pytest.mark.parametrize("instructions", ["SSE41", "AVX2", "AVX512_CORE", "ALL"])
def test_processors_whose_products_saturate(instructions: str) -> None:
    """oneDNN adds pairs up in 16 bits where there is no VNNI."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SATURATING]
    subprocess.run(command, env=environment, check=True, cwd=ROOT)


# --- backends ---


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_that_is_here_agrees(name: str) -> None:
    for seed in range(6):
        network = random_bytes(seed)
        network = dataclasses.replace(network, facts={"conformance": expected(network)})
        try:
            evaluate = open_backend(network, name, threads=2)
        except Unavailable as error:
            pytest.skip(str(error))
        x, v = inputs(network, 3, 5, 9, seed)
        assert np.array_equal(evaluate(x, v), ByteReference(network, np.float64)(x, v))
        assert conforms(network, evaluate, "full")


def test_backends_are_for_one_kind_or_both() -> None:
    bytes_, words = random_bytes(0), build("words")
    for name in ("torch32", "torch64"):
        open_backend(words, name)
        with pytest.raises(
            Unavailable, match=f"{name} cannot be used here: it is for networks of 1"
        ):
            open_backend(bytes_, name)
    assert isinstance(open_backend(bytes_, "torch8"), ByteGemm)
    with pytest.raises(
        Unavailable, match="torch8 cannot be used here: it is for networks of bytes"
    ):
        open_backend(words, "torch8")
    assert isinstance(open_backend(bytes_, "integers"), ByteReference)


# --- x0_hat ---


@pytest.mark.parametrize("channels", [1, 3])
def test_x0_hat_depends_on_no_backend(channels: int) -> None:
    rng = np.random.default_rng(0)
    for seed in (0, 1, 4):
        network = random_bytes(seed)
        y = (2 * rng.standard_normal((2, channels, 13, 7))).astype(np.float32)
        v = np.array([0.02, 3.0])
        wanted = ExactDenoiser(network, 1, "integers").batch(y, v)
        assert wanted.dtype == np.float32 and wanted.std() > 0.1
        for name in BACKENDS:
            try:
                denoiser = ExactDenoiser(network, 2, name)
            except Unavailable:
                continue
            assert np.array_equal(denoiser.batch(y, v), wanted), name
            assert np.array_equal(denoiser(y[1], 3.0), wanted[1]), name


def test_no_pixel_reaches_further_than_spans_take_care_of() -> None:
    for seed in SEEDS:
        network = random_bytes(seed, patch=1, calm=1)
        far = reach(network)
        columns = 2 * far + 2 * network.stride + 2
        x, v = inputs(network, 1, network.stride, columns)
        x[0, :, x.shape[2] // 2] = 0
        other = x.copy()
        other[0, :, x.shape[2] // 2] = 32767
        evaluate = ByteReference(network, np.float64)
        _, changed, _ = np.nonzero((evaluate(x, v) != evaluate(other, v))[0])
        assert changed.size and np.abs(changed - x.shape[2] // 2).max() <= far


@pytest.mark.parametrize("channels", [1, 3])
def test_wide_images_are_evaluated_in_spans(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.random.default_rng(0).standard_normal((1, channels, 9, 301)).astype(np.float32)
    for seed in (0, 3, 10):
        whole = ExactDenoiser(random_bytes(seed), 1, "numpy")
        wanted = whole.batch(y, 0.1)
        with monkeypatch.context() as patch:
            patch.setattr(denoiser, "WIDEST", 64)
            assert len(spans(whole.graph, 301, 64)) > 1
            assert np.array_equal(whole.batch(y, 0.1), wanted)
