"""A float network as the list of layers that an integer network is.

`Listing` walks over a network as forward() does and writes down what it meets: layers come in the
order in which they are evaluated, each named as torch names the convolution, and streams are
numbered as in diffcodec.exact.graph. Attention is two layers: one makes queries, keys and values,
and one reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
from torch import nn

from diffcodec.bitstream.types import Float64
from diffcodec.errors import CheckpointError
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig
from diffcodec.network.kinds import trained
from diffcodec.network.same import SameConv2d
from diffcodec.network.windows import Attention, WindowNorm

Numbers = tuple[int, ...]  # of streams whose channels follow each other
OfNoise = Callable[[Float64], Float64]  # noise variances (L,) -> (L, n)


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A convolution as diffcodec.exact.graph.Layer, in float64.

    module: the convolution itself. level: what it adds to the bias at noise variances (L,), as
    (L, c_out), if anything. norm, attention: of what it reads. told: how the noise level scales and
    shifts what norm yields, (L, 2 c_in), if it does.
    """

    name: str
    sources: Numbers
    silu: bool
    module: nn.Conv2d
    upsample: bool = False
    stride: int = 1
    add: int | None = None
    level: OfNoise | None = None
    norm: WindowNorm | None = None
    told: OfNoise | None = None
    attention: Attention | None = None

    @property
    def trailing(self) -> bool:
        """Whether zeros lie below and to the right only."""
        return isinstance(self.module, SameConv2d)

    @property
    def weight(self) -> Float64:
        """(c_out, k, k, c_in)."""
        return np.asarray(self.module.weight.detach().numpy().transpose(0, 2, 3, 1))

    @property
    def bias(self) -> Float64:
        """(c_out,)."""
        assert self.module.bias is not None
        return np.asarray(self.module.bias.detach().numpy())

    def affine(self, v: Float64) -> tuple[Float64, Float64]:
        """What normalised channels are multiplied by, and what is added: (L, c_in) each."""
        assert self.norm is not None
        scale, offset = (
            np.broadcast_to(tensor.detach().numpy(), (len(v), len(tensor)))
            for tensor in (self.norm.norm.weight, self.norm.norm.bias)
        )
        if self.told is None:
            return scale.copy(), offset.copy()
        more, shift = np.split(self.told(v), 2, axis=1)
        return scale * (1 + more), offset * (1 + more) + shift


class Listing:
    """Walks with numbers of streams; raises CheckpointError for what has no integers."""

    def __init__(self, network: Network, name: str) -> None:
        self.network, self.name = network, name
        self.names = {module: name for name, module in network.named_modules()}
        self.layers = list[FloatLayer]()

    def conv(
        self,
        layer: nn.Conv2d,
        x: Numbers,
        *,
        norm: nn.Module | None = None,
        scale_shift: nn.Linear | None = None,
        silu: bool = False,
        upsample: bool = False,
        embed: nn.Linear | None = None,
        add: Numbers | None = None,
        float32: bool = False,
    ) -> Numbers:
        """As Walker says: append a layer; the number of its stream."""
        if not _plain(layer):
            self._refuse(f"its convolution {self.names[layer]} is of another kind")
        (added,) = (None,) if add is None else add
        return self._append(
            FloatLayer(
                self.names[layer],
                x,
                silu,
                layer,
                upsample=upsample,
                stride=layer.stride[0],
                add=added,
                level=None if embed is None else _OfNoise(self.network, embed),
                norm=self._norm(norm),
                told=None if scale_shift is None else _OfNoise(self.network, scale_shift),
            )
        )

    def cat(self, a: Numbers, b: Numbers) -> Numbers:
        """As Walker says."""
        return a + b

    def apply(self, layer: nn.Module, x: Numbers) -> Numbers:
        """As Walker says: attention."""
        if not isinstance(layer, Attention):
            self._refuse(f"its layer {self.names[layer]} is neither convolution nor attention")
        qkv, out = self.names[layer.qkv], self.names[layer.out]
        read = self._append(FloatLayer(qkv, x, False, layer.qkv, norm=self._norm(layer.norm)))
        (added,) = x
        return self._append(FloatLayer(out, read, False, layer.out, add=added, attention=layer))

    def _append(self, layer: FloatLayer) -> Numbers:
        self.layers.append(layer)
        return (len(self.layers),)

    def _norm(self, norm: nn.Module | None) -> WindowNorm | None:
        if norm is None or isinstance(norm, nn.Identity):
            return None
        if not isinstance(norm, WindowNorm):
            self._refuse(f"its normalisation {self.names[norm]} is not of groups inside windows")
        return norm

    def _refuse(self, why: str) -> NoReturn:
        raise CheckpointError(f"{self.name} has no exact form: {why}")


def _plain(layer: nn.Conv2d) -> bool:
    """Whether the integer network has such a convolution."""
    if isinstance(layer, SameConv2d):
        return True
    k, step = layer.kernel_size[0], layer.stride[0]
    found = layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups
    return found == ((k, k), (step, step), (k // 2, k // 2), (1, 1), 1) and layer.bias is not None


class _OfNoise:
    """What a linear layer makes of the noise embedding, at variances (L,): (L, n)."""

    def __init__(self, network: Network, embed: nn.Linear) -> None:
        self.network, self.embed = network, embed

    def __call__(self, v: Float64) -> Float64:
        with torch.inference_mode():
            return np.asarray(self.embed(self.network.embed(torch.from_numpy(v))).numpy())


def layers_of(checkpoint: Checkpoint) -> list[FloatLayer]:
    """The layers of a network, with its weights; raises CheckpointError without an exact form."""
    recipe = checkpoint.recipe
    _check_recipe(recipe.name, recipe.network)
    network = trained(checkpoint).double()
    listing = Listing(network, recipe.name)
    network.walk(listing, (0,))
    if not all(np.isfinite(weight).all() for weight in checkpoint.weights.values()):
        raise CheckpointError(
            f"{recipe.name} has weights that are not numbers; train it again, at a lower rate"
        )
    return listing.layers


def _check_recipe(name: str, config: NetworkConfig) -> None:
    """What the integer network and the codec around it have no place for, by name."""
    found = None
    if config.sigma2 == "learned":
        found = 'network.sigma2 = "learned" instead of "beta"'
    elif config.fourier:
        found = "network.fourier, sines that are not integers, instead of []"
    elif config.classes:
        found = f"network.classes = {config.classes}, and integers are told no class"
    elif config.image_channels != 3:
        found = f"network.image_channels = {config.image_channels} instead of 3"
    if found:
        raise CheckpointError(
            f"{name} has no exact form: its recipe has {found}; leave it as it is, the codec runs "
            "on float networks too"
        )
