"""Algorithms 3 and 4 against theory: a Gaussian source, whose optimal denoiser is known."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.api import truncate
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.theory.chain import choose_chain
from diffcodec.theory.denoiser import OracleDenoiser
from diffcodec.theory.units import to_unit
from tests.gaussian import gaussian_codec, gaussian_image, source, tables

CODEC = gaussian_codec()
IMAGE = gaussian_image()


def mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def small(seed: int = 1) -> np.ndarray:
    return np.ascontiguousarray(gaussian_image(seed)[:12, :9])


def truncate_steps(data: bytes, steps: int) -> bytes:
    """A file cut after so many steps."""
    return data[: CODEC.decode(data, max_steps=steps).bytes_used] if steps else data[:22]


class TestLossless:
    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 7, 3), (5, 3, 1), (17, 4, 3)])
    @pytest.mark.parametrize("kind", ["source", "noise", "flat"])
    def test_any_size_and_content(self, shape: tuple[int, int, int], kind: str) -> None:
        rng = np.random.default_rng(5)
        pixels = {
            "source": np.ascontiguousarray(gaussian_image(2)[: shape[0], : shape[1], : shape[2]]),
            "noise": rng.integers(0, 256, shape, np.uint8),
            "flat": np.full(shape, 200, np.uint8),
        }[kind]
        decoded = CODEC.decode(CODEC.encode(pixels))
        assert decoded.lossless and np.array_equal(decoded.pixels, pixels)

    @pytest.mark.parametrize("chain", ["6", "25", "100", "ddpm:50", "ddpm:1000", "cosine:20"])
    def test_any_chain(self, chain: str) -> None:
        decoded = CODEC.decode(CODEC.encode(small(), chain=chain))
        assert decoded.lossless and np.array_equal(decoded.pixels, small())
        assert decoded.steps_total == int(chain.rpartition(":")[2])

    @pytest.mark.parametrize("nu", [8, 10, 12, 14])
    def test_any_memory_and_seed(self, nu: int) -> None:
        data = CODEC.encode(small(), code=f"trellis:{nu}", seed=nu)
        assert data != CODEC.encode(small(), code=f"trellis:{nu}", seed=nu + 1)
        assert np.array_equal(CODEC.decode(data).pixels, small())

    def test_workers_do_not_change_a_bit(self) -> None:
        many = Codec(CODEC.denoiser, CODEC.tables, fingerprint=CODEC.fingerprint, workers=3)
        assert many.encode(IMAGE, chain="6") == CODEC.encode(IMAGE, chain="6")


class TestRates:
    def test_bits_are_the_mutual_information_and_a_tenth(self) -> None:
        traces = [Trace() for _ in range(4)]
        for seed, trace in enumerate(traces):
            CODEC.encode(gaussian_image(seed), trace=trace, chain="25")
        ideal = sum(s.mi_bits for t in traces for s in t.steps)
        spent = sum(s.path_bits for t in traces for s in t.steps)
        side = sum(s.side_bits for t in traces for s in t.steps)
        assert 1.02 * ideal < spent < 1.12 * ideal
        assert side < 3.0 * sum(len(t.steps) for t in traces)
        # What the source itself says about the information at the last level, in all 4 images.
        last = source().information_bpd(CODEC.tables.chains["25"][-1]) * 4 * IMAGE.size
        assert ideal == pytest.approx(last, rel=0.08)

    def test_error_follows_theory_along_the_chain(self) -> None:
        trace = Trace()
        CODEC.encode(IMAGE, trace=trace, chain="50")
        for step in trace.steps[1:]:
            assert step.mse == pytest.approx(source().mse(step.v_from), rel=0.25)
        assert trace.final_mse == pytest.approx(source().mse(trace.steps[-1].v_to), rel=0.1)

    def test_a_denoiser_that_knows_the_image_pays_for_the_first_step_only(self) -> None:
        oracle = Codec(OracleDenoiser(to_unit(IMAGE)), CODEC.tables, workers=1)
        trace = Trace()
        data = oracle.encode(IMAGE, trace=trace, chain="25", residual="gaussian")
        assert len(trace.steps) == 1
        assert trace.lossless_bytes <= 1
        assert 8 * len(data) < trace.steps[0].path_bits + 8 * 45
        assert np.array_equal(oracle.decode(data).pixels, IMAGE)

    def test_trace_adds_up_to_the_file(self) -> None:
        trace = Trace()
        data = CODEC.encode(IMAGE, trace=trace, chain="25")
        steps = sum(s.path_bits + s.side_bits for s in trace.steps) / 8
        _, header = parse_header(data)
        rest = len(data) - header - steps - trace.lossless_bytes - 9  # sigma and two checksums
        assert 0 <= rest <= 0.01 * steps + 2
        assert trace.clock.total >= trace.clock.network + trace.clock.trellis > 0


class TestCuts:
    def test_every_prefix_decodes_and_the_whole_is_exact(self) -> None:
        data = CODEC.encode(small(), chain="12")
        _, header = parse_header(data)
        errors = []
        for length in range(header, len(data)):
            decoded = CODEC.decode(data[:length])
            assert decoded.bytes_used == length
            assert decoded.lossless == (length >= len(data) - 4)  # the pixels' checksum is there
            errors.append(mse(decoded.pixels, small()))
        for length in range(header):
            with pytest.raises(BitstreamError):
                CODEC.decode(data[:length])
        thirds = [np.mean(part) for part in np.array_split(errors, 5)]
        assert all(b < a for a, b in pairwise(thirds))
        assert CODEC.decode(data).lossless

    def test_inside_a_step_quality_rises_evenly(self) -> None:
        picked = [gaussian_image(seed) for seed in range(6)]
        files = [CODEC.encode(p, chain="12") for p in picked]
        traces = [Trace() for _ in picked]
        for pixels, trace in zip(picked, traces, strict=True):
            CODEC.encode(pixels, chain="12", trace=trace)
        for k in (2, 5, 8):
            line = []
            for share in (0.0, 0.5, 1.0):
                errors = []
                for pixels, data, trace in zip(picked, files, traces, strict=True):
                    a, b = (trace.steps[i].bytes_so_far for i in (k - 1, k))
                    errors.append(
                        mse(CODEC.decode(data[: round(a + share * (b - a))]).pixels, pixels)
                    )
                line.append(10 * math.log10(np.mean(errors)))
            start, middle, end = line
            assert end < start - 0.5
            assert middle == pytest.approx((start + end) / 2, abs=0.25 * (start - end))

    def test_encoding_less_is_cutting_more(self) -> None:
        whole = CODEC.encode(IMAGE)
        for size in (60, 300):
            short = CODEC.encode(IMAGE, max_bytes=size)
            assert len(short) == size
            header, end = parse_header(short)
            assert header.total_bytes is None
            _, start = parse_header(whole)
            assert short[end:] == whole[start : start + size - end]
            assert CODEC.decode(short).total_bytes is None

    def test_max_steps_and_bpp_are_the_same_cut_everywhere(self) -> None:
        whole = CODEC.encode(IMAGE, chain="25")
        cut = CODEC.decode(whole, max_steps=9)
        assert cut.steps == 9
        short = CODEC.encode(IMAGE, chain="25", max_steps=9)
        assert np.array_equal(CODEC.decode(short).pixels, cut.pixels)
        assert np.array_equal(CODEC.decode(whole[: cut.bytes_used]).pixels, cut.pixels)
        assert len(truncate(whole, bpp=2.0)) == 256 == CODEC.decode(whole, bpp=2.0).bytes_used
        assert truncate(whole, max_bytes=10**9) == whole

    @pytest.mark.parametrize("wanted", [8.0, 22.0, 30.0])
    def test_psnr_is_the_first_step_that_reaches_it(self, wanted: float) -> None:
        def reached(data: bytes) -> float:
            off = mse(CODEC.decode(data).pixels, IMAGE)
            return 10 * math.log10(255**2 / off)

        trace = Trace()
        data = CODEC.encode(IMAGE, chain="25", psnr=wanted, trace=trace)
        assert reached(data) >= wanted
        steps = CODEC.decode(data).steps
        assert steps == len(trace.steps)
        if steps:
            assert reached(truncate_steps(data, steps - 1)) < wanted
        whole = CODEC.encode(IMAGE, chain="25")
        assert len(data) < len(whole) / 2

    def test_psnr_out_of_reach_is_the_whole_file(self) -> None:
        assert CODEC.encode(IMAGE, chain="6", psnr=99) == CODEC.encode(IMAGE, chain="6")

    def test_nothing_is_paid_for_after_the_stop(self) -> None:
        calls = []

        def counting(y: Float32, v: float) -> Float32:
            calls.append(v)
            return CODEC.denoiser(y, v)

        codec = Codec(counting, CODEC.tables, fingerprint=CODEC.fingerprint)
        codec.encode(IMAGE, chain="25", max_steps=4)
        assert len(calls) == 3  # the first step needs no network, the cut no estimate
        calls.clear()
        data = codec.encode(IMAGE, chain="25", bpp=0.5)
        steps = codec.decode(data).steps + 1
        assert len(calls) <= 2 * steps < 30

    def test_progressive_ends_with_the_exact_image(self) -> None:
        data = CODEC.encode(small(), chain="12")
        shown = list(CODEC.progressive(data))
        assert [d.steps for d in shown[:-1]] == list(range(1, len(shown)))
        assert shown[-1].lossless and np.array_equal(shown[-1].pixels, small())

    def test_cuts_together_are_cuts_apart(self) -> None:
        data = CODEC.encode(IMAGE, chain="25")
        sizes = [60, 61, 300, 301, 900, len(data)]
        for size, together in zip(sizes, CODEC.decode_cuts(data, sizes), strict=True):
            apart = CODEC.decode(data[:size])
            assert np.array_equal(together.pixels, apart.pixels)
            assert (together.steps, together.lossless) == (apart.steps, apart.lossless)

    def test_what_cannot_be_cut(self) -> None:
        data = CODEC.encode(small())
        with pytest.raises(OptionError, match="header alone"):
            CODEC.decode(data, max_bytes=5)
        with pytest.raises(OptionError, match="at least"):
            CODEC.encode(small(), max_bytes=5)


class TestGuards:
    def test_a_wrong_computation_is_told_apart_from_damage(self) -> None:
        class Drifting:
            def __call__(self, y: Float32, v: float) -> Float32:
                return np.asarray(CODEC.denoiser(y, v) * np.float32(1.002), np.float32)

        data = CODEC.encode(IMAGE)
        other = Codec(Drifting(), CODEC.tables, fingerprint=CODEC.fingerprint)
        with pytest.raises(BitstreamError, match="computes something wrong"):
            other.decode(data)
        steps = data[: CODEC.open(data).step_ends[-1]]  # lossy decoding does not mind
        assert mse(other.decode(steps).pixels, IMAGE) < 1.1 * mse(CODEC.decode(steps).pixels, IMAGE)

    def test_another_network_is_refused(self) -> None:
        other = Codec(CODEC.denoiser, CODEC.tables, fingerprint=b"12345678")
        with pytest.raises(BitstreamError, match="was made with network"):
            other.decode(CODEC.encode(small()))

    def test_what_is_no_image(self) -> None:
        for pixels in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 5), np.uint8), np.eye(4)):
            with pytest.raises(OptionError, match="uint16 of shape"):
                CODEC.encode(pixels)
        with pytest.raises(OptionError, match="no pixels"):
            CODEC.encode(np.zeros((0, 4, 3), np.uint8))

    @pytest.mark.parametrize("name", ["7", "ddpm", "ddpm:1", "ddpm:x", "other:50", ""])
    def test_unknown_chains(self, name: str) -> None:
        with pytest.raises(OptionError):
            choose_chain(name, CODEC.tables)


def test_chains_are_better_the_longer_and_beat_equal_steps() -> None:
    table = tables(source())
    cost = {}
    for name, chain in table.chains.items():
        assert len(chain) == int(name) and list(chain) == sorted(chain, reverse=True)
        levels = [math.inf, *chain]
        cost[int(name)] = sum(
            0.5 * math.log2(1 + (1 / s - 1 / t) * table.error(t)) for t, s in pairwise(levels)
        ) + 0.5 * math.log2(2 * math.pi * math.e * chain[-1])
    assert cost[6] > cost[12] > cost[25] > cost[50] > cost[100]


def test_tables_are_interpolated_in_the_logarithm() -> None:
    table = tables(source())
    assert table.error(math.inf) == table.prior_variance
    middle = math.sqrt(table.v[3] * table.v[4])
    assert table.error(middle) == pytest.approx(math.sqrt(table.mse[3] * table.mse[4]))
    assert dataclasses.replace(table, prior_variance=1.0).error(math.inf) == 1.0


def test_clock_counts_decoding_too() -> None:
    clock = Clock()
    CODEC.decode(CODEC.encode(small()), clock=clock)
    assert clock.total > 0 and clock.rest >= 0
