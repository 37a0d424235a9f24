"""An integer network in the order in which the compiled kernel reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int16, Int32
from diffcodec.errors import CheckpointError
from diffcodec.exact.attention import Attention
from diffcodec.exact.graph import WEIGHT_TYPES, Graph, Layer
from diffcodec.exact.integers import Weight, rounded_shift
from diffcodec.exact.normalisation import Norm

LANES, BLOCK = 16, 48  # of convolve.c: channels of a vector, of a block
CHUNK = 64  # of amx.h: input channels of a tile
SOURCES = 8  # of convolve.c: streams that a layer reads, at most
ALIGNMENT = 64  # bytes: no vector of weights lies across two cache lines

Order = Literal["single", "pairs", "bytes"]  # in which an instruction set reads the weights
Shape = tuple[int, ...]  # height, width, channels of a stream


@dataclass(frozen=True)
class Packed:
    """A layer for convolve.c."""

    name: str
    sources: tuple[int, ...]
    add: int | None
    c_in: int
    c_out: int
    # c_out, kernel, stride, upsample, shift, limit, end of SiLU's table, rows of zeros above. Where
    # windows are looked at, activations are there already: shift is 0.
    numbers: tuple[int, ...]
    cut: tuple[int, int, int]  # shift, limit, end of SiLU's table: of activations
    table: Int16 | None  # (65537,): from a stream to activations; None: cut
    weight: NDArray[Any]  # in the order of the instruction set
    down: Int32  # (c_out,)
    done: tuple[int, ...]  # streams that no later layer reads; not the output
    in_place: int | None  # the stream that is added, if the output may take its memory
    norm: Norm | None
    attention: Attention | None

    @property
    def window(self) -> int:
        """Side of the windows that it looks at, in pixels of the sources; else 1."""
        within = self.norm or self.attention
        return within.window if within else 1

    @property
    def products(self) -> int:
        """Multiplications to a pixel of the output."""
        return self.c_in * self.c_out * self.numbers[1] ** 2

    def shape(self, streams: list[Shape]) -> Shape:
        """Shape of the output; raises ValueError where the streams do not fit together."""
        _, _, stride, upsample, *_ = self.numbers
        height, width, _ = streams[self.sources[0]]
        if any(streams[i][:2] != (height, width) for i in self.sources):
            raise ValueError(f"sides of the image do not suit the network (at {self.name})")
        if height % self.window or width % self.window:
            raise ValueError(f"sides of the image do not suit the network (at {self.name})")
        if sum(streams[i][2] for i in self.sources) != self.c_in * (3 if self.attention else 1):
            raise ValueError(f"{self.name} reads {self.c_in} channels and is given others")
        height, width = (-(-(side << upsample) // stride) for side in (height, width))
        if self.add is not None and streams[self.add] != (height, width, self.c_out):
            raise ValueError(f"sides of the image do not suit the network (at {self.name})")
        return (height, width, self.c_out)


class Biases:
    """Biases of all layers at a noise variance, with what rounds the shifts that follow."""

    def __init__(self, graph: Graph) -> None:
        none = np.zeros(len(graph.tensors["levels"]), np.int32)
        shifts, biases, rows = [], [], []
        for layer in graph.layers:
            shift, bias, levels = (
                graph.tensors.get(f"{layer.name}.{kind}") for kind in ("shift", "bias", "levels")
            )
            assert shift is not None and bias is not None
            shifts.append(_whole(shift.astype(np.int64)))
            biases.append(_whole(bias))
            rows.append(_whole(none[:, None].repeat(len(bias), 1) if levels is None else levels))
        # One layer with the biases of all, so that they are interpolated at once.
        together = Layer("all", sources=(0,), silu=False, shift=0, limit=0)
        tensors = {
            "levels": graph.tensors["levels"],
            "all.bias": np.concatenate(biases),
            "all.levels": np.concatenate(rows, axis=1),
        }
        self.graph = dataclasses.replace(graph, layers=(together,), tensors=tensors)
        self.half = (np.int64(1) << np.concatenate(shifts)) >> 1
        self.ends = np.cumsum([len(bias) for bias in biases])

    def __call__(self, v: float) -> list[Int32]:
        """One array a layer, (c_out,) rounded up to whole vectors."""
        bias = (self.graph.biases(v)[0] + self.half).astype(np.int32)
        return np.split(bias, self.ends[:-1])


def order_of(isa: str) -> Order:
    """What an instruction set of convolve.c adds at a time: one product, two, or those of bytes."""
    orders: dict[str, Order] = {"portable": "single", "amx": "bytes"}
    return orders.get(isa, "pairs")


def pack(graph: Graph, order: Order) -> list[Packed]:
    """The layers of a graph, their weights in an order.

    Raises CheckpointError if a tensor does not fit.
    """
    last = _last_readers(graph)
    tables: dict[tuple[int, int], Int16] = {}
    packed = []
    for k, layer in enumerate(graph.layers, start=1):
        weight, shift, silu = _tensors(graph, layer)
        table = tables.get((layer.shift, layer.limit))
        if table is None:
            table = rounded_shift(silu.astype(np.int64), layer.shift).astype(np.int16)
            table = np.append(
                table.clip(-layer.limit, layer.limit), table[:1]
            )  # read two at a time
            tables[layer.shift, layer.limit] = table
        done = tuple(i for i, at in last.items() if at == k)
        free = k < len(graph.layers) and layer.add in done and layer.add not in layer.sources
        cut = layer.shift, layer.limit, int(silu[-1])
        made = layer.norm or layer.attention
        before = 0 if layer.trailing else weight.shape[1] // 2
        numbers = (layer.stride, int(layer.upsample), 0 if made else layer.shift, *cut[1:], before)
        packed.append(
            Packed(
                name=layer.name,
                sources=layer.sources,
                add=layer.add,
                c_in=weight.shape[3],
                c_out=len(weight),
                numbers=(*weight.shape[:2], *numbers),
                cut=cut,
                table=table if layer.silu else None,
                weight=_packed_weight(weight, order),
                down=shift.astype(np.int32),
                done=done,
                in_place=layer.add if free else None,
                norm=layer.norm,
                attention=layer.attention,
            )
        )
    return packed


def _last_readers(graph: Graph) -> dict[int, int]:
    """For every stream but the output the number of the layer, from 1, after which it is free."""
    last = {i: i for i in range(len(graph.layers))}
    for k, layer in enumerate(graph.layers, start=1):
        for i in (*layer.sources, *(() if layer.add is None else (layer.add,))):
            if not 0 <= i < k:
                raise CheckpointError(f"{layer.name} reads stream {i}, which is not there yet")
            last[i] = k
    return last


def _tensors(graph: Graph, layer: Layer) -> tuple[Weight, NDArray[np.uint8], Int16]:
    """Weight, shift and SiLU's table, after a look at all that convolve.c relies on."""
    get = graph.tensors.get
    weight, bias, shift, levels = (
        get(f"{layer.name}.{kind}") for kind in ("weight", "bias", "shift", "levels")
    )
    silu, noise = get("silu"), get("levels")
    if weight is None or bias is None or shift is None or silu is None or noise is None:
        raise CheckpointError(f"the network lacks a tensor of layer {layer.name}; get it again")
    fits = (
        weight.dtype in WEIGHT_TYPES
        and weight.ndim == 4
        and weight.shape[1:3] in ((1, 1), (3, 3))
        and weight.size > 0
        and bias.shape == shift.shape == (len(weight),)
        and 0 <= int(shift.min()) <= int(shift.max()) <= 31
        and (levels is None or levels.shape == (len(noise), len(weight)))
        and silu.dtype == np.int16
        and silu.shape == (65536,)
        and layer.stride in (1, 2)
        and 0 <= layer.shift <= 31
        and 0 <= layer.limit <= 32767
        and 1 <= len(layer.sources) <= SOURCES
    )
    if not fits:
        raise CheckpointError(f"layer {layer.name} of the network is malformed; get it again")
    return weight, shift, silu


