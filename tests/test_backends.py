"""Every way to evaluate an integer network gives the integers of the definition."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffcodec.errors import CheckpointError
from diffcodec.exact import backends
from diffcodec.exact.backends import (
    BACKENDS,
    PREFERRED,
    Backend,
    Unavailable,
    conforms,
    open_backend,
)
from diffcodec.exact.conformance import digest, vector
from diffcodec.exact.gemm import Gemm
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import AnyGraph
from tests.exported import WINDOWS, exported, exported_windows, plain
from tests.random_bytes import random_bytes

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is used where none is asked for."""
    monkeypatch.setattr(backends, "DRIVER", Path("none"))


def opened(name: str, graph: AnyGraph, threads: int = 1) -> Any:
    try:
        return open_backend(graph, name, threads)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_agree_with_the_definition(name: str) -> None:
    for graph in (exported(1), exported(2), *map(exported_windows, WINDOWS)):
        x, v = vector(graph, "full")
        wanted = Reference(graph)(x, v)
        for threads in (1, 2):
            evaluate = opened(name, graph, threads)
            assert np.array_equal(evaluate(x, v), wanted)
            assert np.array_equal(evaluate(x[1:2], v[1:2]), wanted[1:2])
            scattered = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
            assert np.array_equal(evaluate(scattered[::2], v[::2]), wanted[::2])
            assert evaluate(x, v).dtype == np.int32


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_torch_takes_no_short_cuts(dtype: Any) -> None:
    """oneDNN on or off, many images: where float convolutions go by Winograd's transforms."""
    graph = exported()
    x, v = vector(graph, "quick")
    x, v = np.tile(x, (6, 1, 1, 1)), np.tile(v, 6)
    wanted = np.tile(Reference(graph, np.float64)(x[:3], v[:3]), (6, 1, 1, 1))
    before = torch.get_num_threads()
    for enabled in (True, False):
        with torch.backends.mkldnn.flags(enabled=enabled):
            for threads in (1, 2):
                assert np.array_equal(Gemm(graph, dtype, threads=threads)(x, v), wanted)
    assert torch.get_num_threads() == before


def test_bytes_survive_coarse_products() -> None:
    """Where torch may make float32 products of TF32 or bfloat16."""
    graph = exported()
    x, v = vector(graph, "quick")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert np.array_equal(Gemm(graph, "float32")(x, v), Reference(graph)(x, v))
    finally:
        torch.set_float32_matmul_precision(before)


def test_float32_adds_up_only_what_it_can_hold() -> None:
    """Bytes of weights and activations whose products add up to more than 2^24, oddly."""
    rng = np.random.default_rng(0)
    lower = rng.choice(np.array([-127, 127, 126]), (192, 3, 3, 192))
    upper = rng.integers(-20, 20, lower.shape)
    graph = plain([(lower + 256 * upper).astype(np.int16)], 8, 127)
    prove(graph)
    x = np.zeros((3, 3, 3, 192), np.int16)
    for i in range(3):  # the pixel in the middle meets the worst for channel i
        x[i] = np.where(lower[i] > 0, 127, -127)
    v = np.full(3, 0.5)
    wanted = Reference(graph)(x, v)
    assert np.abs(lower[0]).sum() * 127 > 1 << 24
    evaluate = Gemm(graph, "float32")
    assert len(evaluate.products[0]) > 2
    assert np.array_equal(evaluate(x, v), wanted)
    merged = [dataclasses.replace(p, taps=[]) for p in evaluate.products[0][:1]]
    for product in evaluate.products[0]:  # all in one sum: the bound is what keeps it exact
        if product.scale == 1:
            merged[0].taps.extend(product.taps)
    evaluate.products[0] = merged + [p for p in evaluate.products[0] if p.scale != 1]
    assert not np.array_equal(evaluate(x, v), wanted)


def test_what_is_too_wide_for_float32_is_refused() -> None:
    weight = np.full((1083, 1, 1, 1083), 128, np.int16)
    with pytest.raises(CheckpointError, match="layer layer0 is too wide for float32"):
        Gemm(plain([weight], 19, 128), "float32")
    with pytest.raises(Unavailable, match="torch32 cannot be used here: layer layer0 is too wide"):
        open_backend(plain([weight], 19, 128), "torch32")


# --- conformance ---


def test_the_vectors_never_change() -> None:
    graph = exported()
    known = {"quick": "", "full": ""}
    for kind in ("quick", "full"):
        x, v = vector(graph, kind)  # type: ignore[arg-type]
        assert x.dtype == np.int16 and x.shape[1] // graph.stride % 2 == 1
        levels = graph.tensors["levels"]
        assert v.min() < levels[0] and v.max() > levels[-1]
        assert abs(x.astype(int)).max() >= 32767 and (x[2] == 0).all()
        known[kind] = hashlib.sha256(x.astype("<i2").tobytes()).hexdigest()[:16]
    assert known == {"quick": "f3ae7a7f9333755e", "full": "2f9c8d7e4ecd37bc"}


def test_files_state_what_the_definition_gives() -> None:
    graph = exported()
    for kind in ("quick", "full"):
        assert graph.facts["conformance"][kind] == digest(Reference(graph), graph, kind)  # type: ignore[arg-type]
        assert conforms(graph, Reference(graph, np.float64), kind)  # type: ignore[arg-type]
    unstated = dataclasses.replace(graph, facts={})
    assert conforms(unstated, Reference(graph, np.float64))
    assert not conforms(unstated, Reference(exported(blocks=2)))


