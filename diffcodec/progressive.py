"""Algorithms 3 (sending x_0) and 4 (receiving) of DDPM, with real bits.

The state y = x0 + n, n ~ N(0, v), starts from nothing (v = inf: x_T of the paper, at no cost) and
moves along a chain of falling noise levels. In every step the receiver knows p_theta's mean
r y + (1 - r) x0_hat; the sender knows how far the truth is off, mu = (x0 - x0_hat) sqrt(dSNR), in
units of the step's noise, and sends the path bits of a codeword near the rotated mu. What both
know is written once: `estimate`, `codeword` and `advance`. At the end x_0 follows through the
discretized decoder.

The sender runs the receiver, so it sees the true |mu|^2 and says so (the energy of a step): with a
table alone, a step that gets too few bits leaves a noisier state than the network is told, which
the network serves worse, which needs more bits still.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.container import BitstreamError
from diffcodec.bitstream.layers import Payload, PayloadWriter, Step, block_sizes
from diffcodec.bitstream.pixels import (
    GRID,
    Means,
    best_sigma,
    decode_block,
    encode_block,
    ideal_bits,
)
from diffcodec.bitstream.rate import energy_of, scale_for
from diffcodec.bitstream.rotation import permutation, rotate, unrotate
from diffcodec.bitstream.trellis import decode as trellis_decode
from diffcodec.bitstream.trellis import encode as trellis_encode
from diffcodec.chain import Chain
from diffcodec.denoiser import Denoiser
from diffcodec.diffusion import kl_bits, mi_bpd, posterior_mean, posterior_variance, step_precision
from diffcodec.image import from_unit, to_unit
from diffcodec.trace import Clock, StepTrace, Trace

Float32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

FEWEST_BITS = 32  # a step that would carry less is left out: the next one carries both


@dataclass(frozen=True)
class Channel:
    """What sender and receiver share besides the bits.

    shape: (C, H, W) of the picture; workers: threads for the trellis search (no effect on bits).
    """

    denoiser: Denoiser
    chain: Chain
    shape: tuple[int, int, int]
    nu: int
    seed: int
    clock: Clock
    workers: int = 1


@dataclass(frozen=True)
class State:
    """y, its noise variance v, and the number of the chain's node it stands at (-1: none)."""

    y: Float32
    v: float
    node: int


Reconstruct = Callable[
    [Channel, State, Float32], Float32
]  # shows a lossy cut otherwise than x0_hat


# --- what both sides know -----------------------------------------------------------------------


def beginning(channel: Channel) -> State:
    """The state that has seen nothing."""
    return State(np.zeros(channel.shape, np.float32), math.inf, -1)


def estimate(channel: Channel, state: State) -> Float32:
    """x0_hat of a state: the training mean before the first step, the denoiser's from then on."""
    if math.isinf(state.v):
        mean = np.array(channel.chain.tables.mean(channel.shape[0]), np.float32)
        return np.broadcast_to(mean[:, None, None], channel.shape).astype(np.float32)
    with channel.clock.measure("network"):
        return np.clip(channel.denoiser(state.y, state.v), -1, 1)


def codeword(channel: Channel, step: Step) -> tuple[Float32, float]:
    """z, mu plus unit noise as the bits tell it, and the share of it that was received."""
    dims = math.prod(channel.shape)
    with channel.clock.measure("trellis"):
        z, received = trellis_decode(
            step.bits, step.n_bits, dims, channel.nu, channel.seed, step.end
        )
        z = unrotate(z, channel.seed, step.end) * np.float32(scale_for(step.energy))
    return z.reshape(channel.shape), received / dims


