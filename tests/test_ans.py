"""The stack and its tables: exact inverses, exact numbers, the same with and without the kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from diffcodec.bitstream import ans, gaussian
from diffcodec.bitstream.ans import LANES, Stack, StackEmpty
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT, TOTAL, table
from diffcodec.bitstream.latents import ESCAPE, Code, Grid, TooFar
from tests.stacks import same, stack


class TestTable:
    @pytest.mark.parametrize("sigma", [0.03, 0.5, 1.5, 4, 40])
    def test_probabilities_are_the_gaussian_ones(self, sigma: float) -> None:
        n = 2 * int(7 * sigma + 1) + 1
        codes = table(round(sigma * SIGMA_UNIT), n)
        symbol = np.arange(n, dtype=np.int32)
        for mean in (0, 7, -13):
            means = np.full(n, PHASES * (n // 2) + mean)
            mass = 2.0 ** -codes.bits(means, symbol)
            edges = (np.arange(n + 1) - 0.5 - means[0] / PHASES) / sigma
            edges[0], edges[-1] = -np.inf, np.inf
            assert mass.sum() == pytest.approx(1)
            assert mass == pytest.approx(np.diff(ndtr(edges)), abs=2 * n / TOTAL)

    def test_rounding_is_right_everywhere(self) -> None:
        for sigma, n in ((SIGMA_UNIT, 15), (SIGMA_UNIT // 3, 256)):
            codes = table(sigma, n)
            steps = range(-codes.half + 1, codes.half)
            assert [int(g) for g in codes.grid[1:-1]] == [
                gaussian._exactly(step, sigma, n) for step in steps
            ]

    def test_the_format_is_what_it_was(self) -> None:
        codes = table(4 * SIGMA_UNIT, 59)
        assert codes.grid[[1000, 1536, 1700]].tolist() == [304357, 8388578, 12400279]


class TestStack:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32), st.integers(1, 300), st.floats(0.3, 30))
    def test_popping_and_pushing_undo_each_other(self, seed: int, n: int, sigma: float) -> None:
        rng = np.random.default_rng(seed)
        code = table(round(sigma * SIGMA_UNIT), 2 * int(7 * sigma + 1) + 1)
        mean = PHASES * (code.n // 2) + rng.integers(-PHASES // 2, PHASES // 2, n)
        before = stack(seed=seed)
        after = before.copy()
        popped = after.pop(code, mean)
        assert before.bits - after.bits == pytest.approx(code.bits(mean, popped).sum(), abs=0.1)
        after.push(code, mean, popped)
        assert same(before, after)
        symbols = rng.integers(0, code.n, n)
        after.push(code, mean, symbols)
        assert np.array_equal(after.pop(code, mean), symbols) and same(before, after)

    def test_numpy_and_kernel_agree(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if ans.KERNEL is None:
            pytest.skip("no kernel")
        code, rng = table(4 * SIGMA_UNIT, 59), np.random.default_rng(1)
        for n in (1, LANES - 1, LANES, 5 * LANES + 7):
            mean = PHASES * 29 + rng.integers(-40 * PHASES, 40 * PHASES, n)
            fast, slow = stack(), stack()
            a = fast.pop(code, mean)
            fast.push(code, mean[::-1], a)
            with monkeypatch.context() as patch:
                patch.setattr(ans, "KERNEL", None)
                b = slow.pop(code, mean)
                slow.push(code, mean[::-1], b)
            assert np.array_equal(a, b) and same(fast, slow)

    def test_pushing_costs_the_entropy(self) -> None:
        code, rng = table(4 * SIGMA_UNIT, 59), np.random.default_rng(2)
        mean = PHASES * 29 + rng.integers(-PHASES // 2, PHASES // 2, 200_000)
        drawn = np.rint(mean / PHASES + 4 * rng.standard_normal(mean.size)).clip(0, 58)
        full = stack()
        before = full.bits
        full.push(code, mean, drawn.astype(np.int32))
        ideal = code.bits(mean, drawn.astype(np.int32)).sum()
        assert full.bits - before == pytest.approx(ideal, rel=1e-6)

    @pytest.mark.parametrize("pure", [False, True])
    def test_an_empty_stack_says_so(self, pure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if pure:
            monkeypatch.setattr(ans, "KERNEL", None)
        small = stack(LANES + 3)
        with pytest.raises(StackEmpty):
            small.pop(table(4 * SIGMA_UNIT, 59), np.full(10_000, 29 * PHASES))
        with pytest.raises(StackEmpty):
            stack(LANES - 1)

    def test_bytes_and_back(self) -> None:
        full = stack(100)
        full.push_uniform(0xABC, ESCAPE)
        data = full.pack()
        again = Stack.unpack(data, True)
        assert same(full, again)
        assert 8 * len(data) < full.bits + 6 * LANES
        assert again.pop_uniform(ESCAPE) == 0xABC
        again.close_beginning()
        again.put_bytes(b"abcde")
        assert again.take_bytes(5) == b"abcde"
        assert Stack.unpack(again.pack(), False).count == again.count == 100
        for broken in (data[:-1], data[:30], b""):
            with pytest.raises(BitstreamError):
                Stack.unpack(broken, True)
        full.push_uniform(1, 1)
        with pytest.raises(BitstreamError, match="does not end where it began"):
            full.close_beginning()


class TestLatents:
    @given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=200))
    @settings(max_examples=25, deadline=None)
    def test_any_value_can_be_pushed(self, values: list[int]) -> None:
        code, before = Code.of(4.3, True), stack()
        after, mean = before.copy(), np.zeros(len(values), np.int64) + 17
        code.put(after, mean, np.array(values))
        assert code.take(after, mean).tolist() == values and same(before, after)

    def test_what_is_too_far_is_refused(self) -> None:
        with pytest.raises(TooFar):
            Code.of(4.0, True).put(stack(), np.zeros(1, np.int64), np.array([1 << 25]))

    def test_samples_have_the_mean_and_spread_asked_for(self) -> None:
        grid = Grid(0.09, 0.5, 4, PHASES)
        mean = np.random.default_rng(0).uniform(-1, 1, 30_000)
        drawn = grid.take_q(stack(10_000), grid.mean(mean)) * grid.width - mean
        assert abs(drawn.mean()) < 0.006
        assert drawn.std() == pytest.approx(0.3 * (1 + 1 / 12 / 32), abs=0.004)


def test_latents_are_gaussian_whatever_was_pushed_before() -> None:
    bits = stack(100)
    wrong, mean = Code.of(5.0, escapes=True), np.zeros(50_000, np.int64)
    wrong.put(bits, mean, np.zeros(50_000, np.int64))  # a model far wider than the truth
    pushed, grid = bits.copy(), Grid(1.0, 1.0, bins=4, phases=PHASES)
    k = grid.take_q(bits, mean[:40_000])
    z = k * grid.width
    assert abs(z.mean()) < 0.025 and abs(np.corrcoef(z[:-64], z[64:])[0, 1]) < 0.025
    assert z.var() == pytest.approx(1 + grid.width**2 / 12, abs=0.04)
    grid.put_q(bits, mean[:40_000], k)
    assert same(bits, pushed)
