"""Integer networks of bytes of any form with random numbers, extremes among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64, Int16, Int64
from diffcodec.exact.bytewise.graph import HARD_SWISH_FRACTION, PAIR, ByteGraph, ByteLayer, gain
from diffcodec.exact.overflow import ROOM

LEVELS = 5
USUAL = 3000  # standard deviation of most streams
WIDEST = 70  # channels


class ByteBuilder:
    """A chain of layers with random numbers, stream by stream.

    levels: whether some layers have a bias by noise level; calm: the share of channels that stay
    within their 16 bits and bytes, mostly.
    """

    def __init__(
        self, rng: np.random.Generator, channels: int, levels: bool = True, calm: float = 0.85
    ) -> None:
        self.rng, self.levels, self.calm = rng, levels, calm
        self.layers: list[ByteLayer] = []
        self.tensors: dict[str, NDArray[Any]] = {"levels": 0.01 * 8.0 ** np.arange(LEVELS)}
        self.widths = [channels]

    def conv(self, c_out: int, kernel: int = 3, **how: Any) -> int:
        """Adds a layer that reads the stream before; returns its own.

        how: fields of ByteLayer; activation and fraction are random where they are not named.
        """
        k, rng = len(self.layers), self.rng
        read = self.layers[-1].fraction if k else 0
        kinds = ["none", "relu", "hard_swish"][: 3 if read <= HARD_SWISH_FRACTION else 2]
        added = how.get("add")
        fraction = self.layers[added - 1].fraction if added else int(rng.integers(8, 13))
        chosen = {"activation": str(rng.choice(kinds)), "fraction": fraction, **how}
        if k == 0:
            chosen |= {"activation": "none", "wide": True}
        layer = ByteLayer(f"layer{k}", **chosen)
        reach, usual = self._scales(layer)
        shape = c_out, kernel, kernel, self.widths[-1]
        weight = self._wide_weight(shape, reach) if layer.wide else self._byte_weight(shape)
        self._sums(layer.name, weight, reach, usual)
        self.layers.append(layer)
        self.widths.append(c_out)
        return k + 1

    def graph(self, patch: int = 1, stride: int = 1) -> ByteGraph:
        """The network of all layers so far."""
        return ByteGraph(
            layers=tuple(self.layers),
            tensors=self.tensors,
            patch=patch,
            stride=stride,
            sigma_data=0.5,
            output=self.layers[-1].fraction,
            facts={"recipe": {"name": "random"}, "tables": {}, "card": {"description": "random"}},
        )

    def _wild(self, n: int) -> NDArray[np.bool_]:
        """Which of n channels are extreme."""
        return self.rng.random(n) >= self.calm

    def _scales(self, layer: ByteLayer) -> tuple[Int64, float]:
        """Makes scale and zero; how far what is multiplied reaches (c_in,), and usually gets."""
        rng, c_in = self.rng, self.widths[-1]
        if not self.layers:
            return np.full(c_in, 32768, np.int64), 4096.0
        spread = 16000.0 if layer.wide else 60 / USUAL / gain(layer.activation) * 2**15
        scale = spread * 2 ** rng.uniform(-1, 1, c_in)
        scale = np.where(self._wild(c_in), 2 ** rng.uniform(0, 15, c_in), scale)
        scale = np.rint(scale).clip(1, 32767).astype(np.int16)
        scale[: int(rng.random() < 0.1)] = 32767
        self.tensors[f"{layer.name}.scale"] = scale
        if layer.wide:
            return scale.astype(np.int64), USUAL / 2
        zero = rng.normal(128 if layer.activation == "none" else 20, 15, c_in).clip(0, 255)
        zero = np.where(self._wild(c_in), rng.choice([0, 1, 128, 254, 255], c_in), zero)
        self.tensors[f"{layer.name}.zero"] = zero.astype(np.uint8)
        return 255 + zero.astype(np.int64), 60.0

    def _byte_weight(self, shape: tuple[int, ...]) -> NDArray[np.int8]:
        """Weights whose pairs add up to PAIR at most, and some do."""
        rng = self.rng
        size = float(rng.choice([5, 30, 127, 1000]))
        weight = np.rint(rng.normal(0, size, shape)).clip(-127, 127).astype(np.int64)
        even, odd = weight[..., 0 : shape[3] // 2 * 2 : 2], weight[..., 1::2]
        over = np.abs(even + odd) > PAIR
        odd[over] = np.sign(even[over]) * (PAIR - np.abs(even[over]))
        return weight.astype(np.int8)

    def _wide_weight(self, shape: tuple[int, ...], reach: Int64) -> NDArray[np.int16]:
        """Weights whose sums take up to nine tenths of 31 bits."""
        weight = self.rng.normal(0, float(self.rng.choice([20, 300, 20000])), shape)
        weight = weight.clip(-32767, 32767)
        room = 0.9 * ROOM / (np.abs(weight) * reach).sum(axis=(1, 2, 3), keepdims=True)
        return np.trunc(weight * np.minimum(room, 1)).astype(np.int16)

    def _sums(self, name: str, weight: NDArray[Any], reach: Int64, usual: float) -> None:
        """Makes weight, shift, bias and perhaps levels, so that sums stay below 2^31."""
        rng, n = self.rng, len(weight)
        wanted = usual * np.sqrt((weight.astype(np.float64) ** 2).sum(axis=(1, 2, 3))) / USUAL
        shift = np.rint(np.log2(np.maximum(wanted, 1))).astype(np.int64)
        shift = np.where(self._wild(n), shift + rng.integers(-6, 4, n), shift).clip(0, 28)
        most = (np.abs(weight.astype(np.int64)) * reach).sum(axis=(1, 2, 3))
        room: Float64 = (ROOM - 1 - most - (1 << shift >> 1)) / 2  # of bias and levels, each
        size = np.where(self._wild(n), 1e5, 1000) * 2.0**shift
        kinds: dict[str, tuple[int, ...]] = {"bias": (n,)}
        if self.levels and rng.random() < 0.5:
            kinds["levels"] = (LEVELS, n)
        for kind, shape in kinds.items():
            values = (rng.normal(0, 1, shape) * size).clip(-room, room)
            self.tensors[f"{name}.{kind}"] = np.trunc(values).astype(np.int32)
        self.tensors[f"{name}.weight"] = weight
        self.tensors[f"{name}.shift"] = shift.astype(np.uint8)


def random_bytes(
    seed: int,
    *,
    patch: int | None = None,
    halvings: int | None = None,
    widest: int = WIDEST,
    levels: bool | None = None,
    calm: float = 0.85,
) -> ByteGraph:
    """A U-Net of layers with 1 .. widest channels; what is None is random. prove_bytes holds.

    halvings: of the resolution, 0 to 2. It has blocks that are added to what they read, layers with
    stride 2, layers that upsample and are added to what came before, 1x1 and 3x3 kernels, every
    activation, and wide layers, the first one and some others. See ByteBuilder.
    """
    rng = np.random.default_rng(seed)
    patch = int(rng.choice([1, 2, 4], p=[0.6, 0.3, 0.1])) if patch is None else patch
    halvings = int(rng.integers(0, 3)) if halvings is None else halvings
    levels = bool(rng.random() < 0.7) if levels is None else levels
    net = ByteBuilder(rng, 3 * patch**2, levels, calm)

    def width() -> int:
        return int(rng.choice([rng.integers(1, widest + 1), min(widest, 8 * rng.integers(1, 9))]))

    def how() -> dict[str, Any]:
        return {"kernel": int(rng.choice([1, 3])), "wide": bool(rng.random() < 0.12)}

    def blocks() -> None:
        for _ in range(int(rng.integers(0, 3))):
            before = len(net.layers)
            net.conv(width(), **how())
            net.conv(net.widths[before], **how(), add=before)

    net.conv(width(), int(rng.choice([1, 3])))
    skips = []
    for _ in range(halvings):
        blocks()
        skips.append(len(net.layers))
        net.conv(width(), **how(), stride=2)
    blocks()
    for skip in reversed(skips):
        add = skip if rng.random() < 0.8 else None
        net.conv(net.widths[skip], 1, wide=bool(rng.random() < 0.12), upsample=True, add=add)
        blocks()
    net.conv(3 * patch**2, **how())
    return net.graph(patch, patch << halvings)


def inputs(
    graph: ByteGraph, n: int, rows: int, columns: int, seed: int = 0
) -> tuple[Int16, Float64]:
    """x (n, rows, columns, C) int16 and v (n,), images of all kinds in turn.

    rows, columns: in squares of patch x patch pixels; rounded up to what the network halves. Every
    fourth image is of extremes only, every fourth of one value, and levels lie between, at, below
    and above the network's own.
    """
    rng, unit = np.random.default_rng(seed), graph.stride // graph.patch
    shape = -(-rows // unit) * unit, -(-columns // unit) * unit, 3 * graph.patch**2
    levels = graph.tensors["levels"]
    found, v = [], []
    for i in range(n):
        made = (
            rng.normal(0, 4096, shape).clip(-32768, 32767),
            rng.choice([-32768, -32767, 32767], shape),
            rng.integers(-32768, 32768, shape),
            np.full(shape, rng.choice([0, -32768, 32767])),
        )
        found.append(np.rint(made[i % 4]).astype(np.int16))
        inside = float(np.exp(rng.uniform(*np.log(levels[[0, -1]]))))
        v.append((inside, levels[0] / 9, levels[-1] * 9, levels[2])[(i + seed) % 4])
    return np.stack(found), np.array(v)


def extreme(channels: int) -> tuple[ByteGraph, Int16, Float64]:
    """A network of bytes that are 0 or 255 and weights whose pairs come to PAIR, and its inputs."""
    rng = np.random.default_rng(0)
    net = ByteBuilder(rng, 3, levels=False)
    net.conv(channels, 1)
    net.conv(17, 3, activation="none")
    weight = net.tensors["layer1.weight"]
    weight[:] = rng.choice([64, -64], (17, 3, 3, 1))
    weight[::3] = 127
    weight[::3, ..., 1::2] = 1
    net.tensors["layer1.scale"][:] = 32767
    net.tensors["layer1.zero"][:] = rng.choice([0, 255], channels)
    net.tensors["layer1.shift"][:] = 8
    return net.graph(), *inputs(net.graph(), 4, 5, 5)
