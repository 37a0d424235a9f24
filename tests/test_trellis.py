"""The trellis code: every prefix decodes, one result on every path, bits near the information."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal, getcontext
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from diffcodec.bitstream import viterbi
from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, gaussian, octets, words
from diffcodec.bitstream.rate import scale_for
from diffcodec.bitstream.rotation import rotate, unrotate
from diffcodec.bitstream.trellis import (
    MEMORIES,
    bits_for,
    coordinates_known,
    decode,
    encode,
)
from diffcodec.bitstream.trellis_labels import (
    SEGMENT,
    boundaries,
    branch_words,
    label_table,
    memory,
    segments,
    shifts,
)
from diffcodec.bitstream.trellis_search import _scores

NU = st.sampled_from(MEMORIES)


def normal(n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def some_bits(n: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, n, dtype=np.uint8)


def delivered(z: NDArray[np.float32], mu: NDArray[np.float32]) -> float:
    """Bits that the direction of z tells about mu: -(D/2) log2(1 - cos^2)."""
    z, mu = z.astype(np.float64), mu.astype(np.float64)
    cosine2 = (z @ mu) ** 2 / ((z @ z) * (mu @ mu))
    return -0.5 * z.size * math.log2(1 - cosine2)


def overhead(dims: int, n: int, nu: int, blocks: int) -> float:
    """Share of the bits beyond what they deliver."""
    told = 0.0
    for i in range(blocks):
        v = normal(dims, i)
        told += delivered(decode(encode(v, n, nu, 11, i), n, dims, nu, 11, i)[0], v)
    return n * blocks / told - 1


# --- what the decoder promises ------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 400), NU, st.integers(0, 2**64 - 1), st.data())
def test_every_prefix_decodes(dims: int, n: int, nu: int, seed: int, data: st.DataObject) -> None:
    bits = some_bits(n, seed % 1000)
    whole, received = decode(bits, n, dims, nu, seed, 3)
    assert whole.shape == (dims,) and whole.dtype == np.float32
    assert received == (dims if n else 0)
    levels = np.rint(whole * UNIT).astype(np.int64)
    assert np.isin(levels, LEVELS if n else [0]).all()
    k = data.draw(st.integers(0, n))
    part, known = decode(bits[:k], n, dims, nu, seed, 3)
    stages = n if k == n else max(0, k - memory(n, nu))
    assert known == (stages * dims // n if n else 0)
    assert np.array_equal(part[:known], whole[:known])
    assert not part[known:].any()
    assert known == coordinates_known(k, n, dims, nu)


def test_prefixes_of_several_segments() -> None:
    n, dims, nu = 2 * SEGMENT + 77, 30_001, 12
    bits = some_bits(n)
    whole, _ = decode(bits, n, dims, nu, 0, 0)
    edges = [a for a, _ in segments(n)] + [n]
    assert len(edges) == 4 and max(np.diff(edges)) <= SEGMENT
    for k, stages in [(edges[1] - 1, edges[1] - 1 - nu), (edges[1], edges[1])]:
        part, known = decode(bits[:k], n, dims, nu, 0, 0)
        assert known == coordinates_known(k, n, dims, nu) == stages * dims // n
        assert np.array_equal(part[:known], whole[:known])
    assert decode(bits[: edges[1] + nu], n, dims, nu, 0, 0)[1] == edges[1] * dims // n
    assert decode(bits[: edges[2] + nu + 1], n, dims, nu, 0, 0)[1] == (edges[2] + 1) * dims // n


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
    z, _ = decode(bits, n, dims, nu, 2**63 + 5, 7)
    assert (z * UNIT).tolist() == by_the_book(bits.tolist(), n, dims, nu, 2**63 + 5, 7)


def test_every_bit_matters() -> None:
    n, dims = 60, 600
    bits = some_bits(n)
    z = decode(bits, n, dims, 10, 1, 1)[0]
    for i in range(n):
        flipped = bits.copy()
        flipped[i] ^= 1
        changed = np.flatnonzero((decode(flipped, n, dims, 10, 1, 1)[0] != z).reshape(n, -1).any(1))
        assert set(changed) <= {(i - j) % n for j in range(11)} and len(changed) >= 9


def test_branch_words_are_cyclic() -> None:
    bits = np.array([1, 0, 0, 1, 1], np.uint8)
    assert branch_words(bits, 2).tolist() == [0b100, 0b001, 0b011, 0b111, 0b110]
    assert branch_words(bits[:2], 4).tolist() == [0b10101, 0b01010]


def digest(*arrays: NDArray[np.generic]) -> str:
    data = b"".join(x.astype(x.dtype.newbyteorder("<")).tobytes() for x in arrays)
    return hashlib.sha256(data).hexdigest()[:16]


def test_golden() -> None:
    """Tables and codewords are part of the format: these must hold for ever."""
    assert digest(label_table()) == "142ab872088fd58f"
    assert digest(*(shifts(nu) for nu in range(8, 17))) == "a0d8f347f11a1f4c"
    cases = [(1, 3), (7, 100), (40, 33), (64, 64), (300, 20_000), (5000, 9999)]
    codewords = [
        decode(octets(1, Stream.LABELS, n, n) & np.uint8(1), n, dims, nu, 5, n)[0]
        for nu in MEMORIES
        for n, dims in cases
    ]
    assert digest(*codewords) == "546d4f36a485ecf7"


# --- the search -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 80), NU, st.integers(0, 2**64 - 1))
def test_encoder_beats_chance_and_ignores_scale(dims: int, n: int, nu: int, step: int) -> None:
    v = normal(dims, step % 1000)
    bits = encode(v, n, nu, 2, step)
    assert bits.shape == (n,) and bits.dtype == np.uint8 and not (bits & ~np.uint8(1)).any()
    assert np.array_equal(bits, encode(v * np.float32(1024), n, nu, 2, step))
    if n >= 4 and dims >= 4:
        v /= np.sqrt(np.mean(v**2))
        penalty = math.sqrt(1 - 2 ** (-2 * n / dims)) / 2
        z, wrong = (decode(b, n, dims, nu, 2, step)[0] for b in (bits, 1 - bits))
        assert z @ v - penalty * (z @ z) > wrong @ v - penalty * (wrong @ wrong) - 0.3


@pytest.mark.parametrize("n", [0, 1, 5, 30, 200])
def test_zero_target(n: int) -> None:
    bits = encode(np.zeros(50, np.float32), n, 10, 0, 0)
    assert bits.shape == (n,)
    assert decode(bits, n, 50, 10, 0, 0)[1] == (50 if n else 0)


@pytest.mark.parametrize(("dims", "n"), [(1, 5000), (3, 4097), (300_000, 3), (70_000, 17)])
def test_extreme_shapes(dims: int, n: int) -> None:
    v = normal(dims)
    bits = encode(v, n, 8, 0, 0)
    z, received = decode(bits, n, dims, 8, 0, 0)
    assert received == dims and bits.shape == (n,)
    assert z @ v > 0


def both_ways(monkeypatch: pytest.MonkeyPatch, *args: object) -> list[NDArray[np.uint8]]:
    found = []
    for kernel in (viterbi.KERNEL, None):
        monkeypatch.setattr(viterbi, "KERNEL", kernel)
        found.append(encode(*args))  # type: ignore[arg-type]
    return found


@pytest.mark.skipif(viterbi.KERNEL is None, reason="the C kernel is not built, or switched off")
@pytest.mark.parametrize("nu", MEMORIES)
def test_kernel_and_numpy_find_the_same_bits(nu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, dims in [(1, 9), (12, 30), (17, 200), (33, 5), (90, 1000), (171, 171), (260, 60)]:
        if n > 171 and nu > 12:
            continue
        fast, slow = both_ways(monkeypatch, normal(dims, n), n, nu, 4, n)
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


@pytest.mark.parametrize("n", [2, 5, 9])
def test_short_blocks_get_the_best_of_all_messages(n: int) -> None:
    dims, nu = 40, 12
    penalty = math.sqrt(1 - 2 ** (-2 * n / dims)) / 2
    messages = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.uint8)
    for step in range(10):
        v = normal(dims, step)
        v /= np.sqrt(np.mean(v**2))
        z = np.stack([decode(m, n, dims, nu, 0, step)[0] for m in messages])
        score = z @ v - penalty * np.square(z).sum(axis=1)
        own = decode(encode(v, n, nu, 0, step), n, dims, nu, 0, step)[0]
        assert own @ v - penalty * (own @ own) > score.max() - 0.3  # the encoder rounds


def test_workers_do_not_change_the_bits() -> None:
    n = SEGMENT + 500
    v = normal(2 * n)
    assert np.array_equal(encode(v, n, 8, 0, 0, workers=3), encode(v, n, 8, 0, 0))


# --- how good it is -------------------------------------------------------------------------------

FAST = pytest.mark.skipif(viterbi.KERNEL is None, reason="takes minutes without the C kernel")


@FAST
@pytest.mark.parametrize(
    ("nu", "n", "limit"),
    [
        (8, 1024, 0.18),
        (10, 1024, 0.12),
        (12, 1024, 0.092),
        (14, 1024, 0.078),
        (12, 64, 0.105),
        (12, 32, 0.15),
        (12, 16, 0.24),
    ],
)
def test_overhead(nu: int, n: int, limit: float) -> None:
    found = overhead(16 * n, n, nu, blocks=min(60, max(6, 3000 // n)))
    assert limit - 0.045 < found < limit


def test_overhead_without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viterbi, "KERNEL", None)
    assert 0.10 < overhead(3000, 200, 8, blocks=8) < 0.20


@FAST
@pytest.mark.parametrize("dims_per_bit", [0.5, 1, 4, 300])
def test_overhead_at_other_rates(dims_per_bit: float) -> None:
    found = overhead(round(512 * dims_per_bit), 512, 12, blocks=8)
    assert 0.03 < found < 0.10


@FAST
@pytest.mark.parametrize(("nu", "energy"), [(10, -40), (12, -80), (12, -40), (12, 8), (14, -60)])
def test_bits_for_delivers_the_ideal(nu: int, energy: int) -> None:
    dims, told, blocks = 6000, 0.0, 6
    ideal = dims * 0.5 * math.log2(1 + 2 ** (energy / 16))
    n = bits_for(dims, energy, nu)
    for i in range(blocks):
        v = normal(dims, i)
        told += delivered(decode(encode(v, n, nu, 8, i), n, dims, nu, 8, i)[0], v) / blocks
    assert told / ideal == pytest.approx(1, abs=0.03)


@FAST
def test_uneven_energy_costs_the_same_after_rotation() -> None:
    dims, n, cost = 12_288, 800, []
    for even in (True, False):
        told = 0.0
        for i in range(4):
            mu = normal(dims, i)
            if not even:
                mu[: dims * 3 // 4] *= 0.02
            bits = encode(rotate(mu, 1, i), n, 12, 1, i)
            told += delivered(unrotate(decode(bits, n, dims, 12, 1, i)[0], 1, i), mu)
        cost.append(4 * n / told)
    assert cost[1] == pytest.approx(cost[0], abs=0.025)


@FAST
@pytest.mark.parametrize("energy", [-64, -16, 16])
def test_noise_looks_gaussian(energy: int) -> None:
    """scale * z - mu is N(0, 1) in the original coordinates, white, and hardly knows mu."""
    dims, nu = 4096, 12
    mu = gaussian(1, 2, dims) * np.float32(2 ** (energy / 32))
    mu[: dims // 2] *= np.float32(0.1)
    mu *= np.float32(2 ** (energy / 32) / math.sqrt(np.mean(mu**2)))
    noise = []
    for step in range(4):
        bits = encode(rotate(mu, 3, step), bits_for(dims, energy, nu), nu, 3, step)
        z, _ = decode(bits, len(bits), dims, nu, 3, step)
        assert np.mean(z**2) == pytest.approx(1, abs=0.06)
        noise.append(unrotate(z, 3, step) * np.float32(scale_for(energy)) - mu)
    x = np.concatenate(noise).astype(np.float64)
    assert np.mean(x**2) == pytest.approx(1, abs=0.06)
    assert np.mean(x**4) / np.mean(x**2) ** 2 == pytest.approx(3, abs=0.2)
    assert kstest(x / x.std(), "norm").statistic < 0.015
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03
    assert abs(x @ np.tile(mu, 4)) / (4 * (mu @ mu)) < 0.04


# --- how many bits --------------------------------------------------------------------------------


def test_bits_for_is_monotone_and_covers_all_indices() -> None:
    for nu in MEMORIES:
        n = [bits_for(3072, i, nu) for i in range(-320, 161)]
        assert n == sorted(n) and n[0] == 0 and n[-1] > 5 * 3072
    big = bits_for(72_000_000, 160, 12)
    assert 5 * 72_000_000 < big < 5.5 * 72_000_000


def test_bits_for_is_the_documented_formula() -> None:
    getcontext().prec = 60
    for i in (-320, -97, -16, 0, 33, 160):
        h = (1 + Decimal(2) ** (Decimal(i) / 16)).ln() / Decimal(2).ln() / 2
        for dims in (1, 3072, 1_179_648):
            loss = Decimal("0.085") * h / (1 + Decimal("0.3") * h)
            exact = dims * (h + loss) + min(Decimal(1), dims * h)
            assert abs(bits_for(dims, i, 12) - exact) <= Decimal("0.501")
        assert scale_for(i) == float((1 + Decimal(2) ** (Decimal(i) / 16)).sqrt())


def test_golden_bits_for() -> None:
    table = [
        bits_for(d, i, nu) for nu in MEMORIES for d in (1, 3072, 999_999) for i in range(-320, 161)
    ]
    assert digest(np.array(table, np.int64)) == "b0fa326e45b65d45"


# --- what is refused ------------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(ValueError, match="state bits, not 9"):
        encode(normal(10), 5, 9, 0, 0)
    with pytest.raises(ValueError, match="cannot code 0 coordinates"):
        encode(normal(0), 5, 8, 0, 0)
    with pytest.raises(ValueError, match="6 bits given for a step of 5"):
        decode(some_bits(6), 5, 10, 8, 0, 0)
