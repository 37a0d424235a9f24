"""The polar code: one information set everywhere, every prefix decodes, bits near the ideal."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffcodec.bitstream import polar_search
from diffcodec.bitstream.plan import ENERGY
from diffcodec.bitstream.polar import (
    BLOCK,
    DENSEST,
    SHORTEST,
    SPARSEST,
    Polar,
)
from diffcodec.bitstream.polar_search import LISTS
from diffcodec.bitstream.polar_set import (
    LEAST,
    OCTAVE,
    _lost,
    _split,
    information,
    places,
    reliabilities,
    start,
    transform,
)
from diffcodec.bitstream.randomness import Stream, octets, words
from diffcodec.bitstream.step_codes import STEP_CODES
from diffcodec.bitstream.trellis import Trellis
from tests.coding import delivered, digest, normal, some_bits
from tests.coding import overhead as overhead_of

SHORT = Trellis(8)
SOME = Polar(8, SHORT, pieces=1)
OF_FILES = [code for code in STEP_CODES if isinstance(code, Polar)]


def overhead(dims: int, n: int, paths: int, blocks: int) -> float:
    return overhead_of(Polar(paths, SHORT, 1), dims, n, blocks)


# --- the code -----------------------------------------------------------------------------------


def by_halves(inputs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if len(inputs) == 1:
        return inputs
    first, second = (by_halves(u) for u in np.split(inputs, 2))
    return np.concatenate([first ^ second, second])


@pytest.mark.parametrize("k", [6, 7, 11])
def test_transform_is_that_of_polar_codes(k: int) -> None:
    inputs = some_bits(1 << k)
    assert np.array_equal(transform(inputs), by_halves(inputs))
    assert np.array_equal(transform(transform(inputs)), inputs)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(-2000, 1000), st.data())
def test_reliabilities_symbol_by_symbol(k: int, first: int, data: st.DataObject) -> None:
    """Two numbers a block are enough: the same recursion with one for every symbol."""
    punctured = data.draw(st.integers(0, (1 << k) - 1))
    blocks = np.full((1, 1 << k), first, np.int32)
    blocks[0, :punctured] = LEAST
    while blocks.shape[1] > 1:
        a, b = np.split(blocks, 2, axis=1)
        pairs = _split(a.reshape(-1), b.reshape(-1)).reshape(*a.shape, 2)
        blocks = pairs.transpose(0, 2, 1).reshape(-1, a.shape[1])
    assert np.array_equal(reliabilities(k, punctured, first), blocks[:, 0])


def test_channels_split_as_theory_has_it() -> None:
    """The worse of two equal channels: half the square of a small mean, 4 ln 2 less than a large
    one; means add up."""
    x = np.array([-4000, -2000, -1000, 0, 300, 3000], np.int32)
    worse, better = _split(x, x).reshape(-1, 2).T
    assert np.array_equal(better, x + OCTAVE)
    assert np.array_equal(worse[:2], 2 * x[:2] - OCTAVE)
    assert worse[-1] == pytest.approx(OCTAVE * math.log2(2 ** (3000 / OCTAVE) - 2.77), abs=1)
    assert (np.diff(_lost(np.arange(-3000, 3000, dtype=np.int32))) <= 0).all()
    assert _split(np.array([LEAST]), np.array([77])).tolist() == [LEAST, 77]


def test_information_set() -> None:
    for k, punctured, n in ((13, 0, 1000), (14, 5000, 900), (14, 8191, 2048)):
        code = k, places(k, punctured), start(n, (1 << k) - punctured)
        chosen, more = information(*code, n), information(*code, n + 1)
        assert len(chosen) == n and (np.diff(chosen) < 0).all() and chosen[0] == (1 << k) - 1
        assert np.isin(chosen, more).all() and chosen.min() >= punctured
        score = reliabilities(*code)
        assert score[chosen].min() >= np.delete(score, chosen).max()
    assert information(6, 0, 0, 1).size == 1 and information(6, 0, 0, 64).size == 64


def test_design_follows_the_rate() -> None:
    for n, dims in ((2048, 8192), (5000, 300_000), (9999, 100_003)):
        exact = OCTAVE * math.log2(2 * (4 ** (n / dims) - 1))
        assert start(n, dims) == pytest.approx(exact, abs=40)


# --- what the decoder promises ------------------------------------------------------------------


@pytest.mark.parametrize(("n", "dims"), [(2048, 8192), (2100, 20_011), (25_000, 130_000)])
def test_every_prefix_decodes(n: int, dims: int) -> None:
    bits = some_bits(n)
    whole, received = SOME.codeword(bits, n, dims, 5, 3)
    assert received == dims and whole.dtype == np.float32 and (np.abs(whole) == 1).all()
    before = 0
    for k in [*range(0, n, n // 9), n - 1, n]:
        part, known = SOME.codeword(bits[:k], n, dims, 5, 3)
        assert known == SOME.known(k, n, dims) >= before
        assert np.array_equal(part[:known], whole[:known]) and not part[known:].any()
        before = known
    assert 0 < SOME.known(n - 1, n, dims) < dims


def test_whole_blocks_and_some_of_the_next_are_known() -> None:
    n, dims = 2 * BLOCK, 16 * 2 * BLOCK
    assert SOME.known(BLOCK, n, dims) == dims // 2
    assert SOME.known(BLOCK // 2, n, dims) > dims // 2 // 40
    assert SOME.known(BLOCK - BLOCK // 10, n, dims) > dims // 2 // 8


A, G = (
    """1798 1735 1672 1609 1547 1485 1424 1363 1302 1242 1182 1124 1066 1009 953 899 845 793 743 694
    647 601 557 515 474 435 398 362 328 296 265 236 209 183 160 139 119 102 87 74 63 53 45 37 32 27
    22 19 16 13 11 9 8 7 6 5 4 3 3 2 2 2 1 1 1""",
    """256 225 198 172 150 130 112 96 82 70 60 51 44 37 31 26 22 19 16 13 11 10 8 7 6 5 4 3 3 2 2 2
    1 1 1 1 1 1 1 0 0""",
)


def between(table: str) -> NDArray[np.int64]:
    x = [int(word) for word in table.split()]
    pairs = list(itertools.pairwise(x))
    return np.array([(u * (64 - j) + v * j + 32) // 64 for u, v in pairs for j in range(64)])


def rows_by_the_book(n: int, dims: int, count: int) -> NDArray[np.int64]:
    """Reliabilities of the inputs, with a number for every symbol."""
    m = -(-dims // count)
    size = 1 << (m - 1).bit_length()
    lost, gained = between(A), between(G)
    s = 377 + (n**256).bit_length() - (dims**256).bit_length() + 256 * n // dims
    u = max(1, size // 1024)
    r = np.full((1, size), s // 64 * 64 + 32)
    r[0, : (size - m) // u * u] = -(2**20)
    while (w := r.shape[1] // 2) > 0:
        low, high = np.minimum(r[:, :w], r[:, w:]), np.maximum(r[:, :w], r[:, w:])
        loss = np.maximum(256 - high, lost[np.minimum(np.maximum(high + 1536, 0), 4095)])
        better = high + gained[np.minimum(high - low, 2559)]
        r = np.stack([np.maximum(-(2**20), low - loss), better], axis=1).reshape(-1, w)
    return r[:, 0]


def by_the_book(bits: list[int], n: int, dims: int, seed: int, step: int, pieces: int) -> list[int]:
    """A whole codeword as FORMAT-coder.md has it."""
    flips = words(seed, Stream.CODEWORD_SIGNS, step, -(-dims // 64)).tolist()
    count, z = max(pieces, (n + 8192) // 16_384), [0] * dims
    score = rows_by_the_book(n, dims, count).tolist()
    size = len(score)
    order = sorted(range(size), key=lambda i: (score[i], i), reverse=True)
    for block in range(count):
        a, b = block * n // count, (block + 1) * n // count
        inputs = np.zeros(size, np.uint8)
        inputs[sorted(order[: b - a], reverse=True)] = bits[a:b]
        symbols = by_halves(inputs).tolist()
        first = block * dims // count
        for d in range(first, (block + 1) * dims // count):
            flip = flips[d // 64] >> (d % 64) & 1
            z[d] = 1 - 2 * (symbols[size - 1 - (d - first)] ^ flip)
    return z


@pytest.mark.parametrize(
    ("code", "n", "dims"),
    [
        (SOME, 2048, 8192),
        (SOME, 3001, 33_333),
        (SOME, 24_577, 98_313),
        (OF_FILES[0], 16_384, 65_536),
        (OF_FILES[0], 20_001, 333_333),
        (OF_FILES[1], 147_457, 590_000),
    ],
)
def test_decoder_follows_the_format(code: Polar, n: int, dims: int) -> None:
    bits = some_bits(n, n)
    z, _ = code.codeword(bits, n, dims, 2**63 + 5, 7)
    assert z.tolist() == by_the_book(bits.tolist(), n, dims, 2**63 + 5, 7, code.pieces)


def test_golden_lengths_of_files() -> None:
    """Of the codes that files name, over the whole range of energies: frozen."""
    table = [
        code.bits(dims, energy)
        for code in OF_FILES
        for dims in (70_000, 999_999, 3 << 26)
        for energy in range(ENERGY[0], ENERGY[1] + 1)
    ]
    assert digest(np.array(table, np.int64)) == "8d243a92d512dca9"


def test_golden() -> None:
    """Sets and codewords are part of the format: these must hold for ever."""
    sets = [
        information(k, places(k, p), start(n, (1 << k) - p), n).astype(np.int64)
        for k, p, n in ((13, 0, 2048), (16, 0, 4096), (17, 50_000, 2500), (18, 1000, 16_384))
    ]
    assert digest(*sets) == "d773375392fb4445"
    cases = [(2048, 8192), (2500, 40_000), (9000, 36_001), (33_333, 140_000)]
    codewords = [
        SOME.codeword(octets(1, Stream.LABELS, n, n) & np.uint8(1), n, dims, 5, n)[0]
        for n, dims in cases
    ]
    assert digest(*codewords) == "2e81caf0b96a6696"


def test_sparse_steps_take_little_memory() -> None:
    n, dims = 3000, SPARSEST * 3000
    bits = some_bits(n)
    information.cache_clear()
    reliabilities.cache_clear()
    tracemalloc.start()
    SOME.codeword(bits, n, dims, 0, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 4 * dims  # ten times z


# --- the search -----------------------------------------------------------------------------------


@pytest.mark.parametrize("paths", LISTS)
def test_encoder_finds_a_codeword_of_the_code(paths: int) -> None:
    n, dims = 2048, 9000
    v = normal(dims)
    bits = Polar(paths, SHORT, 1).search(v, n, 2, 1)
    assert bits.shape == (n,) and bits.dtype == np.uint8 and set(bits.tolist()) == {0, 1}
    assert np.array_equal(bits, Polar(paths, SHORT, 1).search(v * np.float32(1024), n, 2, 1))
    assert n / delivered(SOME.codeword(bits, n, dims, 2, 1)[0], v) < 1.08


@pytest.mark.parametrize("paths", [4, 32])
def test_zero_target(paths: int) -> None:
    n, dims = 2048, 10_000
    bits = Polar(paths, SHORT, 1).search(np.zeros(dims, np.float32), n, 0, 0)
    assert bits.shape == (n,) and SOME.codeword(bits, n, dims, 0, 0)[1] == dims


def test_workers_share_blocks() -> None:
    n, dims = 33_000, 132_000
    v = normal(dims)
    bits = Polar(4, SHORT, 1).search(v, n, 0, 0)
    assert np.array_equal(bits, Polar(4, SHORT, 1).search(v, n, 0, 0, workers=3))
    assert n / delivered(SOME.codeword(bits, n, dims, 0, 0)[0], v) < 1.045


@pytest.mark.parametrize(
    ("per_bit", "n", "paths", "limit"),
    [
        (16, 2048, 4, 0.070),
        (16, 4096, 8, 0.047),
        (16, 4096, 16, 0.042),
        (16, 8192, 32, 0.031),
        (16, 4096, 64, 0.033),
        (4, 8192, 16, 0.033),
        (64, 4096, 16, 0.044),
        (17.3, 6000, 32, 0.035),
    ],
)
def test_overhead(per_bit: float, n: int, paths: int, limit: float) -> None:
    found = overhead(round(per_bit * n), n, paths, blocks=3)
    assert limit - 0.016 < found < limit


@pytest.mark.skipif(
    polar_search.KERNEL is None, reason="the C kernel is not built, or switched off"
)
@pytest.mark.parametrize("paths", LISTS)
def test_kernel_and_numpy_find_the_same_bits(paths: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Singles in one order; with values near 0, near 1, and at both ends of what is bounded."""
    code, kernel = Polar(paths, SHORT, 1), polar_search.KERNEL
    for n, dims, spread in [
        (2048, 8192, 1),
        (2100, 20_011, 1),
        (2500, 100_000, 0.01),
        (2048, 9000, 50),
    ]:
        found = []
        for one in (kernel, None):
            monkeypatch.setattr(polar_search, "KERNEL", one)
            target = normal(dims, n) ** (1 if spread == 1 else 3) * np.float32(spread)
            found.append(code.search(target, n, 4, n))
        assert np.array_equal(*found), (n, dims)


