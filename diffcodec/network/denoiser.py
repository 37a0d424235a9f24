"""A float network as a denoiser, for images of any size: what training makes and evaluates.

Padding, grey images, classes and batches live here, so that networks do not know of them. Integer
networks (diffcodec.exact.denoiser) give the same numbers on every machine, and these do not.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32
from diffcodec.errors import CheckpointError, OptionError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.grey import rgb_state
from diffcodec.network.kinds import trained
from diffcodec.network.threads import torch_threads

SMALL = 3 * 128 * 128  # values in a batch up to which one thread is best


class NetworkDenoiser:
    """x0_hat(y, v) by a trained network; grey and RGB images of any size, as ExactDenoiser.

    label: of all images, for a network with classes; without one it raises OptionError when it is
    called. A network of grey images takes these alone; of one of RGB, grey ones become three
    channels, as for ExactDenoiser. Raises CheckpointError for weights that do not fit.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: str = "cpu", label: int | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.name = checkpoint.recipe.name
        self.fingerprint = checkpoint.fingerprint.hex()
        self.sigma2 = checkpoint.recipe.network.sigma2
        self.betas = checkpoint.recipe.network.betas
        self.device = torch.device(device)
        self.network = trained(checkpoint)
        self.network.eval().requires_grad_(False).to(self.device)
        self.network.channels_last()
        self.parameters = checkpoint.parameters
        self.classes = checkpoint.recipe.network.classes
        self.label = self._checked(label)

    def __reduce__(self) -> tuple[type[NetworkDenoiser], tuple[Checkpoint, str, int | None]]:
        """Pickled are the checkpoint and what was asked for."""
        return NetworkDenoiser, (self.checkpoint, str(self.device), self.label)

    @property
    def channels(self) -> tuple[int, ...]:
        """Of images that it takes."""
        return (1, 3) if self.checkpoint.recipe.network.image_channels == 3 else (1,)

    def of_class(self, label: int | None) -> NetworkDenoiser:
        """The same network for images of this class; raises OptionError where there is none such.

        None: of no class, which a network with classes cannot be asked about.
        """
        other = object.__new__(NetworkDenoiser)
        vars(other).update({**vars(self), "label": self._checked(label)})
        return other

    def _checked(self, label: int | None) -> int | None:
        if label is None or 0 <= label < self.classes:
            return label
        if not self.classes:
            raise OptionError(f"{self.name} knows no classes: leave out class {label}")
        raise OptionError(
            f"{self.name} has no class {label}: its classes are 0..{self.classes - 1}"
        )

    @property
    def threads(self) -> int:
        """torch's, of this process."""
        return torch.get_num_threads()

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, H, W), C = 1 or 3, float32; v > 0; returns x0_hat in [-1, 1] like y."""
        return np.asarray(self.batch(y[None], v)[0])

    def batch(self, y: Float32, v: float | NDArray[np.float64]) -> Float32:
        """The same for (N, C, H, W) and one v, or one for each image.

        Raises OptionError for a network with classes that was given none, and for RGB images where
        the network knows grey ones; CheckpointError for one that yields what is no number.
        """
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
        if channels not in self.channels:
            raise OptionError(
                f"{self.name} knows grey images only, and these have {channels} channels"
            )
        v = np.broadcast_to(np.asarray(v, np.float64), (n,))
        alone = channels == 1 and 3 in self.channels
        if alone:
            rgb = rgb_state(y, v, slice(0, height), slice(0, width))
            y, v = rgb.astype(np.float32), 3 * v
        out = self._network_output(y, v)[:, :, :height, :width]
        if not np.isfinite(out).all():
            raise CheckpointError(
                f"{self.name} says what is no number at noise variance {v.max():g}, so its weights "
                "are damaged or its training went wrong; train it again, at a lower rate"
            )
        image = y.shape[1]
        x0_hat, share = out[:, :image].clip(-1, 1), (out[:, image:] + 1) / 2
        if alone:
            x0_hat = x0_hat.mean(axis=1, keepdims=True)
            share = share.mean(axis=1, keepdims=True) if share.size else share
        return np.ascontiguousarray(x0_hat, np.float32), np.ascontiguousarray(share, np.float32)

    def _network_output(self, y: Float32, v: NDArray[np.float64]) -> Float32:
        """What the network makes of (N, C, H, W), padded; v: (N,)."""
        (n, _, height, width), side = y.shape, self.checkpoint.recipe.network.multiple
        padding = [(0, 0), (0, 0), (0, -height % side), (0, -width % side)]
        state = torch.from_numpy(np.pad(y, padding, mode="symmetric")).to(self.device)
        state = state.contiguous(memory_format=torch.channels_last)
        noise = torch.from_numpy(v.astype(np.float32)).to(self.device)
        if self.classes and self.label is None:
            raise OptionError(
                f"{self.name} is told the class of an image: name one of 0..{self.classes - 1}"
            )
        label = None if self.label is None else torch.full((n,), self.label, device=self.device)
        # Small images are faster with one thread.
        one = 1 if state.numel() <= SMALL else None
        with torch.inference_mode(), torch_threads(one):
            return np.asarray(self.network(state, noise, label).cpu().numpy())
