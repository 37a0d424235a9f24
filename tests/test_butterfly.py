"""The butterfly trellis: its labels are the format's, its search is the same by every path."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from diffcodec.bitstream import butterfly_search
from diffcodec.bitstream.bits import Bits
from diffcodec.bitstream.butterfly import BUTTERFLY, LABELS, _levels, masks
from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, octets, words
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.trellis_labels import branch_words, shifts
from tests.coding import digest, normal, overhead, some_bits

KERNEL = butterfly_search.KERNEL
compiled = pytest.mark.skipif(KERNEL is None, reason="the C kernel is not built, or switched off")


def sign_of(seed: int, stream: int, step: int, i: int) -> int:
    word = int(words(seed, Stream(stream), step, i // 64 + 1)[i // 64])
    return -1 if word >> i % 64 & 1 else 1


def by_the_book(bits: list[int], n: int, dims: int, nu: int, seed: int, step: int) -> list[int]:
    """Levels of a whole codeword, one number at a time, as FORMAT-coder.md has it."""
    order = 16 if dims >= 16 * n else 8 if dims >= 8 * n else 4 if dims >= 4 * n else 0
    keys = words(0, Stream.LABELS, 0, 256 * 256).tolist()
    count, z = -(-n // 4096), [0] * dims
    for s in range(count):
        a, b = s * n // count, (s + 1) * n // count
        m = max(8, min(nu, 6 + (b - a) // 11))
        shift = [w >> 56 for w in words(0, Stream.SHIFTS, m, 1 << (m - 7)).tolist()]
        for j in range(b - a):
            w = 0
            for t in range(m + 1):
                w = 2 * w + bits[a + (j + t) % (b - a)]
            between, opposite = (w >> 1) % 2 ** (m - 1), (w >> m ^ w) & 1
            label = ((between & 255) + shift[between >> 8]) % 256
            first = (a + j) * dims // n
            for d in range(first, (a + j + 1) * dims // n):
                c = (d - first) % 256
                if order:
                    row, group = label // (256 // order), label % (256 // order)
                    level = 256 * sign_of(0, 7, order, c * (256 // order) + group)
                    level *= (-1) ** (row & c % order).bit_count()
                else:
                    column = sorted(range(256), key=lambda r, c=c: keys[256 * c + r])  # type: ignore[misc]
                    level = int(LEVELS[column[label]])
                z[d] = level * sign_of(seed, 2, step, d) * (-1) ** opposite
    return z


@pytest.mark.parametrize(
    ("n", "dims"), [(1, 2), (3, 800), (30, 7), (30, 200), (40, 400), (70, 1200), (4100, 16_500)]
)
@pytest.mark.parametrize("nu", [10, 16])
def test_decoder_follows_the_format(n: int, dims: int, nu: int) -> None:
    if n > 4096 and nu > 10:
        pytest.skip("takes long, and has no other path")
    bits = some_bits(n, n)
    z, _ = Trellis(nu, BUTTERFLY).codeword(bits, n, dims, 2**63 + 5, 7)
    assert (z * UNIT).tolist() == by_the_book(bits.tolist(), n, dims, nu, 2**63 + 5, 7)


def test_branches_out_of_a_state_and_into_one_are_opposite() -> None:
    m = 11
    of = BUTTERFLY.of(np.arange(2 << m, dtype=np.uint32), m)
    label, opposite = of % LABELS, of // LABELS
    out = np.arange(0, 2 << m, 2)
    assert np.array_equal(label[out], label[out + 1])
    assert np.array_equal(opposite[out], 1 - opposite[out + 1])
    into = np.arange(1 << m)
    assert np.array_equal(label[into], label[into + (1 << m)])
    assert np.array_equal(opposite[into], 1 - opposite[into + (1 << m)])


@pytest.mark.parametrize("order", [4, 8, 16])
def test_labels_of_a_group_are_orthogonal(order: int) -> None:
    table = _levels(order).astype(np.int64)
    assert np.array_equal(table[LABELS:], -table[:LABELS]) and (abs(table) == UNIT).all()
    groups = LABELS // order
    for g in range(groups):
        rows = table[g:LABELS:groups] // UNIT
        assert np.array_equal(rows @ rows.T, 256 * np.eye(order, dtype=np.int64))


def test_golden() -> None:
    """Tables, codewords and lengths are part of the format: these must hold for ever."""
    assert digest(*(masks(order) for order in (4, 8, 16))) == "244f041bc8299c30"
    cases = [(1, 3), (7, 100), (40, 33), (64, 64), (300, 20_000), (5000, 9999), (90, 3072)]
    codewords = [
        Trellis(nu, BUTTERFLY).codeword(
            octets(1, Stream.LABELS, n, n) & np.uint8(1), n, dims, 5, n
        )[0]
        for nu in BUTTERFLY.memories
        for n, dims in cases
    ]
    assert digest(*codewords) == "051c23de0acdb7b6"
    lengths = [
        Trellis(nu, BUTTERFLY).bits(d, i)
        for nu in BUTTERFLY.memories
        for d in (1, 3072, 999_999)
        for i in range(-320, 161)
    ]
    below = [Trellis(8, BUTTERFLY).bits(3 << 26, i) for i in range(-400, -320)]
    assert digest(np.array(below, np.int64)) == "7e818ec4a9eabff3"
    assert digest(np.array(lengths, np.int64)) == "92e305ae97e15daa"


def test_length_is_the_documented_formula() -> None:
    getcontext().prec = 60
    for i in (-320, -97, -16, 0, 33, 160):
        h = (1 + Decimal(2) ** (Decimal(i) / 16)).ln() / Decimal(2).ln() / 2
        for dims in (1, 3072, 1_179_648):
            loss = Decimal("0.053") * h * (Decimal("0.77") + Decimal("0.23") / (1 + 4 * h))
            besides = max(Decimal(0), Decimal(24) / 8 - dims * h / 48)
            exact = dims * (h + loss) + min(besides, dims * h)
            assert abs(Trellis(14, BUTTERFLY).bits(dims, i) - exact) <= Decimal("0.501")


# --- the search -----------------------------------------------------------------------------------


def ring_by_numpy(scores: butterfly_search.Scores, m: int, seam: int) -> tuple[Bits, bool]:
    path = np.empty(len(scores), np.uint8)
    return path, butterfly_search._Search(scores, m).ring(seam, path)


@compiled
@pytest.mark.parametrize("nu", [8, 10, 13])
@pytest.mark.parametrize("n", [17, 40, 99, 2048, 2500, 3072])
def test_every_instruction_set_finds_the_same_bits(n: int, nu: int) -> None:
    """With scores of an ordinary stage, and with scores that drive metrics to both their ends."""
    assert KERNEL is not None
    rng, sets = np.random.default_rng(n), KERNEL.instruction_sets()
    memory = np.empty(KERNEL.workspace(nu), np.uint8)
    path = np.empty(n, np.uint8)
    for spread in (12, 200):
        scores = np.clip(np.rint(spread * rng.standard_normal((n, 2, 256))), -127, 127)
        for seam in (0, n // 3):
            expected, one = ring_by_numpy(scores.astype(np.int8), nu, seam)
            for which in range(sets):
                path.fill(2)
                args = scores.astype(np.int8), shifts(nu), nu, seam, path, memory, which
                assert KERNEL.ring(*args) == one, (spread, seam, which)
                assert np.array_equal(path, expected), (spread, seam, which)
    with pytest.raises(ValueError, match=f"no instruction set number {sets}"):
        KERNEL.ring(scores.astype(np.int8), shifts(nu), nu, 0, path, memory, sets)
    with pytest.raises(ValueError, match="sizes do not agree"):
        KERNEL.ring(scores.astype(np.int8), shifts(nu), nu, 0, path, memory[1:], 0)


@compiled
@pytest.mark.parametrize("nu", [8, 10, 12])
def test_kernel_and_numpy_find_the_same_bits(nu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of steps of all kinds of labels, the scores included."""
    code = Trellis(nu, BUTTERFLY)
    for n, dims in [(1, 9), (12, 60), (17, 200), (33, 5), (90, 1000), (90, 400), (90, 30_000)]:
        found = []
        for kernel in (KERNEL, None):
            monkeypatch.setattr(butterfly_search, "KERNEL", kernel)
            found.append(code.search(normal(dims, n), n, 4, n))
        assert np.array_equal(*found), (n, dims)


