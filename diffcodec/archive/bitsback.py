"""Bits-back coding of a batch of images with a diffusion model, in Bit-Swap order.

The latents are y_1, ..., y_K, y_t = x0 + n with noise of variance v_1 < ... < v_K, a Markov chain:
q(y_t | y_{t-1}) adds noise of variance v_t - v_{t-1}. A sender who *pops* y_t from a stack of bits
with q's probabilities gets a sample of it, and the receiver, who ends with the same y_t, pushes it
back: the bits are returned. So what an image adds to the stack is, on average, its negative bound

    E[log2 q(y_1..K | x_0) - log2 p(x_0, y_1..K)]        (Ho et al. 2020, eq. 5)

That holds if what is popped is random. What was pushed just before is only as random as the network
is good, so the stack is stirred with shared randomness before each pop (`Grid.take_q`); without it
a real network's files were 1 % larger at 8 bins a deviation.

Popping and pushing in turn (Kingma, Abbeel and Ho 2019, "Bit-Swap") keeps what must be on the stack
beforehand to about two latents, however long the chain is. `push` and `pop` mirror each other line
by line; what both know is in `Model`. x_0 is coded by the adaptive coder (adaptive_pixels.py) or by
DDPM's Gaussian (pixels.py).
"""

from __future__ import annotations

from diffcodec.accounting.trace import Balance
from diffcodec.archive.meter import Meter
from diffcodec.archive.model import Model
from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.types import Pixels
from diffcodec.limits import NEVER, Deadline
from diffcodec.theory.units import to_x0


def push(model: Model, stack: Stack, pixels: Pixels, balance: Balance | None = None) -> None:
    """Code images, (N, H, W, C) uint8, onto the stack; its lanes are open.

    balance: collects what every step cost, beside theory. Raises StackEmpty.
    """
    x0 = to_x0(pixels, model.format)
    meter = Meter(model, stack, x0, balance)
    k = model.grids[0].take_q(stack, model.forward(1, x0))
    x0_hat = model.estimate(1, k)
    ideal = model.pixels.push(stack, pixels, model.state(1, k), x0_hat)
    meter.pixels(k, ideal)
    for t in range(1, model.levels):
        above = model.grids[t].take_q(stack, model.forward(t + 1, k))
        x0_hat = model.estimate(t + 1, above)
        model.grids[t - 1].put_p(stack, model.backward(t, above, x0_hat), k)
        meter.step(t, k, above, x0_hat)
        k = above
    model.grids[-1].put_p(stack, model.prior(len(k)), k)
    meter.prior(k)


def pop(model: Model, stack: Stack, n: int, deadline: Deadline = NEVER) -> Pixels:
    """The n images that `push` coded, (n, H, W, C) uint8; the stack is then as it was before.

    Raises OverLimit at the deadline.
    """
    k = model.grids[-1].take_p(stack, model.prior(n))
    for t in range(model.levels - 1, 0, -1):
        deadline.check()
        x0_hat = model.estimate(t + 1, k)
        below = model.grids[t - 1].take_p(stack, model.backward(t, k, x0_hat))
        model.grids[t].put_q(stack, model.forward(t + 1, below), k)
        k = below
    pixels = model.pixels.pop(stack, model.state(1, k), model.estimate(1, k))
    x0 = to_x0(pixels, model.format)
    model.grids[0].put_q(stack, model.forward(1, x0), k)
    return pixels
