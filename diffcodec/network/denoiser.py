"""A float network as a denoiser, for images of any size: what training makes and evaluates.

Padding, grey images and batches live here, so that networks do not know of them. The codec
runs on integer networks only (diffcodec.exact.denoiser).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32
from diffcodec.errors import CheckpointError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.grey import rgb_state
from diffcodec.network.kinds import build
from diffcodec.network.threads import torch_threads

SMALL = 3 * 128 * 128  # values in a batch up to which one thread is best


class NetworkDenoiser:
    """x0_hat(y, v) by a trained network; grey and RGB images of any size, as ExactDenoiser."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.name = checkpoint.recipe.name
        self.fingerprint = checkpoint.fingerprint.hex()
        self.sigma2 = checkpoint.recipe.network.sigma2
        self.betas = checkpoint.recipe.network.betas
        self.device = torch.device(device)
        self.network = build(checkpoint.recipe.network)
        self.network.load(checkpoint)
        self.network.eval().requires_grad_(False).to(self.device)
        self.network.channels_last()
        self.parameters = checkpoint.parameters

    @property
    def threads(self) -> int:
        """torch's, of this process."""
        return torch.get_num_threads()

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, H, W), C = 1 or 3, float32; v > 0; returns x0_hat in [-1, 1] like y."""
        return np.asarray(self.batch(y[None], v)[0])

    def batch(self, y: Float32, v: float | NDArray[np.float64]) -> Float32:
        """The same for (N, C, H, W) and one v, or one for each image."""
        return self._evaluate(y, v)[0]

    def with_variance(self, y: Float32, v: float | NDArray[np.float64]) -> tuple[Float32, Float32]:
        """x0_hat, and where log sigma^2 lies: 0 at log beta_tilde, 1 at log beta; both like y.

        Raises CheckpointError for a network without a learned variance.
        """
        if self.sigma2 != "learned":
            raise CheckpointError(
                f'{self.name} has no learned variance: its recipe says sigma2 = "{self.sigma2}"'
            )
        return self._evaluate(y, v)

    def _evaluate(self, y: Float32, v: float | NDArray[np.float64]) -> tuple[Float32, Float32]:
        """x0_hat and the share; the latter is empty where the variance is not learned."""
        n, channels, height, width = y.shape
        v = np.broadcast_to(np.asarray(v, np.float64), (n,))
        if channels == 1:
            rgb = rgb_state(y, v, slice(0, height), slice(0, width))
            y, v = rgb.astype(np.float32), 3 * v
        side = self.checkpoint.recipe.network.multiple
        padding = [(0, 0), (0, 0), (0, -height % side), (0, -width % side)]
        state = torch.from_numpy(np.pad(y, padding, mode="symmetric")).to(self.device)
        state = state.contiguous(memory_format=torch.channels_last)
        noise = torch.from_numpy(v.astype(np.float32)).to(self.device)
        # Small images are faster with one thread, and sums do not depend on how many there are.
        one = 1 if state.numel() <= SMALL else None
        with torch.inference_mode(), torch_threads(one):
            out = self.network(state, noise).cpu().numpy()[:, :, :height, :width]
        x0_hat, share = out[:, :3].clip(-1, 1), (out[:, 3:] + 1) / 2
        if channels == 1:
            x0_hat = x0_hat.mean(axis=1, keepdims=True)
            share = share.mean(axis=1, keepdims=True) if share.size else share
        return np.ascontiguousarray(x0_hat, np.float32), np.ascontiguousarray(share, np.float32)
