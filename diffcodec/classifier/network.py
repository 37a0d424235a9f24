"""Classifiers as torch modules: log p(c | y, v) of noisy images, and the features before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.classifier.config import ClassifierConfig
from diffcodec.errors import CheckpointError
from diffcodec.network.noise import NoiseEmbedding
from diffcodec.network.tensors import Tensors
from diffcodec.network.unet import ResidualBlock, attention, run
from diffcodec.network.walk import Evaluation

SIGMA_DATA = 0.5  # spread of the pixels in [-1, 1]


class Classifier(nn.Module, ABC):
    """Logits of y (N, 3, size, size) = x0 + n, n ~ N(0, v), pixels in [-1, 1]; v: (N,)."""

    def __init__(self, config: ClassifierConfig, width: int) -> None:
        super().__init__()
        self.config, self.width = config, width
        self.head = nn.Linear(width, config.classes)

    @abstractmethod
    def features(self, y: Tensor, v: Tensor) -> Tensor:
        """What the logits are a linear map of: (N, width)."""

    def forward(self, y: Tensor, v: Tensor) -> Tensor:
        """(N, classes) float32: log p(c | y, v), but for a constant."""
        return cast(Tensor, self.head(self.features(y, v))).float()

    def load(self, weights: Tensors, name: str) -> None:
        """Take weights, in the type of this network's; CheckpointError if they do not fit."""
        try:
            self.load_state_dict({k: torch.from_numpy(w) for k, w in weights.items()})
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights of {name} do not fit its recipe; get the original file again"
            ) from error


class AttentionPool(nn.Module):
    """The mean of the pixels asks them all (Radford et al. 2021, CLIP, section 2.4).

    (N, width, side, side) -> (N, width).
    """

    def __init__(self, width: int, side: int, heads: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(side * side + 1, width) / width**0.5)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([pixels.mean(dim=1, keepdim=True), pixels], dim=1) + self.places
        pooled, _ = self.attend(tokens[:, :1], tokens, tokens, need_weights=False)
        return cast(Tensor, pooled[:, 0])


class Encoder(Classifier):
    """ADM's classifier (Dhariwal and Nichol 2021, section 4): half a U-Net, told the noise."""

    def __init__(self, config: ClassifierConfig) -> None:
        trunk = config.trunk
        widths = [config.channels * m for m in config.multipliers]
        super().__init__(config, widths[-1])
        self.embed = NoiseEmbedding(trunk)
        self.stem = nn.Conv2d(3 * config.patch**2, config.channels, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        width, side = config.channels, config.size // config.patch
        for i, wide in enumerate(widths):
            for _ in range(config.blocks):
                attends = [attention(trunk, wide, side)] if side in config.attention else []
                block = ResidualBlock(trunk, width, wide, side)
                self.down.append(nn.ModuleList([block, *attends]))
                width = wide
            if i < len(widths) - 1:
                self.shrink.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                side //= 2
        self.norm = nn.GroupNorm(1, width)
        self.pool = AttentionPool(width, side, width // (config.head_width or width))

    def features(self, y: Tensor, v: Tensor) -> Tensor:
        """As Classifier says."""
        to = Evaluation(self.embed(v))
        h = y * (v + SIGMA_DATA**2).rsqrt()[:, None, None, None]
        h = self.stem(F.pixel_unshuffle(h, self.config.patch) if self.config.patch > 1 else h)
        for i, stage in enumerate(self.down):
            h = run(to, stage, h)
            level, last = divmod(i, self.config.blocks)
            if last == self.config.blocks - 1 and level < len(self.shrink):
                h = self.shrink[level](h)
        return cast(Tensor, self.pool(F.silu(self.norm(h))))


class Convolutions(Classifier):
    """For clean images: two convolutions a level, and the largest of each feature at the end.

    The first level has half the resolution of the image, 2 x 2 pixels as channels.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        widths = [config.channels * m for m in config.multipliers]
        super().__init__(config, widths[-1])
        layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
        for i, (width, wide) in enumerate(zip((12, *widths), widths, strict=False)):
            layers.append(nn.Conv2d(width, wide, 3, padding=1, bias=False))
            layers += [nn.MaxPool2d(2)] if i else []
            layers += [nn.BatchNorm2d(wide), nn.SiLU()]
            layers.append(nn.Conv2d(wide, wide, 3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(wide), nn.SiLU()]
        self.layers = nn.Sequential(*layers)

    def features(self, y: Tensor, v: Tensor) -> Tensor:
        """As Classifier says; v is not looked at."""
        return cast(Tensor, self.layers(y / SIGMA_DATA).amax(dim=(2, 3)))


def build(config: ClassifierConfig) -> Classifier:
    """An untrained classifier of the recipe's kind."""
    return Encoder(config) if config.kind == "encoder" else Convolutions(config)