def advance(
    channel: Channel, state: State, x0_hat: Float32, z: Float32, step: Step, share: float
) -> State:
    """y_s = r y_t + (1 - r) x0_hat + sqrt(v_s (1 - r)) z.

    Where only a share f of z was received (the rest is 0), the state stands between the levels:
    v = f v_s + (1 - f) (r v_s + (1 - r^2) D), D the mean squared error of x0_hat, which the step's
    energy tells.
    """
    v_s = channel.chain.noise(step.end)
    mean = posterior_mean(state.y, x0_hat, v_s, state.v)
    y = mean + np.float32(math.sqrt(posterior_variance(v_s, state.v))) * z
    if share < 1:
        r = v_s / state.v
        error = energy_of(step.energy) / step_precision(v_s, state.v)
        v = share * v_s + (1 - share) * (r * v_s + (1 - r * r) * error)
        return State(y.astype(np.float32), v, state.node)
    return State(y.astype(np.float32), v_s, step.end)


def grid_means(channel: Channel, x0_hat: Float32) -> Means:
    """x0_hat as means of the pixel coder, in the shared order of the pixels."""
    grey = (x0_hat.astype(np.float64) + 1) * (127.5 * GRID)
    order = permutation(channel.seed, x0_hat.size)
    return np.rint(grey).astype(np.int32).reshape(-1)[order]


# --- Algorithm 3: sending x_0 -------------------------------------------------------------------


def send(
    channel: Channel,
    pixels: Pixels,
    *,
    header_bytes: int,
    max_bytes: int | None = None,
    max_steps: int | None = None,
    trace: Trace | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, bool]:
    """The payload of a picture, (H, W, C) uint8, and whether it ends with the exact pixels.

    max_bytes (of the file) or max_steps stop it earlier.
    """
    x0 = to_unit(pixels)
    writer = PayloadWriter(channel.chain.plan(x0.size, channel.nu))
    state, steps = beginning(channel), 0
    while True:
        x0_hat = estimate(channel, state)
        if progress:
            progress(state.node + 1, len(channel.chain.v))
        if max_steps is not None and steps >= max_steps:
            return writer.lossy(), False
        choice = next_step(channel, writer, state, x0 - x0_hat)
        if choice is None:
            break
        step, offset = choice
        z, share = codeword(channel, step)
        writer.add_step(step.start, step.end, offset, step.bits)
        if trace is not None:
            trace.steps.append(_traced(channel, state, x0 - x0_hat, step, writer, header_bytes))
        state, steps = advance(channel, state, x0_hat, z, step, share), steps + 1
        if max_bytes is not None and header_bytes + writer.length >= max_bytes:
            return writer.lossy(), False
    writer.hand_over(state.node)
    means, order = grid_means(channel, x0_hat), permutation(channel.seed, x0.size)
    values = np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(-1)[order]
    sigma = best_sigma(values, means)
    edges = np.cumsum([0, *block_sizes(x0.size)])
    blocks = [encode_block(values[a:b], means[a:b], sigma) for a, b in pairwise(edges)]
    if trace is not None:
        trace.final_mse = float(np.mean((x0 - x0_hat) ** 2))
        trace.block_bits = [ideal_bits(values[a:b], means[a:b], sigma) for a, b in pairwise(edges)]
        trace.block_bytes = [len(block) for block in blocks]
    return writer.finish(sigma, blocks, zlib.crc32(pixels.tobytes())), True


def next_step(
    channel: Channel, writer: PayloadWriter, state: State, error: Float32
) -> tuple[Step, int] | None:
    """The step to the first node worth FEWEST_BITS, and its energy offset; None at the end."""
    plan, chain = writer.plan, channel.chain
    mse = float(np.mean(np.square(error, dtype=np.float64)))
    for end in range(state.node + 1, plan.nodes):
        gain = step_precision(chain.noise(end), state.v)
        energy = 16 * math.log2(max(gain * mse, 2.0**-24))
        offset = plan.offset(state.node, end, energy)
        index = plan.energy(state.node, end, offset)
        n_bits = plan.bits(index)
        if n_bits >= FEWEST_BITS:
            break
    else:
        return None
    with channel.clock.measure("trellis"):
        target = rotate((error * np.float32(math.sqrt(gain))).reshape(-1), channel.seed, end)
        path = trellis_encode(target, n_bits, channel.nu, channel.seed, end, channel.workers)
    return Step(state.node, end, index, n_bits, path, 0), offset


