"""What all networks share: they see images at unit scale, with the noise level, and yield x0_hat.

Coordinates: y = x_t / sqrt(alpha_bar_t) = x0 + n, n ~ N(0, v), pixels in [-1, 1]. A network is
conditioned on a continuous noise level (log sigma), not on one of T integers as in DDPM, so that
the codec may place its steps freely; and what its layers yield is not x0_hat itself, but what
`predicts` in the recipe says (prediction.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.network.activation import activation
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig
from diffcodec.network.grids import without_grids
from diffcodec.network.noise import NoiseEmbedding
from diffcodec.network.prediction import Prediction, fourier_features
from diffcodec.network.walk import Evaluation, Stream, Walker


class Network(nn.Module, ABC):
    """x0_hat(y, v) for (N, C, H, W) images; H and W multiples of `config.multiple`.

    C is `config.image_channels`, 3 or 1. With a learned variance as many channels follow x0_hat:
    they say where log sigma^2 lies, -1 at log beta_tilde and 1 at log beta (improved DDPM, eq. 15).
    An architecture is a subclass with its layers and `walk`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = NoiseEmbedding(config)
        self.classes = nn.Embedding(config.classes, 4 * config.channels) if config.classes else None
        self.prediction = Prediction(config)
        # Who walks in forward(), with an embedding and an activation: training may send another.
        self.evaluation: Callable[[Tensor, Callable[[Tensor], Tensor]], Evaluation] = Evaluation
        image = config.image_channels * config.patch**2
        self.c_in = (1 + 2 * len(config.fourier)) * image  # channels that `walk` is given
        self.c_out = (2 if config.sigma2 == "learned" else 1) * image  # and those it returns
        # eps and mu are multiplied by as much as 100, and x0 is told to fractions of a grey level:
        # bf16 would be too coarse for them.
        self.float32 = config.predicts != "preconditioned"

    @abstractmethod
    def walk(self, to: Walker[Stream], x: Stream) -> Stream:
        """All layers in their order: `c_in` channels -> `c_out`, the pixels of a patch as channels.

        The last layer takes float32 = self.float32.
        """

    def forward(self, y: Tensor, v: Tensor, label: Tensor | None = None) -> Tensor:
        """y: (N, C, H, W) = x0 + n; v: (N,) noise variance > 0; returns x0_hat like y.

        label: (N,) int64, the class of each image, if the network has classes.
        """
        c_skip, c_out, c_in = self.prediction(v)
        x = c_in * y
        if self.config.fourier:
            x_t = y * (1 + v[:, None, None, None]).rsqrt()
            x = torch.cat([x, fourier_features(x_t, self.config.fourier)], dim=1)
        out, image = self.residual(x, v, label).float(), self.config.image_channels
        x0_hat = c_skip * y + c_out * out[:, :image]
        return torch.cat([x0_hat, out[:, image:]], dim=1) if out.shape[1] > image else x0_hat

    def embedding(self, v: Tensor, label: Tensor | None = None) -> Tensor:
        """What layers are told of noise variances (N,) and classes (N,): (N, 4 channels)."""
        if self.classes is None or label is None:
            return cast(Tensor, self.embed(v))
        return cast(Tensor, self.embed(v, self.classes(label)))

    def residual(self, x: Tensor, v: Tensor, label: Tensor | None = None) -> Tensor:
        """F of the prediction: (N, C and features, H, W) of unit scale -> (N, C or 2 C, H, W)."""
        patch = self.config.patch
        walker = self.evaluation(self.embedding(v, label), activation(self.config.activation))
        h = self.walk(walker, F.pixel_unshuffle(x, patch) if patch > 1 else x)
        return F.pixel_shuffle(h, patch) if patch > 1 else h

    def channels_last(self) -> Self:
        """The same network, its weights in the order of memory that convolutions are fastest in."""
        for weight in self.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return self

    def load(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint's weights, in the type of this network's.

        Raises CheckpointError if they do not fit.
        """
        try:
            weights = without_grids(checkpoint.weights)
            self.load_state_dict({k: torch.from_numpy(w) for k, w in weights.items()})
        except RuntimeError as error:
            raise checkpoint.misfit() from error
