"""The compiled kernel of byte networks gives the reference's integers, however it is asked."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec.exact.bytewise import compiled
from diffcodec.exact.bytewise.chains import chains_of, sides_of
from diffcodec.exact.bytewise.compiled import ByteCompiled, instruction_sets
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.packed import LANES, columns, pack
from diffcodec.exact.bytewise.plan import FIELDS, Plan
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.memory import HUGE, zeroed
from tests.random_bytes import inputs, random_bytes

pytestmark = pytest.mark.skipif(compiled.KERNEL is None, reason="the kernel is not built")

SETS = instruction_sets()


def expected(graph: ByteGraph, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    return ByteReference(graph, np.float64)(x, v)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("seed", range(8))
def test_every_instruction_set_gives_the_same(isa: str, seed: int) -> None:
    graph = random_bytes(seed)
    rng = np.random.default_rng(seed)
    x, v = inputs(graph, 3, int(rng.integers(1, 40)), int(rng.integers(1, 40)), seed)
    for threads in (1, 3):
        out = ByteCompiled(graph, threads=threads, isa=isa)(x, v)
        np.testing.assert_array_equal(out, expected(graph, x, v))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("seed", [7, 13, 60, 61])
def test_stripes_and_threads_give_the_same(
    seed: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_bytes(seed)
    x, v = inputs(graph, 1, 45, 9, seed)
    monkeypatch.setattr(compiled, "STRIPE", rows * x.shape[2])
    monkeypatch.setattr(compiled, "WORTHWHILE", 0)
    for threads in (1, 2):
        network = ByteCompiled(graph, threads=threads)
        for _ in range(2):  # the second time memory holds what was left
            np.testing.assert_array_equal(network(x, v), expected(graph, x, v))


def test_chains_are_cut_where_the_cache_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_bytes(3, halvings=2)
    x, v = inputs(graph, 1, 24, 24, 3)
    lengths = set()
    for cache in (0, 20_000, 1 << 30):
        monkeypatch.setattr("diffcodec.exact.bytewise.chains.CACHE", cache)
        sides = sides_of(graph, *x.shape[1:3])
        lengths.add(len(chains_of(sides)))
        np.testing.assert_array_equal(ByteCompiled(graph)(x, v), expected(graph, x, v))
    assert len(lengths) > 1 and max(lengths) == len(graph.layers)


@pytest.mark.parametrize("isa", SETS)
def test_nothing_is_written_outside_its_memory(isa: str) -> None:
    graph = random_bytes(11, halvings=2)
    x, v = inputs(graph, 1, 20, 13, 0)
    network = ByteCompiled(graph, isa=isa)
    network(x, v)
    _, (own,) = network._spare
    plan, room = own.plan, 1 << 12
    memory = zeroed(plan.size + 2 * room)
    memory[:] = 0xA5
    own.memory = memory[room : room + plan.size]
    plan.prepare(own.memory)
    own.input = plan.input(own.memory)
    np.testing.assert_array_equal(network(x, v), expected(graph, x, v))
    assert (memory[:room] == 0xA5).all() and (memory[room + plan.size :] == 0xA5).all()


def test_threads_share_what_lies_between_chains_and_no_rings() -> None:
    graph = random_bytes(11, halvings=2)
    plan = Plan(graph, pack(graph, SETS[-1]), (40, 40), rows=40, threads=2)
    at = {name: i for i, name in enumerate(FIELDS)}
    one, two = plan.tables
    for k in range(1, len(graph.layers)):
        shared = plan.place[k] != plan.place[k - 1]
        assert (one[k, at["in"]] == two[k, at["in"]]) == shared
        assert one[k - 1, at["to"]] == one[k, at["in"]]


@pytest.mark.parametrize("lanes", sorted(set(LANES.values())))
def test_the_order_of_sums_is_what_packing_two_vectors_undoes(lanes: int) -> None:
    order = columns(4 * lanes, lanes).reshape(-1, 2, lanes)
    quads = order.reshape(
        -1, 2, lanes // 4, 4
    )  # as processors pack: four of one, four of the other
    packed = quads.transpose(0, 2, 1, 3).reshape(-1)
    np.testing.assert_array_equal(packed, np.arange(4 * lanes))


def test_what_does_not_suit_is_refused() -> None:
    graph = random_bytes(5, patch=1, halvings=2)
    x, v = inputs(graph, 1, 8, 8, 0)
    network = ByteCompiled(graph)
    with pytest.raises(ValueError, match="sides of the image do not suit"):
        network(x[:, :7], v)
    with pytest.raises(ValueError, match="1 images need 1 noise"):
        network(x, np.ones(2))
    with pytest.raises(ValueError, match="channels"):
        network(x[..., :2], v)
    with pytest.raises(ValueError, match="no instruction set sse"):
        ByteCompiled(graph, isa="sse")


def test_memory_is_aligned_and_zero() -> None:
    for size in (1, 1000, HUGE - 1, HUGE, 3 * HUGE + 5):
        memory = zeroed(size)
        assert len(memory) == size and not memory.any()
        assert memory.ctypes.data % (HUGE if size >= HUGE else 64) == 0
