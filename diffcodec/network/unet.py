"""DDPM's U-Net (Ho et al. 2020, appendix B) as a denoiser for images of any size.

What differs from the paper, and why:
- it is conditioned on a continuous noise level (log sigma), not on one of T integers, so that the
  codec may place its steps freely;
- its output is preconditioned (Karras et al. 2022, eq. 7): x0_hat = c_skip y + c_out F, because raw
  eps is useless at high noise; eps, or mu, is what `predicts` in the recipe says on request;
- attention and normalisation statistics stay inside windows of the training size, so a large
  image behaves like its parts. With `norm = "none"` and no attention it is purely local.

Coordinates: y = x_t / sqrt(alpha_bar_t) = x0 + n, n ~ N(0, v), pixels in [-1, 1].
"""

from __future__ import annotations

import contextlib
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.network.config import NetworkConfig
from diffcodec.network.prediction import Prediction, fourier_features

SIGMA_RANGE = (0.3 / 127.5, 1000.0 / 127.5)  # noise levels the embedding tells apart


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding (Vaswani et al. 2017) of t in [0, 1000]: (N,) -> (N, width)."""
    half = width // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=t.device) / half)
    angles = t[:, None].float() * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def to_windows(x: Tensor, window: int) -> Tensor:
    """(N, C, H, W) -> (N * windows, C, window, window); H and W are multiples of window."""
    n, c, h, w = x.shape
    if h == window and w == window:
        return x
    x = x.reshape(n, c, h // window, window, w // window, window)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, window, window)


def from_windows(x: Tensor, n: int, h: int, w: int) -> Tensor:
    """Inverse of to_windows for n images of h x w."""
    window = x.shape[-1]
    if h == window and w == window:
        return x
    x = x.reshape(n, h // window, w // window, -1, window, window)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, h, w)


class WindowNorm(nn.Module):
    """Group normalisation whose statistics stay inside windows."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.GroupNorm(math.gcd(8, channels), channels)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        return from_windows(self.norm(to_windows(x, self.window)), n, h, w)


def normalisation(config: NetworkConfig, channels: int, window: int) -> nn.Module:
    """The recipe's normalisation at a level whose windows are `window` feature pixels wide."""
    return WindowNorm(channels, window) if config.norm == "group" else nn.Identity()


class ResidualBlock(nn.Module):
    """norm, SiLU, conv, + noise embedding, norm, SiLU, conv (starts at zero), + skip."""

    def __init__(self, config: NetworkConfig, c_in: int, c_out: int, window: int) -> None:
        super().__init__()
        self.norm1 = normalisation(config, c_in, window)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.embed = nn.Linear(4 * config.channels, c_out)
        self.norm2 = normalisation(config, c_out, window)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(cast(Tensor, self.conv2.bias))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.embed(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return cast(Tensor, self.skip(x) + h)


class Attention(nn.Module):
    """Single-head self-attention over the pixels of each window."""

    def __init__(self, config: NetworkConfig, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm = normalisation(config, channels, window)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(Tensor, self.out.bias))

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        qkv = to_windows(self.qkv(self.norm(x)), self.window).flatten(2).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=2)  # (windows, window^2, c)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        h = h.reshape(-1, c, self.window, self.window)
        return cast(Tensor, x + self.out(from_windows(h, n, height, width)))


