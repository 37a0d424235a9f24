"""Training crops drawn where the network trains: all images lie on the GPU, and so does the work.

The batch of step k is a pure function of (seed, k, rank), so a resumed run sees the same crops
without any stored state. A GPU draws others than a CPU, so a run stays on one kind of device.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.data import shuffled
from diffcodec.errors import DataError
from diffcodec.network.config import TrainConfig

LUMA = (0.299, 0.587, 0.114)
ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))  # of the channels
GAMMA = 1.4  # largest, and its inverse the smallest
CONTRAST = (0.7, 1.2)
BRIGHTNESS = 0.1  # of the range of pixels, up or down


class DeviceBatches:
    """Crops of side `config.crop`; `batches[k]`: this rank's share, (batch / world, 3, crop, crop)
    uint8 on the device. With a `scale`, the first half of each share is enlarged. An image of
    twice the pixels is drawn twice as often."""

    def __init__(
        self,
        images: list[NDArray[np.uint8]],
        config: TrainConfig,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """images: (H, W, 3), no side below the crop. Raises DataError if they do not fit."""
        self.config, self.device, self.rank = config, device, rank
        self.share = config.batch // world
        sizes = np.array([image.shape[:2] for image in images])
        firsts = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))])
        flat = np.concatenate([image.reshape(-1, 3) for image in images])
        try:
            self.pixels = torch.from_numpy(flat).to(device)  # (all pixels, 3)
        except torch.OutOfMemoryError as error:
            raise DataError(
                f"the images take {flat.nbytes / 2**30:.1f} GiB, more than the device has; train "
                "on fewer of them"
            ) from error
        self.heights, self.widths = torch.from_numpy(sizes.T.copy()).to(device)
        self.firsts = torch.from_numpy(firsts).to(device)
        self.luma = torch.tensor(LUMA, device=device)
        self.orders = torch.tensor(ORDERS, device=device)
        area = sizes.prod(axis=1)
        self.places = np.repeat(np.arange(len(images)), (area / area.min()).round().astype(int))

    def __getitem__(self, step: int) -> Tensor:
        rng = torch.Generator(self.device)
        rng.manual_seed((self.config.seed << 40) + (step << 8) + self.rank)
        u = torch.rand(10, self.share, generator=rng, device=self.device)
        which = self._which(step).to(self.device, non_blocking=True)
        height, width, crop = self.heights[which], self.widths[which], self.config.crop
        side = torch.full_like(height, crop)
        enlarged = self.share // 2 if self.config.scale > 1 else 0
        side[:enlarged] = (crop / self.config.scale ** u[0, :enlarged]).round().long()
        top, left = ((u[i] * (n - side + 1)).long() for i, n in ((1, height), (2, width)))
        # The square of `side` lies in a window of `crop`, which lies in the image.
        row, column = torch.minimum(top, height - crop), torch.minimum(left, width - crop)
        reach = torch.arange(crop, device=self.device)
        index = (
            self.firsts[which, None, None]
            + (row[:, None] + reach)[:, :, None] * width[:, None, None]
        )
        index = index + (column[:, None] + reach)[:, None, :]
        x = self.pixels[index].permute(0, 3, 1, 2)
        if enlarged:
            n = slice(enlarged)
            offsets = torch.stack([left - column, top - row], dim=1)[n]
            x = torch.cat([enlarge(x[n], offsets, side[n]), x[enlarged:]])
        if self.config.flips or self.config.turns:
            x = _where(u[3] < 0.5, x.flip(3), x)
        if self.config.turns:
            x = _where(u[5] < 0.5, x.flip(2), x)
            x = _where(u[6] < 0.5, x.transpose(2, 3), x)
        if self.config.colours:
            order = u[7] / self.config.colours
            x = _where(order < 1, recoloured(x, order, u[8], u[9], self.orders), x)
        if self.config.grey:
            luma = torch.einsum("nchw,c->nhw", x.float(), self.luma)
            x = _where(u[4] < self.config.grey, luma.round().byte()[:, None].expand_as(x), x)
        return x

    def _which(self, step: int) -> Tensor:
        """Images of this rank's share, in epochs of a seeded shuffle: (share,) int64."""
        first = step * self.config.batch + self.rank * self.share
        places = range(first, first + self.share)
        drawn = [shuffled(self.config.seed, len(self.places), place) for place in places]
        return torch.from_numpy(self.places[drawn])


def enlarge(windows: Tensor, offsets: Tensor, sides: Tensor) -> Tensor:
    """Bicubic enlargement of a square of each window to the window's size, in whole grey levels.

    windows: (N, 3, S, S) uint8; offsets: (N, 2), left and top of the squares; sides: (N,).
    """
    size = windows.shape[-1]
    centres = (torch.arange(size, device=windows.device) + 0.5) / size  # of the new pixels, in 0..1
    where = offsets[:, :, None] + centres * sides[:, None, None]  # (N, 2, S), in pixels
    x, y = (2 * where / size - 1).unbind(1)
    grid = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=3
    )
    found = F.grid_sample(
        windows.float(), grid.float(), "bicubic", padding_mode="border", align_corners=False
    )
    return found.round().clamp(0, 255).byte()


def recoloured(x: Tensor, order: Tensor, gamma: Tensor, light: Tensor, orders: Tensor) -> Tensor:
    """Crops (N, 3, S, S) uint8 with their channels in another order, and another gamma curve,
    contrast and brightness; order, gamma, light: (N,) in 0..1, what is drawn of each."""
    wanted = orders[(order * len(orders)).long().clamp(max=len(orders) - 1)]  # (N, 3)
    x = x.gather(1, wanted[:, :, None, None].expand_as(x))
    power = GAMMA ** (2 * gamma - 1)
    low, high = CONTRAST
    # Digits of one draw that have nothing to do with each other.
    contrast, brightness = low + (high - low) * light, BRIGHTNESS * (2 * (light * 1024 % 1) - 1)
    power, contrast, brightness = (p[:, None, None, None] for p in (power, contrast, brightness))
    made = (x.float() / 255).pow(power) * contrast + brightness
    return (255 * made).round().clamp(0, 255).byte()


def _where(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a for the chosen images (N,), b for the others."""
    return torch.where(chosen[:, None, None, None], a, b)
