"""The end of a file, x_0 given the last state: which coder, and from which node on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.payload_writer import PixelCode
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.strips import ADAPTIVE
from diffcodec.bitstream.types import Pixels
from diffcodec.checks import real
from diffcodec.errors import OptionError
from diffcodec.progressive.adaptive_residual import decode_adaptive, encode_adaptive
from diffcodec.progressive.effort import Effort
from diffcodec.progressive.gaussian_residual import decode_gaussian, encode_gaussian
from diffcodec.progressive.state_checksum import state_crc
from diffcodec.progressive.steps import Walk
from diffcodec.theory.chain import Chain

Residual = Literal["adaptive", "gaussian"]
Switch = float | Literal["none"]
RESIDUALS = ("adaptive", "gaussian")
RESIDUAL: Residual = "adaptive"  # where nobody chooses


@dataclass(frozen=True)
class Ending:
    """Where the steps of a file end, and what follows them.

    node: the last one, -1 for no steps at all; level: of the adaptive coder, None for the Gaussian.
    """

    node: int
    level: int | None


def ending_of(
    work: Effort,
    chain: Chain,
    format: SampleFormat,
    pixels: int,
    *,
    switch: Switch | None,
    residual: str,
    stops: bool,
) -> Ending:
    """The ending that an effort suggests for so many pixels, or that was asked for.

    stops: whether the file is to stop somewhere; its steps then go on to the end of the chain, as
    those before the Gaussian do, unless a switch is given. Raises OptionError for what does not
    exist.
    """
    check_residual(residual)
    adaptive = residual == "adaptive"
    if not adaptive and format.depth > 8:
        raise OptionError("the Gaussian codes samples of 8 bits only; leave the residual adaptive")
    if switch is None and adaptive and not stops:
        switch = work.switch(pixels, format.depth)
    return Ending(last_node(switch, chain, format), work.level(pixels) if adaptive else None)


def check_residual(residual: str) -> None:
    """Raises OptionError if there is none of this name."""
    if residual not in RESIDUALS:
        raise OptionError(f'there is no residual "{residual}", only {" and ".join(RESIDUALS)}')


def last_node(switch: Switch | None, chain: Chain, format: SampleFormat) -> int:
    """The first node of a chain whose noise is at most so many grey levels of 8 bits.

    The chain's end if there is none such, or switch is None; -1 for "none". Raises OptionError for
    what is no noise.
    """
    if switch == "none":
        return -1
    if switch is None:
        return len(chain.v) - 1
    if not (real(switch) and math.isfinite(switch) and switch > 0):
        raise OptionError(f'{switch} is no noise to switch at: say grey levels above 0, or "none"')
    half = format.half / format.grey_level
    below = (i for i, v in enumerate(chain.v) if math.sqrt(v) * half <= switch)
    return next(below, len(chain.v) - 1)


def encode_residual(walk: Walk, planes: Pixels, level: int | None, *, count: bool) -> PixelCode:
    """The exact pixels of an image (C, H, W); level: as in Ending. count: all ideal bits, too."""
    if level is None:
        code = encode_gaussian(walk, planes, count=count)
    else:
        code = encode_adaptive(walk.shared, walk, planes, level, count=count)
    return replace(code, state_crc=state_crc(walk)) if walk.shared.promised else code


def decode_residual(walk: Walk, payload: Payload, planes: Pixels) -> bool:
    """Write the pixels that are there over the estimate of them, (C, H, W).

    False, and nothing is written, where the state is not the one that they were coded given: all
    that could be decoded is noise.
    """
    if payload.state_crc is not None and payload.state_crc != state_crc(walk):
        return False
    if payload.sigma_index == ADAPTIVE:
        decode_adaptive(walk.shared, walk, payload, planes)
    else:
        decode_gaussian(walk, payload, planes)
    return True
