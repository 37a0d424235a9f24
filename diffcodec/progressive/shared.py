"""What sender and receiver of an image both know, and both do: the state and its steps.

The state y = x0 + n, n ~ N(0, v), starts from nothing and moves along a chain of falling noise
levels (steps.py). Images may be large: besides the few arrays that have a name nothing of an
image's size is made, and no doubles of its size at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.accounting.trace import Clock
from diffcodec.bitstream.plan import Plan, Step
from diffcodec.bitstream.rate import energy_of
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.step_codes import StepCode
from diffcodec.bitstream.strips import strip_count
from diffcodec.bitstream.types import Float32
from diffcodec.limits import NEVER, Deadline
from diffcodec.theory.chain import Chain
from diffcodec.theory.denoiser import Denoiser
from diffcodec.theory.gaussian import posterior_mean, posterior_variance, step_precision

PIECE = 1 << 18  # values that are doubles at a time
# Of the first step at least 1/16 has to be there. Less is 0.3 dB over an image of one colour, and
# took a large image of which there are but a few bytes half a minute.
FIRST = 16


@dataclass(frozen=True)
class Shared:
    """What sender and receiver share besides the bits.

    size: (H, W) of the image; format: of its samples; code: of the steps' messages; seed: of the
    shared randomness; workers: threads for the code's search (no effect on bits); promised: other
    machines may get other numbers of the denoiser; deadline: of the receiver, between two steps or
    strips.
    """

    denoiser: Denoiser
    chain: Chain
    size: tuple[int, int]
    format: SampleFormat
    code: StepCode
    seed: int
    clock: Clock
    workers: int = 1
    promised: bool = False
    deadline: Deadline = NEVER

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.format.channels, *self.size

    @property
    def dims(self) -> int:
        """Sub-pixels D."""
        return math.prod(self.shape)

    @cached_property
    def plan(self) -> Plan:
        """What the bitstream has to know."""
        return self.chain.plan(
            self.dims,
            self.code,
            strip_count(self.size[1]),
            self.format.sample_bytes,
            self.promised,
        )

    @property
    def prior_mean(self) -> Float32:
        """What is known of a pixel before the first step: (C, 1, 1), in x0 units."""
        return np.array(self.chain.tables.mean(self.format.channels), np.float32)[:, None, None]


@dataclass(frozen=True)
class State:
    """y, its noise variance v, and the number of the chain's node it stands at (-1: none)."""

    y: Float32
    v: float
    node: int


def beginning(shared: Shared) -> State:
    """The state that has seen nothing."""
    return State(np.zeros(shared.shape, np.float32), math.inf, -1)


def estimate(shared: Shared, state: State) -> Float32:
    """x0_hat of a state: the training mean before the first step, the denoiser's from then on."""
    shared.deadline.check()
    if math.isinf(state.v):
        return np.broadcast_to(shared.prior_mean, shared.shape).astype(np.float32)
    with shared.clock.measure("network"):
        x0_hat = shared.denoiser(state.y, state.v)
        return np.clip(x0_hat, -1, 1, out=x0_hat)


def known(shared: Shared, step: Step) -> bool:
    """Whether what was received of a step is shown: one coordinate, or of the first step enough."""
    if step.complete:
        return True
    received = shared.code.known(len(step.bits), step.n_bits, shared.dims)
    return received >= (1 if step.start >= 0 else max(1, shared.dims // FIRST))


def codeword(shared: Shared, step: Step) -> tuple[Float32, float]:
    """z, mu plus unit noise as the bits determine it, and the share of it that was received."""
    with shared.clock.measure("trellis"):
        z, received = shared.code.decode(step.bits, step.n_bits, shared.dims, shared.seed, step.end)
        z *= np.float32(shared.code.scale(step.energy))
    return z.reshape(shared.shape), 1.0 if step.complete else received / shared.dims


def advance(
    shared: Shared, state: State, x0_hat: Float32, z: Float32, step: Step, share: float
) -> State:
    """y_s = r y_t + (1 - r) x0_hat + sqrt(v_s (1 - r)) z, in the memory of z.

    Where only a share f of z was received (the rest is 0), the state stands between the levels:
    v = f v_s + (1 - f) (r v_s + (1 - r^2) D), D the mean squared error of x0_hat, which the step's
    energy states.
    """
    v_s = shared.chain.noise(step.end)
    a = np.float32(math.sqrt(posterior_variance(v_s, state.v)))
    for y, mean, to in pieces(state.y, x0_hat, z):
        to[:] = posterior_mean(y, mean, v_s, state.v) + a * to
    if share < 1:
        r = v_s / state.v
        error = energy_of(step.energy) / step_precision(v_s, state.v)
        v = share * v_s + (1 - share) * (r * v_s + (1 - r * r) * error)
        return State(z, v, state.node)
    return State(z, v_s, step.end)


def pieces(*arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """The same part of several contiguous arrays of one size, flat, part by part."""
    flat = [array.reshape(-1) for array in arrays]
    for i in range(0, flat[0].size, PIECE):
        yield tuple(array[i : i + PIECE] for array in flat)
