"""Algorithms 3 (sending x_0) and 4 (receiving) of DDPM, with real bits.

The state y = x0 + n, n ~ N(0, v), starts from nothing (v = inf: x_T of the paper, at no cost) and
moves along a chain of falling noise levels. In every step the receiver knows p_theta's mean
r y + (1 - r) x0_hat; the sender knows how far the truth is off, mu = (x0 - x0_hat) sqrt(dSNR), in
units of the step's noise, and sends it by a code for Gaussian noise (bitstream/step_codes.py).
What both do is `Walk.take`. At the end x_0 follows given x0_hat (residual.py).

The sender runs the receiver, so it sees the true |mu|^2 and says so (the energy of a step): with a
table alone, a step that gets too few bits leaves a noisier state than the network expects, which
the network serves worse, which needs more bits still.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from diffcodec.bitstream.payload_writer import PayloadWriter
from diffcodec.bitstream.plan import FEWEST_BITS, Step, StepHead
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.progressive.shared import (
    Shared,
    State,
    advance,
    beginning,
    codeword,
    estimate,
    known,
    pieces,
)
from diffcodec.theory.gaussian import shift, step_precision

# Of a step of which less has come, x0_hat is mixed with the one before: the coordinates that are
# missing leave noise that the network does not expect, and by itself it is up to 0.2 dB worse.
SETTLED = 0.15


class Walk:
    """Where a sender or a receiver stands on the chain, and how many steps led there.

    x0_hat is made when it is asked for, and kept. Before the first step there may be neither a
    state nor an estimate: a file with nothing in it takes no memory.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared, self.steps = shared, 0
        self._state: State | None = None
        self._x0_hat: Float32 | None = None
        self._before: Float32 | None = None  # x0_hat before a step that is cut,
        self._share = 1.0  # and how much of that has come

    @property
    def begun(self) -> bool:
        """Whether there is more to show than the training mean."""
        return self._state is not None or self._x0_hat is not None

    @property
    def state(self) -> State:
        """y, v and the node."""
        self._state = self._state or beginning(self.shared)
        return self._state

    @property
    def x0_hat(self) -> Float32:
        """The estimate of the image at this state, (C, H, W), in x0 units."""
        if self._x0_hat is None:
            self._x0_hat = estimate(self.shared, self.state)
        return self._x0_hat

    def shown(self) -> Float32:
        """What is shown of this state, (C, H, W), in x0 units: x0_hat; of a step of which little
        has come, something between the x0_hat before it and the one from there, in its memory.
        """
        before, self._before = self._before, None
        if before is not None and self._share < SETTLED:
            weight = np.float32(self._share / SETTLED)
            for old, new in pieces(before, self.x0_hat):
                new[:] = old + weight * (new - old)
        return self.x0_hat

    def take(self, step: Step) -> float:
        """Move on by a complete step: y_s from y_t, x0_hat and what its message sends.

        Returns the share of the message that was received.
        """
        x0_hat = self.x0_hat  # made before z is: the network needs the memory
        z, share = codeword(self.shared, step)
        self._state = advance(self.shared, self.state, x0_hat, z, step, share)
        self._x0_hat = None  # it is large, and not needed any more
        self.steps += 1
        self.shared.deadline.check(self.steps)
        return share

    def beyond(self, step: Step) -> Walk:
        """Where the first part of a step's message leads; this walk stays where it is."""
        other = Walk(self.shared)
        other._state, other._x0_hat, other._before = self.state, self.x0_hat, self.x0_hat
        other._share = other.take(step)
        other.steps = self.steps  # complete ones
        return other


class Sent(NamedTuple):
    """A step on its way; v: the noise variance it started from; mse: of x0_hat there."""

    step: Step
    v: float
    mse: float


# --- Algorithm 3: sending -----------------------------------------------------------------------


def send_steps(
    planes: Pixels, walk: Walk, writer: PayloadWriter, last: int, most: float
) -> Iterator[Sent]:
    """Write the steps of an image (C, H, W), one by one, up to the node `last`.

    The caller stops iterating when it has enough; steps end early where the payload exceeds `most`
    bytes.
    """
    shared = walk.shared
    while True:
        error = difference(planes, walk)  # x0 - x0_hat: what only the sender knows
        v, mse = walk.state.v, mean_square(error)
        head = next_step(shared, walk.state, last, mse)
        if head is None or writer.length > most:
            return
        with shared.clock.measure("trellis"):
            mu = shift(error, shared.chain.noise(head.end), v, out=error).reshape(-1)
            bits = shared.code.encode(mu, head.n_bits, shared.seed, head.end, shared.workers)
        del error, mu  # large arrays go as soon as they can
        step = head.with_bits(bits)
        writer.add_step(step)
        walk.take(step)
        yield Sent(step, v, mse)


# --- Algorithm 4: receiving ---------------------------------------------------------------------


def follow(steps: Sequence[Step], walk: Walk) -> Iterator[Walk]:
    """Take the walk along over what was received of the steps; yields where it leads each time.

    The last step may be cut inside: what is there of it leads beyond the walk, which stays.
    """
    for step in steps[walk.steps :]:
        if not known(walk.shared, step):
            return
        if not step.complete:
            yield walk.beyond(step)
            return
        walk.take(step)
        yield walk


# --- what only the sender needs -------------------------------------------------------------------


def next_step(shared: Shared, state: State, last: int, mse: float) -> StepHead | None:
    """The step to the first node worth FEWEST_BITS, of those up to `last`; None at the end.

    A step that would carry less is left out: the next one carries both. mse: of the state's x0_hat.
    """
    plan, chain = shared.plan, shared.chain
    for end in range(state.node + 1, last + 1):
        gain = step_precision(chain.noise(end), state.v)
        head = plan.closest(state.node, end, 16 * math.log2(max(gain * mse, 2.0**-24)))
        if head.n_bits >= FEWEST_BITS:
            return head
    return None


def difference(planes: Pixels, walk: Walk) -> Float32:
    """x0 - x0_hat, like x0_hat, of an image (C, H, W)."""
    error, half = np.empty_like(walk.x0_hat), walk.shared.format.half
    for levels, mean, out in pieces(planes, walk.x0_hat, error):
        np.subtract(levels.astype(np.float32) / half - 1, mean, out=out)
    return error


def mean_square(error: Float32) -> float:
    """The mean of its squares, in double."""
    sums = [float(np.square(part, dtype=np.float64).sum()) for (part,) in pieces(error)]
    return math.fsum(sums) / error.size
