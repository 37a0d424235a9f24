"""The adaptive coder on a stack: the kernel and numpy do the same, and popping undoes pushing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.bitstream import adaptive
from diffcodec.bitstream.adaptive import Side, decode_strip, encode_strip, stacked, start_for
from diffcodec.bitstream.adaptive.code import pop_strip, record_strip
from diffcodec.bitstream.adaptive.grid import ColourGrid
from diffcodec.bitstream.adaptive.stack import CHANCE, DecisionStack, push_decisions, recorded
from diffcodec.bitstream.adaptive.stacked import NO_GRID, Recorded
from diffcodec.bitstream.ans import LANES, StackEmpty
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Float32, Pixels, UInt32
from tests.adaptive_strips import Case, known_of, samples_of, start_of
from tests.stacks import same, stack
from tests.synthetic import synthetic_image

KERNEL = adaptive.KERNEL
needs_kernel = pytest.mark.skipif(KERNEL is None, reason="the kernel is not built")
PLENTY = 400  # words of a stack that holds what is popped from it


def decisions(count: int, seed: int = 0, low: int = 1) -> UInt32:
    """So many, with chances of `low` and more, each drawn with its chance."""
    rng = np.random.default_rng(seed)
    chance = rng.integers(low, (1 << CHANCE) - low + 1, count)
    bit = rng.integers(0, 1 << CHANCE, count) < chance
    return np.array([recorded(int(c), int(b)) for c, b in zip(chance, bit, strict=True)], np.uint32)


def strip(height: int, width: int, channels: int, sigma: float, seed: int) -> tuple[Pixels, Side]:
    """Planes of an image, and a state of it."""
    planes = np.ascontiguousarray(synthetic_image(height, width, channels, seed).transpose(2, 0, 1))
    noise = sigma * np.random.default_rng(seed).standard_normal((2, *planes.shape))
    means = np.clip(planes + 0.5 * noise[0], 0, 255)
    known = [np.rint(32 * a).astype(np.int32) for a in (means, planes + noise[1])]
    return planes, Side(known[0], known[1], sigma)


def fresh(planes: Pixels, side: Side | None, level: int) -> Float32:
    channels, height, width = planes.shape
    return np.array(start_for(np.empty((height, width, channels), np.uint16), side, level))


# --- decisions ----------------------------------------------------------------------------------


@needs_kernel
@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, 5 * LANES + 7])
def test_decisions_are_pushed_alike(count: int) -> None:
    assert KERNEL is not None
    some, fast, slow = decisions(count, count), stack(PLENTY), stack(PLENTY)
    for full, push in ((fast, KERNEL.push), (slow, push_decisions)):
        assert full.states is not None
        full.reserve(count)
        full.count = push(some, full.states, full.words, full.count)
    assert same(fast, slow)


@given(st.integers(0, 2**32), st.integers(0, 400))
@settings(max_examples=30, deadline=None)
def test_decisions_are_popped_as_they_were_pushed(seed: int, count: int) -> None:
    some, before = decisions(count, seed), stack(PLENTY, seed)
    after = before.copy()
    Recorded(some, 0.0).push(after)
    assert after.states is not None
    taker = DecisionStack(after.states, after.words, after.count)
    for decision in some.tolist():
        bit, chance = divmod(decision, 1 << CHANCE)
        assert taker.pop(chance) == bit
    after.count = taker.count
    assert same(before, after) and not taker.empty


def test_extreme_chances_cost_what_they_should() -> None:
    most = (1 << CHANCE) - 1
    some = [recorded(1, 1), recorded(1, 0), recorded(most, 0), recorded(most, 1)] * 200
    full = stack(PLENTY)
    before = full.bits
    Recorded(np.array(some, np.uint32), 0.0).push(full)
    ideal = 200 * (2 * 16 + 2 * np.log2(65536 / 65535))
    assert full.bits - before == pytest.approx(ideal, rel=1e-5)


def test_decisions_cost_their_entropy() -> None:
    some, full = decisions(20_000, low=100), stack(PLENTY)
    before = full.bits
    Recorded(some, 0.0).push(full)
    assert full.bits - before == pytest.approx(stacked._bits(some), rel=1e-5)


def test_words_that_run_out_are_noticed() -> None:
    taker = DecisionStack(np.full(1, 1 << 32, np.uint64), np.empty(0, np.uint32), 0)
    for _ in range(3):
        taker.pop(1 << 15)
    assert taker.empty and taker.count == 0


# --- strips -------------------------------------------------------------------------------------

CASES = [
    *(Case(level, (8, 20, 3), "flowers", 3.0, grid=1 + level) for level in range(3)),
    *(Case(level, (6, 20, 1), "city", 0.5) for level in range(3)),
    Case(2, (5, 6, 3), "noise", 0.5),
    Case(2, (1, 1, 1), "waves", 3.0),
    Case(1, (1, 18, 3), "waves"),
]


@needs_kernel
@pytest.mark.parametrize("case", CASES, ids=str)
def test_numpy_does_the_same_as_the_kernel(case: Case) -> None:
    assert KERNEL is not None
    height, width, channels = case.size
    samples = samples_of(case)
    known = (channels, height, width), case.shift, case.period, case.grid, case.sigma or 1.0
    known += known_of(case, samples)  # type: ignore[assignment]
    made = []
    for record, pop in ((KERNEL.record, KERNEL.pop), (record_strip, pop_strip)):
        learnt, some = start_of(case.level, channels), np.zeros(20 * samples.size, np.uint32)
        count, bits = record(case.level, *known, samples.copy(), learnt, some)
        full = stack(PLENTY)
        Recorded(some[:count], bits).push(full)
        back, again = np.zeros_like(samples), start_of(case.level, channels)
        left = pop(case.level, *known, back, again, full.states, full.words, full.count, 0)
        assert np.array_equal(back, samples) and again.tobytes() == learnt.tobytes()
        made.append((count, some[:count].tobytes(), learnt.tobytes(), left))
    assert made[0] == made[1] and made[0][-1] == PLENTY - LANES


@needs_kernel
@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("words", [LANES, LANES + 2, PLENTY])
def test_any_words_are_popped_alike(level: int, words: int) -> None:
    assert KERNEL is not None
    case = Case(level, (4, 7, 3), sigma=0.5)
    known = (3, 4, 7), 0, 7, 4, 0.5, *known_of(case, samples_of(case))
    made = []
    for pop in (KERNEL.pop, pop_strip):
        samples, learnt, full = np.zeros((4, 7, 3), np.uint16), start_of(level, 3), stack(words, 9)
        left = pop(level, *known, samples, learnt, full.states, full.words, full.count, 5)
        assert samples.max() < 256 and left <= words - LANES
        made.append((left, samples.tobytes() if left >= 0 else b""))
    assert made[0] == made[1]
    assert (made[0][0] < 0) == (words < PLENTY)


@pytest.mark.skipif(KERNEL is None, reason="numpy takes a thousand times as long")
class TestStrips:
    @given(
        st.integers(1, 19),
        st.integers(1, 37),
        st.sampled_from([1, 3]),
        st.sampled_from([0.5, 3.0, 10.0]),
        st.integers(0, 2),
        st.sampled_from([NO_GRID, ColourGrid(7, 0), ColourGrid(1, 1), ColourGrid(32, 4)]),
    )
    @settings(max_examples=40, deadline=None)
    def test_popping_undoes_pushing(
        self, height: int, width: int, channels: int, sigma: float, level: int, grid: ColourGrid
    ) -> None:
        planes, side = strip(height, width, channels, sigma, seed=height)
        format, learnt, again = SampleFormat(channels, 8), *(fresh(planes, side, level),) * 2
        learnt, again = learnt.copy(), again.copy()
        before = stack(PLENTY)
        after = before.copy()
        stacked.record_strip(planes, side, level, format, learnt, grid).push(after)
        back = stacked.pop_strip(after, planes.shape[1:], side, level, format, again)
        assert np.array_equal(back, planes) and same(before, after)
        assert again.tobytes() == learnt.tobytes()

    @pytest.mark.parametrize("sigma", [0.5, 10.0])
    def test_the_cost_is_the_ideal_and_that_of_the_bytes(self, sigma: float) -> None:
        planes, side = strip(40, 50, 3, sigma, seed=1)
        format, full = SampleFormat(3, 8), stack(PLENTY)
        before = full.bits
        made = stacked.record_strip(planes, side, 2, format, fresh(planes, side, 2), NO_GRID)
        made.push(full)
        assert full.bits - before == pytest.approx(made.bits, rel=1e-5)
        code = encode_strip(planes, side, 2, format, grid=NO_GRID)
        assert made.bits == pytest.approx(code.bits, abs=0.2)  # 1 bit of 8 says that there is none
        assert full.bits - before == pytest.approx(8 * len(code.data) - 8, abs=9)
        assert np.array_equal(decode_strip(code.data, True, (40, 50), side, 2, format)[0], planes)

    def test_what_was_learnt_helps_the_next_one(self) -> None:
        planes, side = strip(24, 24, 3, 3.0, seed=2)
        format, learnt = SampleFormat(3, 8), fresh(planes, side, 2)
        begun = learnt.copy()
        first, second = (
            stacked.record_strip(planes, side, 2, format, learnt, NO_GRID) for _ in range(2)
        )
        assert second.bits < 0.97 * first.bits and not np.array_equal(begun, learnt)

    def test_more_decisions_than_there_is_room_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        planes, side = strip(9, 11, 3, 3.0, seed=3)
        format = SampleFormat(3, 8)
        known, small = fresh(planes, side, 2), fresh(planes, side, 2)
        whole = stacked.record_strip(planes, side, 2, format, known, NO_GRID)
        monkeypatch.setattr(stacked, "ROOM", 1)
        again = stacked.record_strip(planes, side, 2, format, small, NO_GRID)
        assert np.array_equal(whole.decisions, again.decisions) and whole.bits == again.bits
        assert known.tobytes() == small.tobytes()

    def test_an_empty_stack_says_so(self) -> None:
        planes, side = strip(30, 30, 3, 3.0, seed=4)
        with pytest.raises(StackEmpty):
            learnt = fresh(planes, side, 2)
            stacked.pop_strip(stack(LANES + 3), (30, 30), side, 2, SampleFormat(3, 8), learnt)
