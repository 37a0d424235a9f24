"""How an image of some size goes through a network of bytes: chains of layers, rows, memory.

Layers of one resolution make a chain, which is computed a few rows at a time: the rows in between
stay in the processor's cache, in rings. Between chains there are whole images, or, of large images,
windows of rows: then stripes of the output follow each other, and every chain goes as far as the
next ones need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.packed import SIGNED, Packed, input_channels, rounded_up

STEP = 2  # of chain.h: rows of a layer at a time
LAYERS = 64  # of layer.h: of a chain, at most
CACHE = 2000 << 10  # bytes of rings and weights of a chain, roughly: a large level-2 cache
BEYOND = 34  # pixels of a row that a strip may go on after its end
ALIGNMENT = 64

FIELDS = [
    "kernel",
    "stride",
    "upsample",
    "wide",
    "channels",
    "outputs",
    "height",
    "width",
    "activation",
    "fraction",
    "wide_out",
    "weight",
    "bias",
    "shift",
    "scale",
    "zero",
    "in",
    "in_rows",
    "in_pitch",
    "border",
    "to",
    "to_rows",
    "to_pitch",
    "stream",
    "stream_rows",
    "stream_pitch",
    "add",
    "add_rows",
    "add_pitch",
    "final",
]  # of layer.h

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


@dataclass(frozen=True)
class Buffer:
    """Rows in memory: of activations of a layer, or of a stream."""

    at: int
    rows: int
    pitch: int


class Plan:
    """Where everything lies, for images of one size.

    sides, chains, stripes as above; size: bytes of memory; tables: of every thread the layers as
    layer.h has them, since threads share what lies between chains, but not the rings.
    """

    def __init__(
        self, graph: ByteGraph, packed: Packed, shape: tuple[int, int], rows: int, threads: int
    ) -> None:
        self.graph, self.isa = graph, packed.isa
        self.sides = sides_of(graph, *shape)
        self.chains = chains_of(self.sides)
        self.stripes = stripes_of(self.sides, self.chains, rows)
        self.place = {k: i for i, c in enumerate(self.chains) for k in range(c.first, c.last + 1)}
        self.size = 0
        self.read = self._rows_kept()
        self.shared: dict[tuple[str, int], Buffer] = {}
        self.tables = [self._table(packed) for _ in range(threads)]
        self.size += ALIGNMENT * 64  # vectors are read beyond the end

    def _rows_kept(self) -> list[int]:
        """Rows of every chain's output that have to be there at a time."""
        kept = [1] * len(self.chains)
        for stripe in self.stripes:
            made = [end - begin for begin, end in stripe.rows]
            kept = [max(pair) for pair in zip(kept, made, strict=True)]
            for i, chain in enumerate(self.chains):
                if stripe.rows[i][0] == stripe.rows[i][1]:
                    continue
                needed = chain.rows(self.sides, stripe.rows[i])
                if i:
                    kept[i - 1] = max(kept[i - 1], stripe.rows[i - 1][1] - needed[0][0])
                for k in range(chain.first, chain.last + 1):
                    add = self.sides[k].add
                    if add is not None and self.place[add] < i:
                        j = self.place[add]
                        low = needed[k - chain.first + 1][0]
                        kept[j] = max(kept[j], stripe.rows[j][1] - low)
        return kept

    def input_rows(self, stripe: Stripe) -> Rows:
        """Rows of the network's input that a stripe reads."""
        return self.chains[0].rows(self.sides, stripe.rows[0])[0]

    # --- memory ---

    def _take(self, rows: int, pitch: int) -> Buffer:
        buffer = Buffer(self.size, rows, pitch + -pitch % ALIGNMENT)
        self.size += rows * buffer.pitch
        return buffer

    def _share(self, kind: str, k: int, rows: int, pitch: int) -> Buffer:
        """The one that all threads have."""
        if (kind, k) not in self.shared:
            self.shared[kind, k] = self._take(rows, pitch)
        return self.shared[kind, k]

    def pixel(self, k: int) -> int:
        """Bytes of a pixel that layer number k reads."""
        return self.sides[k].channels * (1 + self.graph.layers[k].wide)

    def _pitch(self, k: int) -> int:
        return (self.sides[k].width + 2 + BEYOND) * self.pixel(k)

    def _activations(self, k: int) -> Buffer:
        """What layer number k reads."""
        height = self.sides[k].height
        if k and self.place[k] == self.place[k - 1]:
            return self._take(min(STEP + 2, height), self._pitch(k))
        rows = self.read[self.place[k] - 1] if k else self._input_kept()
        return self._share("activations", k, min(rows, height), self._pitch(k))

    def _input_kept(self) -> int:
        stripes = [s for s in self.stripes if s.rows[0][0] < s.rows[0][1]]
        return max(end - begin for begin, end in map(self.input_rows, stripes))

    def _border(self, k: int) -> int:
        """A row outside the image, of what layer number k reads."""
        return self._share("border", k, 1, self._pitch(k)).at

    def _stream(self, k: int) -> Buffer | None:
        """What layer number k yields, if anybody adds it, or it is the output."""
        side, own, final = self.sides[k], self.place[k], k == len(self.sides) - 1
        readers = [m for m, other in enumerate(self.sides) if other.add == k]
        pitch = 2 * (side.out_width + BEYOND) * side.outputs
        if final:
            return self._take(STEP, pitch)
        if not readers:
            return None
        if self.place[readers[-1]] == own:
            rows = STEP + readers[-1] - k
            return self._take(min(rows, side.out_height), pitch)
        return self._share("stream", k, min(self.read[own], side.out_height), pitch)

    def prepare(self, memory: NDArray[np.uint8]) -> None:
        """Write the zeros around all activations into fresh memory."""
        for table in self.tables:
            for k, row in enumerate(table):
                side, at = self.sides[k], dict(zip(FIELDS, map(int, row), strict=True))
                zero = self._zeros(k)
                border = memory[at["border"] :][: self._pitch(k)]
                border.reshape(-1, self.pixel(k))[:] = zero
                rows = memory[at["in"] :][: at["in_rows"] * at["in_pitch"]]
                rows = rows.reshape(at["in_rows"], at["in_pitch"])[:, : self._pitch(k)]
                pixels = rows.reshape(at["in_rows"], -1, self.pixel(k))
                pixels[:, 0] = zero
                pixels[:, side.width + 1] = zero

    def _zeros(self, k: int) -> NDArray[np.uint8]:
        """The bytes of a pixel that stands for 0."""
        found = np.zeros(self.pixel(k), np.uint8)
        zero = self.graph.tensors.get(f"{self.graph.layers[k].name}.zero")
        if zero is not None:
            found[: len(zero)] = zero
            found ^= 128 if self.isa in SIGNED else 0
        return found

    def input(self, memory: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Where the network's input belongs: (rows, W, channels), row y at y % rows."""
        at, side = self.shared["activations", 0], self.sides[0]
        rows = memory[at.at :][: at.rows * at.pitch].view(np.int16).reshape(at.rows, -1)
        pixels = rows[:, : self._pitch(0) // 2].reshape(at.rows, -1, side.channels)
        return pixels[:, 1 : side.width + 1]

    # --- the layers as the kernel has them ---

    def _table(self, packed: Packed) -> NDArray[np.int64]:
        """(layers, FIELDS), for one thread."""
        count = len(self.sides)
        reads = [self._activations(k) for k in range(count)]
        streams = [self._stream(k) for k in range(count)]
        table = np.zeros((count, len(FIELDS)), np.int64)
        for k in range(count):
            fields = self._own(k, packed)
            fields |= _placed("in", reads[k]) | {"border": self._border(k)}
            fields |= _placed("to", reads[k + 1] if k + 1 < count else None)
            fields |= _placed("stream", streams[k])
            add = self.sides[k].add
            fields |= _placed("add", None if add is None else streams[add])
            table[k] = [fields[name] for name in FIELDS]
        return table

    def _own(self, k: int, packed: Packed) -> dict[str, int]:
        graph, side, last = self.graph, self.sides[k], k == len(self.sides) - 1
        layer = graph.layers[k]
        reader = None if last else graph.layers[k + 1]
        names = ("none", "relu", "hard_swish")
        scale = 0 if last else packed.scale_at[k + 1]
        return {
            "kernel": side.kernel,
            "stride": side.stride,
            "upsample": side.upsample,
            "wide": int(layer.wide),
            "channels": side.channels,
            "outputs": side.outputs,
            "height": side.height,
            "width": side.width,
            "activation": 0 if reader is None else names.index(reader.activation),
            "fraction": layer.fraction,
            "wide_out": 0 if reader is None else int(reader.wide),
            "weight": packed.weight_at[k],
            "bias": packed.bias_at[k],
            "shift": len(packed.biases) + packed.bias_at[k],
            "scale": scale,
            "zero": scale + (0 if last else self.sides[k + 1].channels),
            "final": len(graph.weight(layer)) if last else 0,
        }


def _placed(name: str, buffer: Buffer | None) -> dict[str, int]:
    if buffer is None:
        return {name: -1, f"{name}_rows": 1, f"{name}_pitch": 0}
    return {name: buffer.at, f"{name}_rows": buffer.rows, f"{name}_pitch": buffer.pitch}
