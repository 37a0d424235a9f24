"""How an image of some size goes through a network of bytes: chains of layers, and rows of them.

Layers of one resolution make a chain, which is computed a few rows at a time: the rows in between
stay in the processor's cache. Between chains there are whole images, or, of large images, windows
of rows: then stripes of the output follow each other, and every chain goes as far as the next ones
need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.packed import input_channels, rounded_up

STEP = 2  # of chain.h: rows of a layer at a time
LAYERS = 64  # of layer.h: of a chain, at most
CACHE = 2000 << 10  # bytes of rings and weights of a chain, roughly: a large level-2 cache
BEYOND = 34  # pixels of a row that a strip may go on after its end

Rows = tuple[int, int]  # begin and end


@dataclass(frozen=True)
class Side:
    """A layer for an image of some size. height, width: of its input; channels as they lie."""

    kernel: int
    stride: int
    upsample: int
    height: int
    width: int
    channels: int
    outputs: int
    add: int | None  # the layer whose output is added

    @property
    def out_height(self) -> int:
        """Rows that it yields."""
        return -(-self.height // self.stride) << self.upsample

    @property
    def out_width(self) -> int:
        """Pixels of a row that it yields."""
        return -(-self.width // self.stride) << self.upsample

    def needs(self, rows: Rows) -> Rows:
        """Rows of the input for some rows that the layer yields: as in chain.h."""
        edge, (begin, end) = self.kernel // 2, rows
        begin = (begin >> self.upsample) * self.stride - edge
        end = (((end + self.upsample) >> self.upsample) - 1) * self.stride + edge + 1
        return max(begin, 0), min(end, self.height)

    def whole(self, rows: Rows) -> Rows:
        """The rows, in pairs if the layer upsamples."""
        if not self.upsample:
            return rows
        return rows[0] // 2 * 2, -(-rows[1] // 2) * 2


@dataclass(frozen=True)
class Chain:
    """Layers first .. last, computed together."""

    first: int
    last: int

    def rows(self, sides: Sequence[Side], rows: Rows) -> list[Rows]:
        """What each layer has to yield for some rows of the last one; first: those of the input."""
        found = []
        for k in range(self.last, self.first - 1, -1):
            rows = sides[k].whole(rows)
            found.append(rows)
            rows = sides[k].needs(rows)
        return [rows, *reversed(found)]


def sides_of(graph: ByteGraph, height: int, width: int) -> list[Side]:
    """The layers for an input of some size; raises ValueError if it does not suit the network."""
    found: list[Side] = []
    for k, layer in enumerate(graph.layers):
        weight = graph.weight(layer)
        side = Side(
            kernel=weight.shape[1],
            stride=layer.stride,
            upsample=int(layer.upsample),
            height=found[-1].out_height if found else height,
            width=found[-1].out_width if found else width,
            channels=input_channels(graph, k),
            outputs=rounded_up(len(weight)),
            add=None if layer.add is None else layer.add - 1,
        )
        if side.add is not None:
            other = found[side.add]
            if (other.out_height, other.out_width) != (side.out_height, side.out_width):
                raise ValueError(f"sides of the image do not suit the network (at {layer.name})")
        found.append(side)
    if (found[-1].out_height, found[-1].out_width) != (height, width):
        raise ValueError("sides of the image do not suit the network")
    return found


def chains_of(sides: Sequence[Side]) -> list[Chain]:
    """Chains whose rings and weights fit the cache; a change of resolution begins a new one.

    What a later chain adds is the output of a whole chain, so that every row of it is made once.
    """
    starts = {0} | {k for k, side in enumerate(sides) if side.stride == 2 or side.upsample}
    used, count = 0, 0
    for k, side in enumerate(sides):
        own = _cached(side, any(other.add == k for other in sides))
        if k in starts or used + own > CACHE or count == LAYERS:
            used, count = 0, 0
            starts.add(k)
        count += 1
        used += own
    while True:
        missing = {
            side.add + 1
            for k, side in enumerate(sides)
            if side.add is not None
            and side.add + 1 not in starts
            and any(side.add < start <= k for start in starts)
        }
        if not missing:
            break
        starts |= missing
    edges = [*sorted(starts), len(sides)]
    return [Chain(a, b - 1) for a, b in pairwise(edges)]


def _cached(side: Side, streamed: bool) -> int:
    """Bytes of a layer's weights, and of the rows that it yields inside a chain."""
    weights = side.kernel**2 * side.channels * side.outputs
    row = (side.out_width + BEYOND) * side.outputs
    return weights + (STEP + 2) * row * (3 if streamed else 1)


@dataclass(frozen=True)
class Stripe:
    """Rows of every chain's output that are computed, one chain after the other."""

    rows: tuple[Rows, ...]


def stripes_of(sides: Sequence[Side], chains: Sequence[Chain], rows: int) -> list[Stripe]:
    """The stripes of an image, with so many rows of the output in each."""
    place = {k: i for i, chain in enumerate(chains) for k in range(chain.first, chain.last + 1)}
    done, stripes = [0] * len(chains), []
    while done[-1] < sides[-1].out_height:
        ends = list(done)
        ends[-1] = min(done[-1] + rows, sides[-1].out_height)
        for i in range(len(chains) - 1, -1, -1):
            if ends[i] == done[i]:
                continue
            chain = chains[i]
            ends[i] = sides[chain.last].whole((done[i], ends[i]))[1]
            needed = chain.rows(sides, (done[i], ends[i]))
            if i:
                ends[i - 1] = max(ends[i - 1], needed[0][1])
            for k in range(chain.first, chain.last + 1):
                add = sides[k].add
                if add is not None and place[add] < i:
                    ends[place[add]] = max(ends[place[add]], needed[k - chain.first + 1][1])
        stripes.append(Stripe(tuple(zip(done, ends, strict=True))))
        done = ends
    return stripes
