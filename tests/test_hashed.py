"""The hashed trellis: its labels are the format's, its search is the same by every path."""

from __future__ import annotations

from decimal import Decimal, getcontext
from types import ModuleType

import numpy as np
import pytest

from diffcodec.bitstream import viterbi
from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.hashed import HASHED, _scores
from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, octets, words
from diffcodec.bitstream.rate import scale_for
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.trellis_labels import boundaries, branch_words, label_table, shifts
from tests.coding import digest, normal, some_bits

MEMORIES = HASHED.memories


def by_the_book(bits: list[int], n: int, dims: int, nu: int, seed: int, step: int) -> list[int]:
    """Levels of a whole codeword, one number at a time, as FORMAT-coder.md has it."""
    keys = words(0, Stream.LABELS, 0, 256 * 256).tolist()
    rows = [sorted(range(256), key=lambda r, j=j: keys[256 * j + r]) for j in range(256)]  # type: ignore[misc]
    flips = words(seed, Stream.CODEWORD_SIGNS, step, -(-dims // 64)).tolist()
    count, z = -(-n // 4096), [0] * dims
    for s in range(count):
        a, b = s * n // count, (s + 1) * n // count
        m = min(nu, 8 + (b - a) // 10)
        shift = [w >> 56 for w in words(0, Stream.SHIFTS, m, 1 << (m - 7)).tolist()]
        for j in range(b - a):
            w = 0
            for t in range(m + 1):
                w = 2 * w + bits[a + (j + t) % (b - a)]
            label = ((w & 255) + shift[w >> 8]) % 256
            first = (a + j) * dims // n
            for d in range(first, (a + j + 1) * dims // n):
                level = int(LEVELS[rows[(d - first) % 256][label]])
                z[d] = -level if flips[d // 64] >> (d % 64) & 1 else level
    return z


@pytest.mark.parametrize(("n", "dims"), [(1, 2), (5, 700), (30, 7), (150, 2000), (4100, 5000)])
@pytest.mark.parametrize("nu", [10, 16])
def test_decoder_follows_the_format(n: int, dims: int, nu: int) -> None:
    bits = some_bits(n, n)
    z, _ = Trellis(nu).codeword(bits, n, dims, 2**63 + 5, 7)
    assert (z * UNIT).tolist() == by_the_book(bits.tolist(), n, dims, nu, 2**63 + 5, 7)


def test_golden() -> None:
    """Tables and codewords are part of the format: these must hold for ever."""
    assert digest(label_table()) == "142ab872088fd58f"
    assert digest(*(shifts(nu) for nu in range(8, 17))) == "a0d8f347f11a1f4c"
    cases = [(1, 3), (7, 100), (40, 33), (64, 64), (300, 20_000), (5000, 9999)]
    codewords = [
        Trellis(nu).codeword(octets(1, Stream.LABELS, n, n) & np.uint8(1), n, dims, 5, n)[0]
        for nu in MEMORIES
        for n, dims in cases
    ]
    assert digest(*codewords) == "546d4f36a485ecf7"


# --- the search -----------------------------------------------------------------------------------


def both_ways(monkeypatch: pytest.MonkeyPatch, nu: int, *args: object) -> list[Bits]:
    found = []
    for kernel in (viterbi.KERNEL, None):
        monkeypatch.setattr(viterbi, "KERNEL", kernel)
        found.append(Trellis(nu).search(*args))  # type: ignore[arg-type]
    return found


@pytest.mark.skipif(viterbi.KERNEL is None, reason="the C kernel is not built, or switched off")
@pytest.mark.parametrize("nu", MEMORIES)
def test_kernel_and_numpy_find_the_same_bits(nu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, dims in [(1, 9), (12, 30), (17, 200), (33, 5), (90, 1000), (171, 171), (260, 60)]:
        if n > 171 and nu > 12:
            continue
        fast, slow = both_ways(monkeypatch, nu, normal(dims, n), n, 4, n)
        monkeypatch.undo()
        assert np.array_equal(fast, slow), (n, dims)


@pytest.mark.skipif(viterbi.KERNEL is None, reason="the C kernel is not built, or switched off")
@pytest.mark.parametrize("nu", [8, 9, 10, 13])
@pytest.mark.parametrize("n", [13, 14, 40, 99])  # an odd number ends with a single stage
def test_every_instruction_set_finds_the_same_bits(n: int, nu: int) -> None:
    assert viterbi.KERNEL is not None
    lowest = viterbi.lowest_score(nu)
    scores = np.random.default_rng(n).integers(lowest, 1, (n, 256)).astype(np.int16)
    seams = np.array([0, 1, (1 << nu) - 1, 77], np.int32)
    expected = viterbi._ring(scores, shifts(nu), nu, seams)
    sets = viterbi.KERNEL.instruction_sets()
    for which in range(sets):
        path = np.empty(n, np.uint8)
        viterbi.KERNEL.ring(scores, shifts(nu), nu, seams, lowest, path, which)
        assert np.array_equal(path, expected), which
    with pytest.raises(ValueError, match=f"no instruction set number {sets}"):
        viterbi.KERNEL.ring(scores, shifts(nu), nu, seams, lowest, path, sets)


@pytest.mark.parametrize("kernel", [viterbi.KERNEL, None], ids=["kernel", "numpy"])
@pytest.mark.parametrize("nu", [8, 16])
def test_no_overflow_whatever_the_scores(
    nu: int, kernel: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics in int16 equal metrics in int64, for the most uneven scores allowed."""
    monkeypatch.setattr(viterbi, "KERNEL", kernel)
    rng, states, lowest = np.random.default_rng(nu), 1 << nu, viterbi.lowest_score(nu)
    scores = np.where(rng.random((50, 256)) < 0.02, 0, lowest).astype(np.int16)
    scores[20:28] = lowest  # all sink together for a whole period
    label = viterbi.labels(np.arange(2 * states, dtype=np.uint32), shifts(nu))
    for direction in (1, -1):
        metric = viterbi._reach(scores, shifts(nu), nu, direction)
        exact = np.zeros(states, np.int64)
        for row in scores[::direction]:
            branch = row[label].astype(np.int64)
            if direction == 1:
                exact = (branch.reshape(2, -1) + np.repeat(exact, 2).reshape(2, -1)).max(0)
            else:
                exact = (branch + np.tile(exact, 2)).reshape(-1, 2).max(1)
        assert np.array_equal(metric - int(metric[0]), exact - exact[0])


@pytest.mark.parametrize("kernel", [viterbi.KERNEL, None], ids=["kernel", "numpy"])
def test_scores_are_clipped_distances(
    kernel: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viterbi, "KERNEL", kernel)
    products = np.rint(normal(20 * 256).reshape(20, 256) * 1e5).astype(np.float32)
    scores = np.empty((20, 256), np.int16)
    viterbi.score_into(scores, products, 8, 12)
    below = (products - products.max(axis=1, keepdims=True)).astype(np.int64) // 256
    assert (below < viterbi.lowest_score(12)).any()
    assert np.array_equal(scores, np.maximum(below, viterbi.lowest_score(12)))


@pytest.mark.parametrize("dims", [200, 3000, 200_000])
def test_scores_use_their_range(dims: int) -> None:
    lowest = viterbi.lowest_score(12)
    scores = _scores(normal(dims), boundaries(dims, 200, 0, 200), 200 / dims, 12)
    assert lowest / 4 > scores.min() and np.mean(scores == lowest) < 0.01


def test_ring_search_comes_close_to_all_messages() -> None:
    n, nu, lost = 14, 8, []
    message = np.arange(1 << n)
    bits = (message[:, None] >> np.arange(n)[::-1] & 1).astype(np.uint8)
    label = np.stack([viterbi.labels(branch_words(row, nu), shifts(nu)) for row in bits])
    for trial in range(8):
        scores = np.random.default_rng(trial).integers(viterbi.lowest_score(nu) // 3, 1, (n, 256))
        best = scores[np.arange(n), label].sum(axis=1).max()
        path = viterbi.best_ring(scores.astype(np.int16), shifts(nu), nu)
        found = viterbi.labels(branch_words(path, nu), shifts(nu))
        total = scores[np.arange(n), found].sum()
        assert total <= best
        lost.append(best - total)
    assert np.count_nonzero(lost) <= 3


# --- how many bits --------------------------------------------------------------------------------


def test_bits_for_is_the_documented_formula() -> None:
    getcontext().prec = 60
    for i in (-320, -97, -16, 0, 33, 160):
        h = (1 + Decimal(2) ** (Decimal(i) / 16)).ln() / Decimal(2).ln() / 2
        for dims in (1, 3072, 1_179_648):
            loss = Decimal("0.085") * h / (1 + Decimal("0.3") * h)
            exact = dims * (h + loss) + min(Decimal(1), dims * h)
            assert abs(Trellis(12).bits(dims, i) - exact) <= Decimal("0.501")
        assert scale_for(i) == float((1 + Decimal(2) ** (Decimal(i) / 16)).sqrt())


def test_golden_bits_for() -> None:
    table = [
        Trellis(nu).bits(d, i)
        for nu in MEMORIES
        for d in (1, 3072, 999_999)
        for i in range(-320, 161)
    ]
    assert digest(np.array(table, np.int64)) == "b0fa326e45b65d45"