def test_ring_search_comes_close_to_all_messages() -> None:
    n, m, lost = 14, 8, []
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)[::-1] & 1).astype(np.uint8)
    label = np.stack([BUTTERFLY.of(branch_words(row, m), m) for row in bits])
    for trial in range(8):
        scores = np.rint(12 * np.random.default_rng(trial).standard_normal((n, 256)))
        scores = np.stack([scores, -scores], axis=1).astype(np.int8)
        flat = scores.reshape(n, -1).astype(np.int64)
        best = flat[np.arange(n), label].sum(axis=1).max()
        paths = [butterfly_search.ring(scores, m, seam)[0] for seam in range(n)]
        total = max(flat[np.arange(n), BUTTERFLY.of(branch_words(p, m), m)].sum() for p in paths)
        assert total <= best
        lost.append(best - total)
    assert np.count_nonzero(lost) <= 3


@compiled
def test_kernel_and_numpy_round_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products beside the middle of two integers, which a fused multiply-add rounds otherwise."""
    count, stages = 300, 50
    unit = 32 / math.sqrt(count / 256)
    whole = np.random.default_rng(0).integers(-64, 64, count * stages)
    v = ((whole + 0.5) / unit).astype(np.float32)
    edges = np.arange(stages + 1, dtype=np.int64) * count
    found = []
    for kernel in (KERNEL, None):
        monkeypatch.setattr(butterfly_search, "KERNEL", kernel)
        found.append(butterfly_search.scores(v, edges, masks(16), _levels(16)[:LABELS]))
    assert np.array_equal(*found)


@compiled
def test_forgetting_old_decisions_costs_nothing() -> None:
    """A block longer than what is remembered loses no more than a shorter one."""
    code = Trellis(12, BUTTERFLY)
    n = 3 * butterfly_search.DEPTH
    assert overhead(code, 8 * n, n, 4) < overhead(code, 8 * 512, 512, 12) + 0.004


def test_a_stage_of_one_huge_coordinate_is_coded() -> None:
    v = np.zeros(20_000, np.float32)
    v[123] = 1
    code = Trellis(10, BUTTERFLY)
    for n in (20, 300, 9000):
        bits = code.search(v, n, 0, 0)
        assert code.codeword(bits, n, v.size, 0, 0)[0] @ v > 0