def test_overhead_without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polar_search, "KERNEL", None)
    assert 0.04 < overhead(16_384, 2048, 8, blocks=3) < 0.06


# --- how many bits, and by which code -------------------------------------------------------------


def test_short_dense_and_sparse_steps_are_left_to_the_short_code() -> None:
    for n, dims in ((SHORTEST - 1, 20_000), (5000, DENSEST * 5000 - 1)):
        assert not SOME.applies(n, dims)
        mu = normal(dims)
        bits = SOME.encode(mu, n, 1, 2)
        assert np.array_equal(bits, SHORT.encode(mu, n, 1, 2))
        for length in (n, n // 2):
            z, known = SOME.decode(bits[:length], n, dims, 1, 2)
            assert np.array_equal(z, SHORT.decode(bits[:length], n, dims, 1, 2)[0])
            assert known == SHORT.known(length, n, dims) == SOME.known(length, n, dims)
    assert not SOME.applies(SHORTEST, SPARSEST * SHORTEST + 1)
    assert SOME.applies(SHORTEST, SPARSEST * SHORTEST) and SOME.applies(
        SHORTEST, DENSEST * SHORTEST
    )


@pytest.mark.parametrize("dims", [1000, 30_000, 999_999, 72_000_000])
@pytest.mark.parametrize("paths", LISTS)
def test_more_energy_takes_more_bits(dims: int, paths: int) -> None:
    code = Polar(paths, SHORT, 1)
    lengths = [code.bits(dims, energy) for energy in range(-320, 161)]
    assert lengths == sorted(lengths)
    for energy, n in zip(range(-320, 161), lengths, strict=True):
        assert SOME.applies(n, dims) == SOME.applies(SHORT.bits(dims, energy), dims)
        if not SOME.applies(n, dims):
            assert n == SHORT.bits(dims, energy)


@pytest.mark.parametrize(("paths", "energy"), [(8, -40), (16, -60), (32, -32), (32, -70)])
def test_bits_deliver_the_ideal(paths: int, energy: int) -> None:
    dims, told, blocks, code = 100_000, 0.0, 3, Polar(paths, SHORT, 1)
    ideal = dims * 0.5 * math.log2(1 + 2 ** (energy / 16))
    n = code.bits(dims, energy)
    assert SOME.applies(n, dims)
    for i in range(blocks):
        mu = normal(dims, i)
        z, received = code.decode(code.encode(mu, n, 8, i), n, dims, 8, i)
        assert received == dims
        told += delivered(z, mu) / blocks
    assert told / ideal == pytest.approx(1, abs=0.007)


def test_golden_bits() -> None:
    """Lengths of the steps that are long enough, whatever the short code is."""
    table = [
        Polar(paths, SHORT, 1).bits(dims, energy)
        for paths in LISTS
        for dims in (30_000, 999_999)
        for energy in range(-320, 161)
        if SHORT.bits(dims, energy) > 1.1 * SHORTEST
        and 1.2 * DENSEST * SHORT.bits(dims, energy) < dims
    ]
    assert digest(np.array(table, np.int64)) == "679cee7bab7de658"


# --- what is refused ------------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(ValueError, match="paths, not 9"):
        Polar(9, SHORT, 1)
    with pytest.raises(ValueError, match="2049 bits given for a step of 2048"):
        SOME.codeword(some_bits(2049), 2048, 20_000, 0, 0)
