"""What all networks share: they see images at unit scale, with the noise level, and yield x0_hat.

Coordinates: y = x_t / sqrt(alpha_bar_t) = x0 + n, n ~ N(0, v), pixels in [-1, 1]. A network is
conditioned on a continuous noise level (log sigma), not on one of T integers as in DDPM, so that
the codec may place its steps freely; and what its layers yield is not x0_hat itself, but what
`predicts` in the recipe says (prediction.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.errors import CheckpointError
from diffcodec.network.activation import activation
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig
from diffcodec.network.grids import without_grids
from diffcodec.network.noise import NoiseEmbedding
from diffcodec.network.prediction import Prediction, fourier_features
from diffcodec.network.walk import Evaluation, Stream, Walker


class Network(nn.Module, ABC):
    """x0_hat(y, v) for (N, 3, H, W) images; H and W multiples of `config.multiple`.

    With a learned variance three more channels follow x0_hat: they say where log sigma^2 lies, -1
    at log beta_tilde and 1 at log beta (improved DDPM, eq. 15). An architecture is a subclass with
    its layers and `walk`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = NoiseEmbedding(config.channels)
        self.prediction = Prediction(config)
        # Who walks in forward(), with an embedding and an activation: training may send another.
        self.evaluation: Callable[[Tensor, Callable[[Tensor], Tensor]], Evaluation] = Evaluation
        pixels = config.patch**2
        self.c_in = 3 * (1 + 2 * len(config.fourier)) * pixels  # channels that `walk` is given
        self.c_out = (6 if config.sigma2 == "learned" else 3) * pixels  # and those it returns
        # eps and mu are multiplied by as much as 100, and x0 is told to fractions of a grey level:
        # bf16 would be too coarse for them.
        self.float32 = config.predicts != "preconditioned"

    @abstractmethod
    def walk(self, to: Walker[Stream], x: Stream) -> Stream:
        """All layers in their order: `c_in` channels -> `c_out`, the pixels of a patch as channels.

        The last layer takes float32 = self.float32.
        """

    def forward(self, y: Tensor, v: Tensor) -> Tensor:
        """y: (N, 3, H, W) = x0 + n; v: (N,) noise variance > 0; returns x0_hat like y."""
        c_skip, c_out, c_in = self.prediction(v)
        x = c_in * y
        if self.config.fourier:
            x_t = y * (1 + v[:, None, None, None]).rsqrt()
            x = torch.cat([x, fourier_features(x_t, self.config.fourier)], dim=1)
        out = self.residual(x, v).float()
        x0_hat = c_skip * y + c_out * out[:, :3]
        return torch.cat([x0_hat, out[:, 3:]], dim=1) if out.shape[1] > 3 else x0_hat

    def residual(self, x: Tensor, v: Tensor) -> Tensor:
        """F of the prediction: (N, 3 and features, H, W) of unit scale -> (N, 3 or 6, H, W)."""
        patch = self.config.patch
        walker = self.evaluation(self.embed(v), activation(self.config.activation))
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
            raise CheckpointError(
                f"the weights of {checkpoint.recipe.name} do not fit its recipe; get the original "
                "file again"
            ) from error
