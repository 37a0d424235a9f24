"""Where everything of an image lies that goes through a network of bytes.

Rows between chains of layers (chains.py) are whole images, or windows of rows; those inside a chain
are rings of a few rows, of which every thread has its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.bytewise.chains import (
    BEYOND,
    STEP,
    Rows,
    Stripe,
    chains_of,
    sides_of,
    stripes_of,
)
from diffcodec.exact.bytewise.graph import ACTIVATIONS, ByteGraph
from diffcodec.exact.bytewise.packed import SIGNED, Packed

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


@dataclass(frozen=True)
class Buffer:
    """Rows in memory: of activations of a layer, or of a stream."""

    at: int
    rows: int
    pitch: int


class Plan:
    """Where everything lies, for images of one size.

    sides, chains, stripes as in chains.py; size: bytes of memory; tables: of every thread the
    layers as layer.h has them, since threads share what lies between chains, but not the rings.
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
            "activation": 0 if reader is None else ACTIVATIONS.index(reader.activation),
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
