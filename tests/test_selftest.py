"""Golden files decode to what they always did; the self-test notices when something does not."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcodec import selftest, zoo
from diffcodec.bitstream.types import Int16, Int32
from diffcodec.codec import Codec
from diffcodec.exact.backends import BACKENDS, open_backend
from diffcodec.exact.stored import AnyGraph
from diffcodec.golden import FOLDER, NETWORK, decode, golden_files
from tests.command import invoke
from tests.synthetic import synthetic_image

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_pretrained(NETWORK, threads=1)


def read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@pytest.mark.parametrize("golden", golden_files(), ids=lambda g: g.name)
def test_golden_files_decode(golden: Any, codec: Codec) -> None:
    assert golden.decodes(codec)
    assert (FOLDER / golden.name).stat().st_size < 5000


def test_golden_files_are_what_they_are_said_to_be(codec: Codec) -> None:
    colour, grey = synthetic_image(14, 18, 3, seed=11), synthetic_image(19, 13, 1, seed=12)
    names = {p.name for p in FOLDER.iterdir() if p.suffix in (".dfc", ".dfa")}
    assert names == {golden.name for golden in golden_files()}
    assert np.array_equal(decode(codec, read("colour.dfc"))[0], colour)
    assert np.array_equal(decode(codec, read("grey.dfc"))[0], grey)
    assert np.array_equal(decode(codec, read("ddpm.dfc"))[0], colour[:9, :11])
    assert np.array_equal(decode(codec, read("cosine.dfc"))[0], grey[:9, :11])
    for cut in ("step.dfc", "pixels.dfc"):
        assert read("colour.dfc").startswith(read(cut))
        decoded = codec.decode(read(cut))
        assert not decoded.lossless and 0 < np.mean(decoded.pixels != colour) < 1
    images = decode(codec, read("archive.dfa"))
    assert [p.shape for p in images] == [(8, 8, 1)] + 7 * [(8, 8, 3)]
    assert np.array_equal(images[0], synthetic_image(8, 8, 1, seed=30))


LESSER = {  # machines that lack something which this one may have
    "no kernels": {"DIFFCODEC_PURE": "1"},
    "old SIMD in numpy": {
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
        " AVX2 FMA3 F16C"
    },
    "old BLAS": {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "3"},
    "old libm": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"},
}


@pytest.mark.slow
@pytest.mark.parametrize("lacking", LESSER)
def test_golden_files_decode_on_lesser_machines(lacking: str) -> None:
    if lacking != "no kernels" and platform.machine() != "x86_64":
        pytest.skip("these settings are for x86-64")
    script = (
        "from diffcodec import selftest\n"
        "selftest.shipped_networks = lambda: []\n"
        "checks = list(selftest.selftest())\n"
        "assert checks and all(c.passes for c in checks if c.available), checks\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **LESSER[lacking]}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


run = partial(invoke, "selftest")


@pytest.fixture
def few(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny is the network that ships."""
    for module in (selftest, zoo):
        monkeypatch.setattr(module, "shipped_networks", lambda: [("tiny", tiny_network)])


def test_everything_passes_here(few: None) -> None:
    table = run().stdout
    assert "colour.dfc" in table and "NO" not in table
    told = json.loads(run("--json").stdout)
    assert told["passes"] is True
    coders = ["adaptive", "ans", "butterfly", "polar", "range", "rotation", "trellis"]
    assert sorted(told["compiled"]) == coders
    for network in ("tiny", "golden"):
        tried = [c["backend"] for c in told["checks"] if c["subject"] == network]
        assert tried == list(BACKENDS)
    assert {"backend", "subject", "available", "passes", "ms", "reason"} == set(told["checks"][0])
    for check in told["checks"]:
        assert check["available"] is (check["passes"] is True) is (check["reason"] is None)
    if not torch.cuda.is_available():
        missing = {c["backend"]: c["reason"] for c in told["checks"] if not c["available"]}
        assert missing["cuda64"] == missing["cuda32"] == "there is no CUDA device"
        assert "not here            there is no CUDA device" in table
    files = {c["subject"] for c in told["checks"]} - {"tiny", "golden"}
    assert files == {golden.name for golden in golden_files()}


def test_a_way_that_is_off_by_one_is_noticed(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def __init__(self, graph: AnyGraph, name: str | None = None, threads: int = 1) -> None:
            self.right = open_backend(graph)

        def __call__(self, x: Int16, v: np.ndarray) -> Int32:
            out = self.right(x, v)
            out[-1, -1, -1, -1] += 1
            return out

    monkeypatch.setattr(selftest, "open_backend", Wrong)
    told = run("--json", code=1)
    failed = [c for c in json.loads(told.stdout)["checks"] if c["passes"] is False]
    assert {c["subject"] for c in failed} == {"tiny", "golden"}
    assert all("not those of the definition" in c["reason"] for c in failed)
    assert told.stderr.startswith(f"diffcodec: {len(failed)} of ")


def test_altered_files_are_noticed(
    few: None, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = bytearray(tiny_network.read_bytes())
    altered[-9] ^= 1
    (tmp_path / "tiny.safetensors").write_bytes(altered)
    shipped = [("tiny", tmp_path / "tiny.safetensors")]
    monkeypatch.setattr(selftest, "shipped_networks", lambda: shipped)
    monkeypatch.setattr("diffcodec.golden.Golden.decodes", lambda *_: False)
    checks = json.loads(run("--json", code=1).stdout)["checks"]
    passes = {c["subject"]: c["passes"] for c in checks if c["passes"] is not None}
    assert not passes["tiny"] and passes["golden"] and not passes["colour.dfc"]
