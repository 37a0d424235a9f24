"""Where bits-back coding ends: at which noise level x_0 follows, and which coder codes it.

With the Gaussian the chain goes on to its end. The adaptive coder is as good as the network where
little noise is left, so it ends earlier: where the sum of all steps and of x_0 is least.
"""

from __future__ import annotations

from diffcodec.bitstream.archive_header import AdaptiveEnd, ArchiveHeader
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.tiles import Shape
from diffcodec.progressive.residual import last_node
from diffcodec.theory.chain import Chain

LEVEL = 2  # of bitstream.adaptive.LEVELS: "best", as plain images have it
# Grey levels of noise. Of 128 images of CIFAR-10 the sum is within 0.003 bits/dim from 0.44 to
# 0.55, and 0.05 larger at 1; of tiles of photographs it is so from 7 to 15, and 0.01 larger at 3.
TINY_SWITCH, SWITCH = 0.56, 10.0


def adaptive_end(chain: Chain) -> AdaptiveEnd:
    """How an archive with this chain ends."""
    tiny, large = (last_node(switch, chain, RGB8) + 1 for switch in (TINY_SWITCH, SWITCH))
    return AdaptiveEnd(LEVEL, tiny, large)


def chain_of_tile(header: ArchiveHeader, chain: Chain, shape: Shape) -> Chain:
    """The noise levels of a tile (H, W, C), of the archive's chain."""
    height, width, _ = shape
    nodes = len(chain.v) if header.end is None else header.end.nodes(height * width)
    return Chain(chain.kind, chain.v[:nodes], chain.tables)


def few_levels(chain: Chain, count: int) -> Chain:
    """At most so many levels of a chain, its first and last ones among them."""
    last = len(chain.v) - 1
    places = sorted({round(last * i / (count - 1)) for i in range(count)})
    return Chain(chain.kind, tuple(chain.v[i] for i in places), chain.tables)