def _packed_weight(weight: Weight, order: Order) -> NDArray[Any]:
    """(c_out, k, k, c_in) as convolve.c says; c_in is rounded up to even, c_out to vectors."""
    if order == "bytes":
        return _aligned(_tiles(weight))
    c_out, k, _, c_in = weight.shape
    whole = np.zeros((c_out + -c_out % LANES, k, k, c_in + c_in % 2), np.int16)
    whole[:c_out, ..., :c_in] = weight
    whole = whole.reshape(len(whole), k * k, -1, 2 if order == "pairs" else 1)
    whole = whole.transpose(1, 2, 0, 3)
    return _aligned(
        np.concatenate([whole[:, :, c : c + BLOCK].ravel() for c in range(0, c_out, BLOCK)])
    )


def _tiles(weight: Weight) -> NDArray[np.uint8]:
    """To blocks of [k][chunk][k][upper and lower bytes][16][channel][4]."""
    c_out, k, _, c_in = weight.shape
    whole = np.pad(
        weight.astype(np.int16), ((0, -c_out % LANES), (0, 0), (0, 0), (0, -c_in % CHUNK))
    )
    whole = whole.reshape(-1, LANES, k, k, whole.shape[3] // CHUNK, CHUNK // 4, 4)
    whole = whole.transpose(0, 2, 4, 3, 5, 1, 6)
    return np.stack([whole >> 8, whole & 255], axis=4).astype(np.uint8)


def _aligned(x: NDArray[Any]) -> NDArray[Any]:
    """A flat copy that begins at a multiple of ALIGNMENT."""
    memory = np.empty(x.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy = memory[start : start + x.nbytes].view(x.dtype)
    copy[:] = x.ravel()
    return copy


def _whole(x: NDArray[Any]) -> NDArray[Any]:
    """With zeros up to whole vectors of channels, the last axis."""
    padding = np.zeros((*x.shape[:-1], -x.shape[-1] % LANES), x.dtype)
    return np.concatenate([x, padding], axis=-1)
