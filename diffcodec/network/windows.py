"""Normalisation and attention that stay inside windows, so that a large image is like its parts."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


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
    """Group normalisation whose statistics stay inside windows.

    groups: of channels; 0: 8, or as many of them as divide the channels.
    """

    def __init__(self, channels: int, window: int, groups: int = 0, eps: float = 1e-5) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.GroupNorm(groups or math.gcd(8, channels), channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        return from_windows(self.norm(to_windows(x, self.window)), n, h, w)


class Attention(nn.Module):
    """Self-attention over the pixels of each window, added to its input.

    norm: of the input, for (N, channels, H, W). heads: each has as many of the channels, in order.
    """

    def __init__(self, norm: nn.Module, channels: int, window: int, heads: int = 1) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.norm = norm
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(Tensor, self.out.bias))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.out(self.mixed(self.qkv(self.norm(x)))))

    def mixed(self, qkv: Tensor) -> Tensor:
        """Values weighted by attention: (N, 3 channels, H, W) -> (N, channels, H, W)."""
        n, channels, height, width = qkv.shape
        c = channels // 3
        parts = to_windows(qkv, self.window)
        heads = parts.reshape(-1, 3, self.heads, c // self.heads, self.window**2).transpose(3, 4)
        q, k, v = heads.unbind(1)  # (windows, heads, pixels, c / heads)
        h = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return from_windows(h.reshape(-1, c, self.window, self.window), n, height, width)
