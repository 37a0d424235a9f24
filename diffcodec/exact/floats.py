"""A float network as the list of layers that an integer network is.

`Listing` walks over a network as forward() does and writes down what it meets: layers come in the
order in which they are evaluated, each named as torch names the convolution, and streams are
numbered as in diffcodec.exact.graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64
from diffcodec.errors import CheckpointError
from diffcodec.exact.integers import TRAINED
from diffcodec.network.activation import activation
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Betas, Recipe
from diffcodec.network.grids import without_grids
from diffcodec.network.kinds import build
from diffcodec.network.walk import double

Observer = Callable[["FloatLayer", Tensor, Tensor], None]
Numbers = tuple[int, ...]  # of streams whose channels follow each other


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A convolution as diffcodec.exact.graph.Layer, in float64.

    module: the convolution itself. level: what it adds to the bias at noise variances (L,), as
    (L, c_out), if anything.
    """

    name: str
    sources: Numbers
    silu: bool
    module: nn.Conv2d
    upsample: bool = False
    stride: int = 1
    add: int | None = None
    level: Callable[[Float64], Float64] | None = None

    @property
    def weight(self) -> Float64:
        """(c_out, k, k, c_in)."""
        return np.asarray(self.module.weight.detach().numpy().transpose(0, 2, 3, 1))

    @property
    def bias(self) -> Float64:
        """(c_out,)."""
        assert self.module.bias is not None
        return np.asarray(self.module.bias.detach().numpy())


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
        silu: bool = False,
        upsample: bool = False,
        embed: nn.Linear | None = None,
        add: Numbers | None = None,
        float32: bool = False,
    ) -> Numbers:
        """As Walker says: append a layer; the number of its stream."""
        if not (norm is None or isinstance(norm, nn.Identity)) or not _plain(layer):
            self._refuse()
        (added,) = (None,) if add is None else add
        self.layers.append(
            FloatLayer(
                self.names[layer],
                x,
                silu,
                layer,
                upsample=upsample,
                stride=layer.stride[0],
                add=added,
                level=None if embed is None else _Level(self.network, embed),
            )
        )
        return (len(self.layers),)

    def cat(self, a: Numbers, b: Numbers) -> Numbers:
        """As Walker says."""
        return a + b

    def apply(self, layer: nn.Module, x: Numbers) -> NoReturn:
        """As Walker says."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise CheckpointError(
            f"{self.name} has no exact form: only networks of convolutions alone do; train one "
            'with norm = "none" and attention = []'
        )


def _plain(layer: nn.Conv2d) -> bool:
    """Whether the integer network has such a convolution."""
    k, step = layer.kernel_size[0], layer.stride[0]
    found = layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups
    return found == ((k, k), (step, step), (k // 2, k // 2), (1, 1), 1) and layer.bias is not None


class _Level:
    """What a linear layer makes of the noise embedding, at variances (L,): (L, c_out)."""

    def __init__(self, network: Network, embed: nn.Linear) -> None:
        self.network, self.embed = network, embed

    def __call__(self, v: Float64) -> Float64:
        with torch.inference_mode():
            return np.asarray(self.embed(self.network.embed(torch.from_numpy(v))).numpy())


def layers_of(checkpoint: Checkpoint) -> list[FloatLayer]:
    """The layers of a network of convolutions alone, with its weights; raises CheckpointError."""
    recipe = checkpoint.recipe
    network = build(recipe.network).double()
    listing = Listing(network, recipe.name)
    network.walk(listing, (0,))
    _check_output(recipe)
    network.load(checkpoint)
    if not all(np.isfinite(weight).all() for weight in checkpoint.weights.values()):
        raise CheckpointError(
            f"{recipe.name} has weights that are not numbers; train it again, at a lower rate"
        )
    return listing.layers


def facts_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What an integer network knows about the one that it was made from."""
    return {
        "recipe": checkpoint.recipe.to_dict(),
        "tables": checkpoint.tables,
        "card": checkpoint.card,
        "trained": checkpoint.fingerprint.hex(),
    }


def meaning_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """How x0_hat follows from what an integer network yields: fields of it."""
    config = checkpoint.recipe.network
    betas: Betas = config.betas if config.predicts == "mu" else "linear"
    return {"predicts": config.predicts, "sigma_data": config.sigma_data, "betas": betas}


def embedding_of(checkpoint: Checkpoint, layers: Sequence[FloatLayer]) -> dict[str, NDArray[Any]]:
    """All weights but those of the layers, in float16: only training needs them again."""
    names = {layer.name for layer in layers}
    return {
        TRAINED + name: weight.astype(np.float16)
        for name, weight in without_grids(checkpoint.weights).items()
        if name.rpartition(".")[0] not in names
    }


def _check_output(recipe: Recipe) -> None:
    """What the integer network and the codec around it have no place for, by name."""
    config, found = recipe.network, None
    if config.sigma2 == "learned":
        found = 'network.sigma2 = "learned" instead of "beta"'
    elif config.fourier:
        found = "network.fourier, sines that are not integers, instead of []"
    if found:
        raise CheckpointError(
            f"{recipe.name} has no exact form: its recipe has {found}; such networks are measured "
            "(diffcodec nll), the codec does not run on them"
        )


class FloatNetwork:
    """Evaluates the layers in floating point: F of the prediction, and what leads to it."""

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
        self.config, self.dtype = checkpoint.recipe.network, dtype
        self.layers = layers_of(checkpoint)
        self.activation = activation(self.config.activation)

    def __call__(self, x: Tensor, v: Float64, observe: Observer | None = None) -> Tensor:
        """x: (N, C, H, W), pixels already unshuffled; v: (N,); observe(layer, activation, out)."""
        return self.streams([x.to(self.dtype)], v, observe)[-1]

    def streams(
        self, known: list[Tensor], v: Float64, observe: Observer | None = None
    ) -> list[Tensor]:
        """All streams, from the first ones of them on, which are known: at least the input."""
        streams = list(known)
        for layer in self.layers[len(known) - 1 :]:
            a = self.activations(layer, streams)
            out = self.output(layer, a, streams, v)
            if observe:
                observe(layer, a, out)
            streams.append(out)
        return streams

    def activations(self, layer: FloatLayer, streams: Sequence[Tensor]) -> Tensor:
        """What goes into a layer's convolution, before it is enlarged: (N, c_in, H, W)."""
        a = torch.cat([streams[i] for i in layer.sources], dim=1)
        return self.activation(a) if layer.silu else a

    def output(self, layer: FloatLayer, a: Tensor, streams: Sequence[Tensor], v: Float64) -> Tensor:
        """A layer's stream, from its activations: (N, c_out, H, W)."""
        out = self._convolve(layer, double(a) if layer.upsample else a, v)
        return out if layer.add is None else out + streams[layer.add]

    def _convolve(self, layer: FloatLayer, a: Tensor, v: Float64) -> Tensor:
        weight, bias = (torch.from_numpy(t).to(self.dtype) for t in (layer.weight, layer.bias))
        weight = weight.permute(0, 3, 1, 2)
        out = F.conv2d(a, weight, bias, stride=layer.stride, padding=weight.shape[-1] // 2)
        if layer.level is None:
            return out
        return out + torch.from_numpy(layer.level(v)).to(self.dtype)[:, :, None, None]
