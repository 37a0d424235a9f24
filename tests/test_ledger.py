"""The ledger adds up to the file at every cut, and gives each bit to what it was spent on."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import Entry, Ledger, to_json, to_text
from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.file import File
from diffcodec.theory.denoiser import OracleDenoiser
from diffcodec.theory.units import to_unit
from tests.gaussian import gaussian_codec, gaussian_image

CODEC = gaussian_codec()


def book(data: bytes, trace: Trace | None = None) -> Ledger:
    return audit(File.parse(data, CODEC.tables), trace)


def encoded(pixels: Pixels, **options: object) -> tuple[bytes, Trace]:
    trace = Trace()
    return CODEC.encode(pixels, trace=trace, code="trellis:8", **options), trace  # type: ignore[arg-type]


def spent(ledger: Ledger, kind: str) -> float:
    return sum(entry.spent_bits for entry in ledger.entries if entry.kind == kind)


@pytest.mark.parametrize("chain", ["6", "25", "ddpm:50", "cosine:20"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 3, 1), (16, 24, 3), (32, 32, 3)])
@pytest.mark.parametrize("kind", ["source", "noise", "flat"])
def test_whole_files_add_up(shape: tuple[int, int, int], kind: str, chain: str) -> None:
    pixels = {
        "source": np.ascontiguousarray(gaussian_image(2)[: shape[0], : shape[1], : shape[2]]),
        "noise": np.random.default_rng(5).integers(0, 256, shape, np.uint8),
        "flat": np.full(shape, 200, np.uint8),
    }[kind]
    data, trace = encoded(pixels, chain=chain)
    ledger, alone = book(data, trace), book(data)
    assert sum(e.spent_bits for e in ledger.entries) == 8 * len(data) == 8 * ledger.file_bytes
    # The file's own account agrees with the encoder's.
    assert spent(ledger, "header") == 8 * parse_header(data)[1]
    assert spent(ledger, "path") == sum(step.path_bits for step in trace.steps)
    assert spent(ledger, "pixels") == 8 * trace.lossless_bytes
    switching = spent(ledger, "side") - sum(step.side_bits for step in trace.steps)
    assert 0 <= switching <= 24
    assert spent(ledger, "cut") == 0 and spent(ledger, "checksum") >= 64
    assert spent(ledger, "sigma") in (8, 16) and 0 <= spent(ledger, "padding") < 8 * 40
    # Ideal and causes make up the file, too.
    assert ledger.ideal_bits is not None
    assert ledger.ideal_bits + math.fsum(ledger.overheads().values()) == pytest.approx(
        8 * len(data)
    )
    ideal = sum(step.mi_bits for step in trace.steps) + trace.lossless_bits
    assert ledger.ideal_bits == pytest.approx(ideal)
    assert [e.spent_bits for e in alone.entries] == [e.spent_bits for e in ledger.entries]
    assert alone.ideal_bits is None and json.dumps(to_json(alone), allow_nan=False)


def test_every_prefix_adds_up() -> None:
    data, trace = encoded(np.ascontiguousarray(gaussian_image(1)[:12, :9]), chain="12")
    start = parse_header(data)[1]
    ideals = []
    for length in range(start, len(data) + 1):
        ledger = book(data[:length], trace)
        assert ledger.file_bytes == length
        assert ledger.ideal_bits is not None
        ideals.append(ledger.ideal_bits)
        kinds = Counter(entry.kind for entry in ledger.entries)
        assert kinds["header"] == 1 and kinds["cut"] <= 1
        assert spent(ledger, "cut") < 32
    assert ideals[0] == 0 and (np.diff(ideals) >= 0).all()
    assert ideals[-1] == pytest.approx(sum(s.mi_bits for s in trace.steps) + trace.lossless_bits)


@pytest.mark.parametrize("steps", range(1, 7))
def test_what_fills_the_last_byte_is_padding(steps: int) -> None:
    data, trace = encoded(gaussian_image(3), chain="12", max_steps=steps)
    ledger = book(data, trace)
    assert spent(ledger, "path") == sum(step.path_bits for step in trace.steps)
    assert len([e for e in ledger.entries if e.kind == "path"]) == steps
    assert spent(ledger, "padding") < 8 and spent(ledger, "cut") == 0


@pytest.mark.parametrize("max_bytes", [40, 99, 300, 555, 1200, 2500])
def test_files_cut_while_encoding_add_up(max_bytes: int) -> None:
    data, trace = encoded(gaussian_image(4), chain="25", max_bytes=max_bytes)
    ledger = book(data, trace)
    assert ledger.file_bytes == len(data) <= max_bytes
    whole = sum(step.mi_bits for step in trace.steps) + trace.lossless_bits
    assert ledger.ideal_bits is not None and 0 < ledger.ideal_bits <= whole + 1e-6


def test_several_blocks_of_pixels() -> None:
    rows = [np.concatenate([gaussian_image(5 * i + j) for j in range(5)], axis=1) for i in range(5)]
    pixels = np.concatenate(rows)  # 76,800 sub-pixels: two blocks
    data, trace = encoded(pixels, chain="6", residual="gaussian")
    ledger = book(data, trace)
    blocks = [entry for entry in ledger.entries if entry.kind == "pixels"]
    assert [e.spent_bits for e in blocks] == [8 * n for n in trace.block_bytes]
    assert [e.ideal_bits for e in blocks] == trace.block_bits
    assert all(0 <= (e.overhead_bits or 0) < 0.01 * e.spent_bits for e in blocks)
    assert spent(ledger, "length") == 24
    for length in np.linspace(len(data) // 3, len(data), 50).astype(int):
        book(data[:length], trace)


def test_overheads_go_to_their_causes() -> None:
    ledgers = [book(*encoded(gaussian_image(seed), chain="12")) for seed in range(4)]
    ideal = sum(x.ideal_bits or 0 for x in ledgers)
    of = [x.overheads() for x in ledgers]
    trellis = sum(o["step code"] for o in of)
    paths = sum(x.kinds()["path"][1] or 0 for x in ledgers)
    assert 0.08 < trellis / paths < 0.2  # a trellis of 2^8 states
    assert abs(sum(o["rounding of the energy"] for o in of)) < 0.02 * ideal
    assert sum(o["pixel coder"] for o in of) < 0.005 * ideal
    for entry in ledgers[0].entries:
        assert (entry.kl_bits is not None) == (entry.kind in ("path", "pixels"))
        if entry.kind == "path" and entry.kl_bits is not None and entry.ideal_bits is not None:
            assert entry.kl_bits > entry.ideal_bits > 0


def test_who_knows_the_image_spends_on_the_first_step_only() -> None:
    pixels = gaussian_image(6)
    oracle = Codec(OracleDenoiser(to_unit(pixels)), CODEC.tables, workers=1)
    trace = Trace()
    data = oracle.encode(pixels, trace=trace, chain="25", residual="gaussian")
    ledger = book(data, trace)
    assert len([e for e in ledger.entries if e.kind == "path"]) == 1
    assert ledger.kinds()["pixels"][1] == pytest.approx(0, abs=1)


def test_a_ledger_that_does_not_add_up_is_refused() -> None:
    data, trace = encoded(gaussian_image(7), chain="6")
    ledger = book(data, trace)
    for i in range(len(ledger.entries)):
        with pytest.raises(AssertionError, match="accounted for"):
            Ledger("progressive", len(data), ledger.entries[:i] + ledger.entries[i + 1 :]).check()
    Ledger("x", 2, (Entry("latent", 16.5), Entry("initial", -0.5))).check()
    with pytest.raises(AssertionError):
        Ledger("x", 2, (Entry("latent", 16.5), Entry("initial", -0.4))).check()


def test_json_and_tables() -> None:
    data, trace = encoded(gaussian_image(8), chain="12")
    ledger = book(data, trace)
    found = to_json(ledger)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["file_bits"] == 8 * len(data) == sum(e["spent_bits"] for e in found["entries"])
    assert found["file_bits"] == sum(k["spent_bits"] for k in found["kinds"].values())
    assert found["overhead_bits"] == pytest.approx(sum(found["overheads_bits"].values()))
    (first, *_, last) = [e for e in found["entries"] if e["kind"] == "path"]
    assert first["sigma_grey_from"] is None and first["step"] == 0
    assert last["sigma_grey_to"] == pytest.approx(127.5 * CODEC.tables.chains["12"][-1] ** 0.5)
    text = to_text(ledger)
    assert "step code" in text and f"{8 * len(data):,}" in text
    assert text.splitlines()[1].startswith("   0  inf -> ")
    alone = to_text(book(data))
    assert "step code" not in alone and "exact pixels" in alone
    assert "known to the encoder only" in alone and "only the encoder" not in text
