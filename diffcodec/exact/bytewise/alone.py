"""What one layer costs alone: its output is exchanged, and all other layers stay float."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.exact.activation_ranges import network_input
from diffcodec.exact.coefficients import coefficients
from diffcodec.exact.floats import FloatNetwork
from diffcodec.theory.units import GREY, to_x0


class Alone:
    """The streams of a float network on images (N, H, W, 3) with noise of `sigma` grey levels."""

    def __init__(
        self, network: FloatNetwork, images: Sequence[NDArray[np.uint8]], sigma: float
    ) -> None:
        self.network, self.x0 = network, to_x0(np.stack(images))
        noise = np.random.default_rng(0).standard_normal(self.x0.shape)
        self.y, self.v = self.x0 + sigma / GREY * noise, np.full(len(images), (sigma / GREY) ** 2)
        with torch.inference_mode():
            x = network_input(network, self.y, self.v).to(network.dtype)
            self.streams = network.streams([x], self.v)
        self.float = self._error(self.streams[-1])

    def cost(self, k: int, out: Tensor) -> float:
        """How many dB of x0_hat's PSNR it costs if layer number k yields `out`."""
        with torch.inference_mode():
            streams = self.network.streams([*self.streams[: k + 1], out], self.v)
        return float(10 * np.log10(self._error(streams[-1]) / self.float))

    def _error(self, out: Tensor) -> float:
        """The mean square of what x0_hat misses."""
        c_skip, c_out, _ = coefficients(self.network.config, self.v)
        residual = F.pixel_shuffle(out, self.network.config.patch).double().numpy()
        x0_hat = np.clip(c_skip * self.y + c_out * residual, -1, 1)
        return float(np.mean((x0_hat - self.x0) ** 2))