class UNet(nn.Module):
    """x0_hat(y, v) for (N, 3, H, W) images; H and W multiples of `config.multiple`.

    With a learned variance three more channels follow x0_hat: they say where log sigma^2 lies, -1
    at log beta_tilde and 1 at log beta (improved DDPM, eq. 15).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        c, patch = config.channels, config.patch
        widths = [c * m for m in config.multipliers]
        sides = [config.window // (patch << i) for i in range(len(widths))]

        def stage(c_in: int, c_out: int, side: int) -> nn.ModuleList:
            block = nn.ModuleList([ResidualBlock(config, c_in, c_out, side)])
            if side in config.attention:
                block.append(Attention(config, c_out, side))
            return block

        self.embed = nn.Sequential(nn.Linear(c, 4 * c), nn.SiLU(), nn.Linear(4 * c, 4 * c))
        self.prediction = Prediction(config)
        inputs = 3 * (1 + 2 * len(config.fourier))
        outputs = 6 if config.sigma2 == "learned" else 3
        add = config.skips == "add"
        self.stem = nn.Conv2d(inputs * patch * patch, c, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        skips, width = [c], c
        for i, (w, side) in enumerate(zip(widths, sides, strict=True)):
            for _ in range(config.blocks):
                self.down.append(stage(width, w, side))
                width = w
                skips.append(w)
            if i < len(widths) - 1:
                width = widths[i + 1] if add else w
                self.shrink.append(nn.Conv2d(w, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList([stage(width, width, sides[-1]) for _ in range(2)])
        for i in reversed(range(len(widths))):
            for _ in range(config.blocks + 1):
                joined = 0 if add else skips.pop()
                self.up.append(stage(width + joined, widths[i], sides[i]))
                width = widths[i]
            if i > 0:
                above, kernel = (widths[i - 1], 1) if add else (width, 3)
                self.grow.append(nn.Conv2d(width, above, kernel, padding=kernel // 2))
                width = above
        self.norm = normalisation(config, width, sides[0])
        self.head = nn.Conv2d(width, outputs * patch * patch, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

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
        emb = self.embed(timestep_embedding(self.noise_level(v), self.config.channels))
        emb = F.silu(emb)
        h = self.stem(F.pixel_unshuffle(x, patch) if patch > 1 else x)
        h = F.silu(self.norm(self._levels(h, emb)))
        # eps and mu are multiplied by as much as 100: bf16 would be too coarse for them.
        exact = self.config.predicts != "preconditioned"
        with torch.autocast(h.device.type, enabled=False) if exact else contextlib.nullcontext():
            h = self.head(h.float() if exact else h)
        return F.pixel_shuffle(h, patch) if patch > 1 else cast(Tensor, h)

    def _levels(self, h: Tensor, emb: Tensor) -> Tensor:
        """Down, across the middle and up again.

        Every block on the way up sees one of the way down beside its input, as in DDPM; or only a
        level's last image on the way down is added on the way up (Zhang et al. 2021).
        """
        blocks, add, skips = self.config.blocks, self.config.skips == "add", [h]
        for i, stage in enumerate(self.down):
            h = run(stage, h, emb)
            skips.append(h)
            level, last = divmod(i, blocks)
            if last == blocks - 1 and level < len(self.shrink):
                h = self.shrink[level](h)
                skips.append(h)
        joined = [skips[j * (blocks + 1) - 1] for j in range(1, len(self.grow) + 1)]
        for stage in self.middle:
            h = run(stage, h, emb)
        for i, stage in enumerate(self.up):
            h = run(stage, h if add else torch.cat([h, skips.pop()], dim=1), emb)
            level, last = divmod(i, blocks + 1)
            if last == blocks and level < len(self.grow):
                grow = self.grow[level]
                h = upsample(grow(h)) + joined.pop() if add else grow(upsample(h))
        return h

    def noise_level(self, v: Tensor) -> Tensor:
        """log sigma on DDPM's scale of 0..1000, clamped: beyond it images are drowned anyway."""
        low, high = (math.log(s) for s in SIGMA_RANGE)
        return ((v.log() / 2 - low) / (high - low)).clamp(0, 1) * 1000


def upsample(h: Tensor) -> Tensor:
    """Every pixel becomes 2 x 2."""
    return F.interpolate(h, scale_factor=2.0, mode="nearest")


def run(stage: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
    """A residual block, and the attention after it where the level has one."""
    block, *attention = cast(nn.ModuleList, stage)
    h = block(h, embedding)
    for layer in attention:
        h = layer(h)
    return h