class Wrong:
    """Off by one in one value."""

    def __init__(self, graph: AnyGraph, threads: int) -> None:
        self.right = Reference(graph, np.float64)

    def __call__(self, x: NDArray[np.int16], v: NDArray[np.float64]) -> NDArray[np.int32]:
        out = self.right(x, v)
        out[-1, -1, -1, -1] += 1
        return out


def test_a_backend_that_fails_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = exported()
    monkeypatch.setitem(BACKENDS, "compiled", Backend("compiled", Wrong))
    evaluator = open_backend(graph)
    warned = capsys.readouterr().err
    assert isinstance(evaluator, Reference)
    assert "backend compiled" in warned and warned.count("\n") == 1
    with pytest.raises(CheckpointError, match="compiled does not evaluate the network exactly"):
        open_backend(graph, "compiled")
    for name in PREFERRED["cpu"]:
        monkeypatch.setitem(BACKENDS, name, Backend(name, Wrong))
    with pytest.raises(CheckpointError, match="no way to evaluate"):
        open_backend(graph)


def test_a_backend_that_is_not_here_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(graph: AnyGraph, threads: int) -> Any:
        raise Unavailable("the kernel is not built")

    monkeypatch.setitem(BACKENDS, "compiled", Backend("compiled", absent))
    assert isinstance(open_backend(exported()), Reference)
    assert capsys.readouterr().err == ""
    with pytest.raises(CheckpointError, match="compiled cannot be used here: the kernel"):
        open_backend(exported(), "compiled")
    with pytest.raises(CheckpointError, match='no backend "fast"; there are compiled, numpy'):
        open_backend(exported(), "fast")


# --- what is used where none is named ---


def tried(monkeypatch: pytest.MonkeyPatch, graph: AnyGraph, name: str | None = None) -> list[str]:
    """The backends that are tried, none of which is here."""
    asked: list[str] = []

    def absent(name: str) -> Backend:
        def open(graph: AnyGraph, threads: int) -> Any:
            asked.append(name)
            raise Unavailable("it is not here")

        return Backend(name, open)

    with monkeypatch.context() as patch:
        for one in BACKENDS:
            patch.setitem(BACKENDS, one, absent(one))
        with pytest.raises(CheckpointError):
            open_backend(graph, name)
    return asked


def test_a_gpu_comes_first_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpu, cuda = ["compiled", "numpy", "integers"], ["cuda8", "cuda32", "cuda64"]
    assert tried(monkeypatch, exported()) == cpu
    monkeypatch.setattr(backends, "DRIVER", tmp_path)
    assert tried(monkeypatch, exported()) == cuda + cpu
    assert tried(monkeypatch, random_bytes(0)) == cuda + cpu
    assert tried(monkeypatch, exported(), "cpu") == cpu
    assert tried(monkeypatch, exported(), "cuda") == cuda


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_driver_without_a_device_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backends, "DRIVER", tmp_path)
    for graph in (exported(), random_bytes(0)):
        assert type(open_backend(graph)) is type(open_backend(graph, "cpu"))
        with pytest.raises(Unavailable, match="cuda cannot be used here: there is no CUDA device"):
            open_backend(graph, "cuda")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("when", ["opened", "evaluated"])
def test_a_gpu_that_fails_is_passed_over_with_a_warning(
    when: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluate(x: NDArray[np.int16], v: NDArray[np.float64]) -> NDArray[np.int16]:
        raise RuntimeError("CUDA out of memory.\nTried to allocate 9 GiB")

    def open(graph: AnyGraph, threads: int) -> Any:
        return evaluate(np.zeros(1, np.int16), np.zeros(1)) if when == "opened" else evaluate

    monkeypatch.setattr(backends, "DRIVER", tmp_path)
    monkeypatch.setitem(BACKENDS, "cuda8", Backend("cuda8", open))
    graph = random_bytes(0)
    evaluator = open_backend(graph)
    assert not isinstance(evaluator, type(evaluate))
    assert capsys.readouterr().err == (
        "diffcodec: the backend cuda8 fails here (CUDA out of memory.), so another one is used\n"
    )
    with pytest.raises(CheckpointError, match=r"cuda8 fails here \(CUDA out of memory"):
        open_backend(graph, "cuda8")


def test_a_network_without_proof_is_not_opened() -> None:
    graph = exported()
    weight = np.full_like(graph.tensors["head.weight"], 32767)
    broken = dataclasses.replace(graph, tensors={**graph.tensors, "head.weight": weight})
    with pytest.raises(CheckpointError, match=r"layer head .* its sums in channel"):
        open_backend(broken)


def test_torch_is_not_needed(tmp_path: Path) -> None:
    networks = exported(), random_bytes(0)
    for network in networks:
        network.save(tmp_path / f"{network.VERSION}.safetensors")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from diffcodec.exact.stored import load_integers\n"
        "from diffcodec.exact.backends import open_backend\n"
        "for path in sys.argv[1:]:\n"
        "    graph = load_integers(Path(path))\n"
        "    for name in ('cpu', 'numpy', 'integers'): open_backend(graph, name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *map(str, tmp_path.iterdir())]
    subprocess.run(command, env=environment, check=True, cwd=ROOT)
