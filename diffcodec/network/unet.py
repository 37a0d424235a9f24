"""DDPM's U-Net (Ho et al. 2020, appendix B) as a denoiser for images of any size.

recipes/ddpm-cifar10.toml is the paper's own. Attention and normalisation statistics stay inside
windows of the training size, so that a large image behaves like its parts. With `norm = "none"` and
no attention it is purely local.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from diffcodec.network.architecture import Network
from diffcodec.network.config import BETWEEN, NetworkConfig
from diffcodec.network.same import SameConv2d
from diffcodec.network.walk import Stream, Walker
from diffcodec.network.windows import Attention, WindowNorm


def normalisation(config: NetworkConfig, channels: int, window: int) -> nn.Module:
    """The recipe's normalisation at a level whose windows are `window` feature pixels wide."""
    if config.norm == "none":
        return nn.Identity()
    return WindowNorm(channels, window, config.groups, config.eps)


def attention(config: NetworkConfig, channels: int, window: int, bare: bool = False) -> Attention:
    """The recipe's attention at such a level; bare: without a normalisation of its own."""
    norm = nn.Identity() if bare else normalisation(config, channels, window)
    return Attention(norm, channels, window, channels // (config.head_width or channels))


def shrinking(config: NetworkConfig, c_in: int, c_out: int) -> nn.Conv2d:
    """The convolution that halves a level's sides."""
    if config.downsampling == "same":
        return SameConv2d(c_in, c_out)
    return nn.Conv2d(c_in, c_out, 3, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """norm, SiLU, conv, + noise embedding, norm, SiLU, conv (starts at zero), + skip.

    With scale_shift the embedding is not added there: it scales and shifts what norm2 yields.
    """

    def __init__(self, config: NetworkConfig, c_in: int, c_out: int, window: int) -> None:
        super().__init__()
        self.norm1 = normalisation(config, c_in, window)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.scale_shift = config.scale_shift
        self.embed = nn.Linear(4 * config.channels, 2 * c_out if self.scale_shift else c_out)
        self.norm2 = normalisation(config, c_out, window)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(cast(Tensor, self.conv2.bias))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else None

    def walk(self, to: Walker[Stream], x: Stream) -> Stream:
        """c_in channels -> c_out."""
        skip = x if self.skip is None else to.conv(self.skip, x)
        if self.scale_shift:
            h = to.conv(self.conv1, x, norm=self.norm1, silu=True)
            told = self.embed
            return to.conv(self.conv2, h, norm=self.norm2, scale_shift=told, silu=True, add=skip)
        h = to.conv(self.conv1, x, norm=self.norm1, silu=True, embed=self.embed)
        return to.conv(self.conv2, h, norm=self.norm2, silu=True, add=skip)


def middle(config: NetworkConfig, width: int, side: int) -> nn.ModuleList:
    """Two stages in the middle, at the lowest resolution."""
    first = config.middle in BETWEEN
    attends = [side in config.attention] * 2 if config.middle == "level" else [first, False]
    stages = nn.ModuleList()
    for attend in attends:
        stage = nn.ModuleList([ResidualBlock(config, width, width, side)])
        if attend:
            stage.append(attention(config, width, side, bare=config.middle == "bare_attention"))
        stages.append(stage)
    return stages


class UNet(Network):
    """Levels of residual blocks: down, across the middle, and up again."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        c = config.channels
        widths = [c * m for m in config.multipliers]
        sides = [config.window // (config.patch << i) for i in range(len(widths))]

        def stage(c_in: int, c_out: int, side: int) -> nn.ModuleList:
            block = nn.ModuleList([ResidualBlock(config, c_in, c_out, side)])
            if side in config.attention:
                block.append(attention(config, c_out, side))
            return block

        add = config.skips == "add"
        self.stem = nn.Conv2d(self.c_in, c, 3, padding=1)
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
                self.shrink.append(shrinking(config, w, width))
                skips.append(width)
        self.middle = middle(config, width, sides[-1])
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
        self.head = nn.Conv2d(width, self.c_out, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def walk(self, to: Walker[Stream], x: Stream) -> Stream:
        """Down, across the middle and up again.

        Every block on the way up sees one of the way down beside its input, as in DDPM; or only a
        level's last output on the way down is added on the way up (Zhang et al. 2021).
        """
        blocks, add = self.config.blocks, self.config.skips == "add"
        h = to.conv(self.stem, x)
        skips = [h]
        for i, stage in enumerate(self.down):
            h = run(to, stage, h)
            skips.append(h)
            level, last = divmod(i, blocks)
            if last == blocks - 1 and level < len(self.shrink):
                h = to.conv(cast(nn.Conv2d, self.shrink[level]), h)
                skips.append(h)
        joined = [skips[j * (blocks + 1) - 1] for j in range(1, len(self.grow) + 1)]
        for stage in self.middle:
            h = run(to, stage, h)
        for i, stage in enumerate(self.up):
            h = run(to, stage, h if add else to.cat(h, skips.pop()))
            level, last = divmod(i, blocks + 1)
            if last == blocks and level < len(self.grow):
                other = joined.pop() if add else None
                grow = cast(nn.Conv2d, self.grow[level])
                h = to.conv(grow, h, upsample=True, add=other)
        return to.conv(self.head, h, norm=self.norm, silu=True, float32=self.float32)


def run(to: Walker[Stream], stage: nn.Module, h: Stream) -> Stream:
    """A residual block, and the attention after it where the level has one."""
    block, *attention = cast(nn.ModuleList, stage)
    h = cast(ResidualBlock, block).walk(to, h)
    for layer in attention:
        h = to.apply(layer, h)
    return h
