"""The trellis codes: every prefix decodes, one result on every path, bits near the information."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from diffcodec.bitstream import butterfly_search, viterbi
from diffcodec.bitstream.butterfly import BUTTERFLY
from diffcodec.bitstream.hashed import HASHED
from diffcodec.bitstream.randomness import LEVELS, UNIT, gaussian
from diffcodec.bitstream.rate import scale_for
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.trellis_labels import SEGMENT, Labels, branch_words, segments
from tests.coding import delivered, normal, overhead, some_bits

CODES = [Trellis(nu, labels) for labels in (HASHED, BUTTERFLY) for nu in labels.memories]
CODE = st.sampled_from([code for code in CODES if code.nu <= 16])
both = pytest.mark.parametrize("labels", [HASHED, BUTTERFLY], ids=lambda labels: labels.name)

# --- what the decoder promises ------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 400), CODE, st.integers(0, 2**64 - 1), st.data())
def test_every_prefix_decodes(
    dims: int, n: int, code: Trellis, seed: int, data: st.DataObject
) -> None:
    bits = some_bits(n, seed % 1000)
    whole, received = code.codeword(bits, n, dims, seed, 3)
    assert whole.shape == (dims,) and whole.dtype == np.float32
    assert received == (dims if n else 0)
    levels = np.rint(whole * UNIT).astype(np.int64)
    signs = code.labels == BUTTERFLY and n and dims >= 4 * n
    assert np.isin(levels, [-UNIT, UNIT] if signs else LEVELS if n else [0]).all()
    k = data.draw(st.integers(0, n))
    part, known = code.codeword(bits[:k], n, dims, seed, 3)
    stages = n if k == n else max(0, k - code.labels.memory(n, code.nu))
    assert known == (stages * dims // n if n else 0)
    assert np.array_equal(part[:known], whole[:known])
    assert not part[known:].any()
    assert known == code.known(k, n, dims)


@both
def test_prefixes_of_several_segments(labels: Labels) -> None:
    n, dims, nu, code = 2 * SEGMENT + 77, 30_001, 12, Trellis(12, labels)
    bits = some_bits(n)
    whole, _ = code.codeword(bits, n, dims, 0, 0)
    edges = [a for a, _ in segments(n)] + [n]
    assert len(edges) == 4 and max(np.diff(edges)) <= SEGMENT
    for k, stages in [(edges[1] - 1, edges[1] - 1 - nu), (edges[1], edges[1])]:
        part, known = code.codeword(bits[:k], n, dims, 0, 0)
        assert known == code.known(k, n, dims) == stages * dims // n
        assert np.array_equal(part[:known], whole[:known])
    assert code.codeword(bits[: edges[1] + nu], n, dims, 0, 0)[1] == edges[1] * dims // n
    assert code.codeword(bits[: edges[2] + nu + 1], n, dims, 0, 0)[1] == (edges[2] + 1) * dims // n


@both
def test_every_bit_matters(labels: Labels) -> None:
    n, dims, code = 60, 600, Trellis(10, labels)
    bits = some_bits(n)
    z = code.codeword(bits, n, dims, 1, 1)[0]
    for i in range(n):
        flipped = bits.copy()
        flipped[i] ^= 1
        there = code.codeword(flipped, n, dims, 1, 1)[0]
        changed = np.flatnonzero((there != z).reshape(n, -1).any(1))
        assert set(changed) <= {(i - j) % n for j in range(11)} and len(changed) >= 9


def test_branch_words_are_cyclic() -> None:
    bits = np.array([1, 0, 0, 1, 1], np.uint8)
    assert branch_words(bits, 2).tolist() == [0b100, 0b001, 0b011, 0b111, 0b110]
    assert branch_words(bits[:2], 4).tolist() == [0b10101, 0b01010]


# --- the search -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 80), CODE, st.integers(0, 2**64 - 1))
def test_encoder_beats_chance_and_ignores_scale(
    dims: int, n: int, code: Trellis, step: int
) -> None:
    v = normal(dims, step % 1000)
    bits = code.search(v, n, 2, step)
    assert bits.shape == (n,) and bits.dtype == np.uint8 and not (bits & ~np.uint8(1)).any()
    assert np.array_equal(bits, code.search(v * np.float32(1024), n, 2, step))
    if n >= 4 and dims >= 4:
        v /= np.sqrt(np.mean(v**2))
        penalty = math.sqrt(1 - 2 ** (-2 * n / dims)) / 2
        other = some_bits(n, step % 1000)
        z, wrong = (code.codeword(b, n, dims, 2, step)[0] for b in (bits, other))
        assert z @ v - penalty * (z @ z) > wrong @ v - penalty * (wrong @ wrong) - 0.3


@both
@pytest.mark.parametrize("n", [0, 1, 5, 30, 200])
def test_zero_target(n: int, labels: Labels) -> None:
    code = Trellis(10, labels)
    bits = code.search(np.zeros(50, np.float32), n, 0, 0)
    assert bits.shape == (n,)
    assert code.codeword(bits, n, 50, 0, 0)[1] == (50 if n else 0)


@both
@pytest.mark.parametrize(("dims", "n"), [(1, 5000), (3, 4097), (300_000, 3), (70_000, 17)])
def test_extreme_shapes(dims: int, n: int, labels: Labels) -> None:
    v, code = normal(dims), Trellis(8, labels)
    bits = code.search(v, n, 0, 0)
    z, received = code.codeword(bits, n, dims, 0, 0)
    assert received == dims and bits.shape == (n,)
    assert z @ v > 0


@both
@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("dims", [30, 200])
def test_short_blocks_get_the_best_of_all_messages(n: int, dims: int, labels: Labels) -> None:
    code = Trellis(12, labels)
    penalty = math.sqrt(1 - 2 ** (-2 * n / dims)) / 2
    messages = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.uint8)
    for step in range(10):
        v = normal(dims, step)
        v /= np.sqrt(np.mean(v**2))
        z = np.stack([code.codeword(m, n, dims, 0, step)[0] for m in messages])
        score = z @ v - penalty * np.square(z).sum(axis=1)
        own = code.codeword(code.search(v, n, 0, step), n, dims, 0, step)[0]
        coarse = 0.3 if labels == HASHED else 0.1 * math.sqrt(dims)  # the encoder rounds scores
        assert own @ v - penalty * (own @ own) > score.max() - coarse


@both
def test_workers_do_not_change_the_bits(labels: Labels) -> None:
    n, code = SEGMENT + 500, Trellis(8, labels)
    v = normal(2 * n)
    assert np.array_equal(code.search(v, n, 0, 0, workers=3), code.search(v, n, 0, 0))


# --- how good it is -------------------------------------------------------------------------------

KERNELS = (viterbi.KERNEL, butterfly_search.KERNEL)
FAST = pytest.mark.skipif(None in KERNELS, reason="takes minutes without the C kernels")


@FAST
@pytest.mark.parametrize(
    ("labels", "nu", "n", "limit"),
    [
        (HASHED, 8, 1024, 0.18),
        (HASHED, 10, 1024, 0.12),
        (HASHED, 12, 1024, 0.092),
        (HASHED, 14, 1024, 0.078),
        (HASHED, 12, 64, 0.105),
        (HASHED, 12, 32, 0.15),
        (HASHED, 12, 16, 0.24),
        (BUTTERFLY, 8, 1024, 0.125),
        (BUTTERFLY, 10, 1024, 0.09),
        (BUTTERFLY, 12, 1024, 0.07),
        (BUTTERFLY, 14, 4096, 0.056),
        (BUTTERFLY, 16, 4096, 0.047),
        (BUTTERFLY, 14, 128, 0.07),
        (BUTTERFLY, 12, 64, 0.105),
        (BUTTERFLY, 12, 32, 0.17),
    ],
)
def test_overhead(labels: Labels, nu: int, n: int, limit: float) -> None:
    found = overhead(Trellis(nu, labels), 16 * n, n, blocks=min(60, max(6, 3000 // n)))
    assert limit - 0.045 < found < limit


@both
def test_overhead_without_kernel(labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viterbi, "KERNEL", None)
    monkeypatch.setattr(butterfly_search, "KERNEL", None)
    assert 0.07 < overhead(Trellis(8, labels), 3000, 200, blocks=8) < 0.20


@FAST
@both
@pytest.mark.parametrize("dims_per_bit", [0.5, 1, 4, 24, 100, 300])
def test_overhead_at_other_rates(dims_per_bit: float, labels: Labels) -> None:
    found = overhead(Trellis(12, labels), round(512 * dims_per_bit), 512, blocks=8)
    assert 0.03 < found < (0.10 if dims_per_bit >= 1 or labels == HASHED else 0.12)


@FAST
@pytest.mark.parametrize(
    ("labels", "nu", "energy"),
    [
        *((HASHED, nu, e) for nu, e in [(10, -40), (12, -80), (12, -40), (12, 8), (14, -60)]),
        *((BUTTERFLY, nu, e) for nu, e in [(8, -60), (12, -80), (14, -40), (14, -8), (16, -60)]),
    ],
)
def test_bits_deliver_the_ideal(labels: Labels, nu: int, energy: int) -> None:
    dims, told, blocks, code = 6000, 0.0, 6, Trellis(nu, labels)
    ideal = dims * 0.5 * math.log2(1 + 2 ** (energy / 16))
    n = code.bits(dims, energy)
    for i in range(blocks):
        v = normal(dims, i)
        told += delivered(code.codeword(code.search(v, n, 8, i), n, dims, 8, i)[0], v) / blocks
    assert told / ideal == pytest.approx(1, abs=0.03)


@FAST
@both
def test_uneven_energy_costs_the_same_after_rotation(labels: Labels) -> None:
    dims, n, cost, code = 12_288, 800, [], Trellis(12, labels)
    for even in (True, False):
        told = 0.0
        for i in range(4):
            mu = normal(dims, i)
            if not even:
                mu[: dims * 3 // 4] *= 0.02
            bits = code.encode(mu, n, 1, i)
            told += delivered(code.decode(bits, n, dims, 1, i)[0], mu)
        cost.append(4 * n / told)
    assert cost[1] == pytest.approx(cost[0], abs=0.025)


@FAST
@both
@pytest.mark.parametrize("energy", [-64, -16, 16])
def test_noise_looks_gaussian(energy: int, labels: Labels) -> None:
    """scale * z - mu is N(0, 1) in the original coordinates, white, and hardly knows mu."""
    dims, code = 4096, Trellis(12, labels)
    mu = gaussian(1, 2, dims) * np.float32(2 ** (energy / 32))
    mu[: dims // 2] *= np.float32(0.1)
    mu *= np.float32(2 ** (energy / 32) / math.sqrt(np.mean(mu**2)))
    noise = []
    for step in range(4):
        bits = code.encode(mu, code.bits(dims, energy), 3, step)
        z, _ = code.decode(bits, len(bits), dims, 3, step)
        assert np.mean(z**2) == pytest.approx(1, abs=0.08)
        noise.append(z * np.float32(scale_for(energy)) - mu)
    x = np.concatenate(noise).astype(np.float64)
    assert np.mean(x**2) == pytest.approx(1, abs=0.06)
    assert np.mean(x**4) / np.mean(x**2) ** 2 == pytest.approx(3, abs=0.2)
    assert kstest(x / x.std(), "norm").statistic < 0.015
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03
    assert abs(x @ np.tile(mu, 4)) / (4 * (mu @ mu)) < 0.04


# --- how many bits, and what is refused -----------------------------------------------------------


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_bits_are_monotone_and_cover_all_indices(code: Trellis) -> None:
    n = [code.bits(3072, i) for i in range(-320, 161)]
    assert n == sorted(n) and n[0] == 0 and n[-1] > 5 * 3072
    assert 5 * 72_000_000 < code.bits(72_000_000, 160) < 5.5 * 72_000_000


def test_refusals() -> None:
    with pytest.raises(ValueError, match="state bits, not 9"):
        Trellis(9)
    with pytest.raises(ValueError, match="cannot code 0 coordinates"):
        Trellis(8).search(normal(0), 5, 0, 0)
    with pytest.raises(ValueError, match="6 bits given for a step of 5"):
        Trellis(8).codeword(some_bits(6), 5, 10, 0, 0)