def _traced(
    channel: Channel,
    state: State,
    error: Float32,
    step: Step,
    writer: PayloadWriter,
    header_bytes: int,
) -> StepTrace:
    mse = float(np.mean(np.square(error, dtype=np.float64)))
    gain = step_precision(channel.chain.noise(step.end), state.v)
    return StepTrace(
        v_from=state.v,
        v_to=channel.chain.noise(step.end),
        kl_bits=kl_bits(np.array([math.sqrt(gain * mse * error.size)])),
        mi_bits=float(mi_bpd(gain * mse)) * error.size,
        path_bits=step.n_bits,
        side_bits=writer.last_side_bits,
        mse=mse,
        bytes_so_far=header_bytes + writer.length,
    )


# --- Algorithm 4: receiving ---------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """What a payload, or a prefix of it, tells.

    pixels: (H, W, C) uint8; steps: complete ones; lossless: the pixels are exact.
    """

    pixels: Pixels
    steps: int
    lossless: bool


@dataclass
class Walk:
    """How far a receiver has come in a file: it can go on from there with a longer prefix."""

    steps: int
    state: State
    x0_hat: Float32


def set_out(channel: Channel) -> Walk:
    """Before the first step."""
    state = beginning(channel)
    return Walk(0, state, estimate(channel, state))


def receive(
    channel: Channel,
    payload: Payload,
    walk: Walk,
    progress: Progress | None = None,
    reconstruct: Reconstruct | None = None,
) -> Received:
    """The best picture that a payload holds; `walk` is taken along over its complete steps.

    walk: at the beginning, or where an earlier call with a prefix of this payload left it.
    reconstruct: makes what is shown of a payload that is not whole, instead of x0_hat.
    Raises BitstreamError if a whole file's pixels do not match their checksum.
    """
    state, x0_hat = walk.state, walk.x0_hat
    for step in payload.steps[walk.steps :]:
        z, share = codeword(channel, step)
        if share == 0 and not step.complete:
            break
        share = 1.0 if step.complete else share
        state = advance(channel, walk.state, walk.x0_hat, z, step, share)
        x0_hat = estimate(channel, state)
        if step.complete:
            walk.steps, walk.state, walk.x0_hat = walk.steps + 1, state, x0_hat
        if progress:
            progress(step.end + 1, len(channel.chain.v))
    shown = x0_hat
    if reconstruct is not None and payload.pixel_crc is None:
        shown = reconstruct(channel, state, x0_hat)
    guess = np.ascontiguousarray(from_unit(shown).transpose(2, 0, 1))  # as the pixel coder counts
    if payload.sigma_index is not None:
        exact = receive_pixels(channel, payload, grid_means(channel, x0_hat))
        order = permutation(channel.seed, guess.size)
        guess.reshape(-1)[order[: exact.size]] = exact
    pixels = np.ascontiguousarray(guess.transpose(1, 2, 0))
    if payload.pixel_crc is None:
        return Received(pixels, walk.steps, False)
    if zlib.crc32(pixels.tobytes()) != payload.pixel_crc:
        raise BitstreamError(
            "the decoded pixels do not match the file's checksum, though the file is intact: this "
            "installation computes something wrong; diffcodec selftest tells what"
        )
    return Received(pixels, walk.steps, True)


def receive_pixels(channel: Channel, payload: Payload, means: Means) -> Pixels:
    """The exact sub-pixels at hand, in the shared order."""
    assert payload.sigma_index is not None
    done, at = [], 0
    for block, size in zip(payload.blocks, block_sizes(means.size), strict=False):
        part = means[at : at + size]
        pixels = decode_block(block.data, block.complete, part, payload.sigma_index)
        done.append(pixels)
        at += size
        if len(pixels) < size:
            break
    return np.concatenate(done) if done else np.empty(0, np.uint8)
