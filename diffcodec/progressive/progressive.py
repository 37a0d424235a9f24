"""Algorithms 3 (sending x_0) and 4 (receiving) of DDPM, with real bits.

The state y = x0 + n, n ~ N(0, v), starts from nothing (v = inf: x_T of the paper, at no cost) and
moves along a chain of falling noise levels. In every step the receiver knows p_theta's mean
r y + (1 - r) x0_hat; the sender knows how far the truth is off, mu = (x0 - x0_hat) sqrt(dSNR), in
units of the step's noise, and sends the path bits of a codeword near the rotated mu. What both
know is written once (shared.py): `estimate`, `codeword` and `advance`. At the end x_0 follows
through the discretized decoder (residual.py).

The sender runs the receiver, so it sees the true |mu|^2 and says so (the energy of a step): with a
table alone, a step that gets too few bits leaves a noisier state than the network is told, which
the network serves worse, which needs more bits still.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from diffcodec.accounting.trace import StepTrace, Trace
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import FEWEST_BITS, Payload, PayloadWriter, Step
from diffcodec.bitstream.rotation import rotate
from diffcodec.bitstream.trellis import encode as trellis_encode
from diffcodec.bitstream.types import Float32, Pixels, Progress
from diffcodec.progressive.residual import PLAIN, code_pixels, drawn_bytes, fill_in, plain_pixels
from diffcodec.progressive.shared import (
    Channel,
    State,
    advance,
    beginning,
    codeword,
    estimate,
    known,
    pieces,
)
from diffcodec.theory.gaussian import kl_bits, mi_bpd, step_precision
from diffcodec.theory.units import GREY, from_unit, to_levels

# Shows a cut otherwise than by x0_hat (diffcodec.sampling.reconstruction).
Reconstruct = Callable[[Channel, State, Float32], Float32]

# Steps end where the file would become larger than its pixels by a 128th and SPARE bytes, or twice
# as large as a PNG (drawings). Its pixels then follow plain, after the steps that are at most a
# 128th of the pixels' bytes, or a 16th of the PNG's.
PREVIEW, DRAWN_PREVIEW = 128, 16
SPARE, DRAWN_MOST = 32, 2
# A shorter side than this, and the network, which pads to 32, takes too long for what it saves.
NARROW = 8


# --- Algorithm 3: sending x_0 -------------------------------------------------------------------


@dataclass(frozen=True)
class Stop:
    """Where a sender stops before the exact pixels: at so many bytes of payload, after so many
    steps, or as soon as the 8-bit image that a decoder would show reaches a PSNR in dB."""

    max_bytes: int | None = None
    max_steps: int | None = None
    psnr: float | None = None


def send(
    channel: Channel,
    pixels: Pixels,
    stop: Stop,
    *,
    header_bytes: int = 0,
    trace: Trace | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, bool]:
    """The payload of an image, (H, W, C) uint8, and whether it ends with the exact pixels.

    header_bytes: of the file, for the trace only.
    """
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    writer = PayloadWriter(channel.chain.plan(planes.size, channel.nu))
    state, steps = beginning(channel), 0
    preview = writer.copy(), state.node, steps
    most, room = limits(planes, stop)
    while True:
        x0_hat = estimate(channel, state)
        if progress:
            progress(state.node + 1, len(channel.chain.v))
        if stop.psnr is not None and psnr(planes, x0_hat) >= stop.psnr:
            return writer.lossy(), False
        error = difference(planes, x0_hat)
        mse = mean_square(error)
        choice = next_step(channel, writer, state, mse)
        if choice is None or writer.length > most:
            break
        step, offset = search(channel, state, error, choice[0]), choice[1]
        del error  # large arrays go as soon as they can
        z, share = codeword(channel, step)
        writer.add_step(step.start, step.end, offset, step.bits)
        if trace is not None:
            trace.steps.append(_traced(channel, state, mse, step, writer, header_bytes))
        state, steps = advance(channel, state, x0_hat, z, step, share), steps + 1
        del x0_hat, z
        if writer.length <= room:
            preview = writer.copy(), state.node, steps
        if stop.max_steps is not None and steps >= stop.max_steps:
            return writer.lossy(), False
        if stop.max_bytes is not None and stop.max_bytes <= min(writer.length, most - 1):
            return writer.lossy(), False  # a higher limit has room for plain pixels
    node = state.node
    del error, state
    crc = zlib.crc32(np.ascontiguousarray(pixels).data)
    if choice is None:
        sigma, blocks = code_pixels(channel, planes, x0_hat, trace)
        writer.hand_over(node)
        payload = writer.finish(sigma, blocks, crc)
        if trace is not None:
            trace.final_mse = mse
        if len(payload) <= most:
            return payload, True
    # It may not: an image that the network knows nothing of, a drawing or noise for instance.
    writer, node, steps = preview
    plain, blocks = with_plain_pixels(channel, writer, node, planes, crc)
    if choice is None and len(payload) <= len(plain):
        return payload, True
    if trace is not None:
        trace.store(steps, [len(block) for block in blocks], mse)
    return plain, True


def with_plain_pixels(
    channel: Channel, writer: PayloadWriter, node: int, planes: Pixels, crc: int
) -> tuple[bytes, list[bytes]]:
    """The payload whose steps end at a node, with pixels as they are, and these pixels' blocks."""
    writer.hand_over(node)
    kind, blocks = plain_pixels(channel, planes)
    return writer.finish(kind, blocks, crc), blocks


def send_plain(channel: Channel, pixels: Pixels) -> bytes:
    """The payload of an image, (H, W, C) uint8, that has pixels as they are and no steps."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    writer = PayloadWriter(channel.chain.plan(planes.size, channel.nu))
    crc = zlib.crc32(np.ascontiguousarray(pixels).data)
    return with_plain_pixels(channel, writer, -1, planes, crc)[0]


def limits(planes: Pixels, stop: Stop) -> tuple[int, int]:
    """Bytes of a payload above which an image (C, H, W) gets plain pixels; of steps before them.

    A narrow image that is sent to the end gets them at once.
    """
    drawn = drawn_bytes(planes)
    most = min(planes.size + planes.size // PREVIEW + SPARE, DRAWN_MOST * drawn)
    room = min(planes.size // PREVIEW, drawn // DRAWN_PREVIEW)
    return (room if min(planes.shape[1:]) < NARROW and stop == Stop() else most), room


def difference(planes: Pixels, x0_hat: Float32) -> Float32:
    """x0 - x0_hat, like x0_hat, of an image (C, H, W) uint8."""
    error = np.empty_like(x0_hat)
    for levels, mean, out in pieces(planes, x0_hat, error):
        np.subtract(levels.astype(np.float32) / GREY - 1, mean, out=out)
    return error


def mean_square(error: Float32) -> float:
    """The mean of its squares, in double."""
    sums = [float(np.square(part, dtype=np.float64).sum()) for (part,) in pieces(error)]
    return math.fsum(sums) / error.size


def psnr(planes: Pixels, x0_hat: Float32) -> float:
    """PSNR in dB of x0_hat in 8 bits, against an image (C, H, W) uint8; inf if they are equal."""
    squares = 0
    for levels, mean in pieces(planes, x0_hat):
        off = to_levels(mean).astype(np.int32) - levels
        squares += int(np.square(off).sum(dtype=np.int64))
    return 10 * math.log10(255**2 * planes.size / squares) if squares else math.inf


def next_step(
    channel: Channel, writer: PayloadWriter, state: State, mse: float
) -> tuple[Step, int] | None:
    """The step to the first node worth FEWEST_BITS, its bits not found yet, and its energy offset.

    A step that would carry less is left out: the next one carries both. mse: of the state's x0_hat.
    None at the end.
    """
    plan, chain = writer.plan, channel.chain
    for end in range(state.node + 1, plan.nodes):
        gain = step_precision(chain.noise(end), state.v)
        energy = 16 * math.log2(max(gain * mse, 2.0**-24))
        offset = plan.offset(state.node, end, energy)
        index = plan.energy(state.node, end, offset)
        n_bits = plan.bits(index)
        if n_bits >= FEWEST_BITS:
            return Step(state.node, end, index, n_bits, np.empty(0, np.uint8), 0), offset
    return None


def search(channel: Channel, state: State, error: Float32, step: Step) -> Step:
    """The step with the bits of a codeword near mu; error, x0 - x0_hat, is used up."""
    gain = step_precision(channel.chain.noise(step.end), state.v)
    with channel.clock.measure("trellis"):
        error *= np.float32(math.sqrt(gain))
        target = rotate(error.reshape(-1), channel.seed, step.end)
        path = trellis_encode(
            target, step.n_bits, channel.nu, channel.seed, step.end, channel.workers
        )
    return replace(step, bits=path)


def _traced(
    channel: Channel, state: State, mse: float, step: Step, writer: PayloadWriter, header_bytes: int
) -> StepTrace:
    gain = step_precision(channel.chain.noise(step.end), state.v)
    return StepTrace(
        v_from=state.v,
        v_to=channel.chain.noise(step.end),
        kl_bits=kl_bits(np.array([math.sqrt(gain * mse * channel.dims)])),
        mi_bits=float(mi_bpd(gain * mse)) * channel.dims,
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
    """How far a receiver has come in a file: it can go on from there with a longer prefix.

    Before the first step there is neither a state nor an estimate, and nothing is allocated.
    """

    steps: int = 0
    state: State | None = None
    x0_hat: Float32 | None = None


def receive(
    channel: Channel,
    payload: Payload,
    walk: Walk,
    progress: Progress | None = None,
    reconstruct: Reconstruct | None = None,
) -> Received:
    """The best image that a payload holds; `walk` is taken along over its complete steps.

    walk: at the beginning, or where an earlier call with a prefix of this payload left it.
    reconstruct: makes what is shown of a payload that is not whole, instead of x0_hat. Raises
    BitstreamError if a whole file's pixels do not match their checksum.
    """
    if payload.pixel_crc is not None and payload.sigma_index in PLAIN:
        walk.steps, state, x0_hat = len(payload.steps), None, None  # all pixels are here
    else:
        state, x0_hat = follow(channel, payload, walk, progress)
    if reconstruct is not None and payload.pixel_crc is None:
        state = state or beginning(channel)
        x0_hat = reconstruct(channel, state, estimate(channel, state) if x0_hat is None else x0_hat)
    planes = _flat(channel) if x0_hat is None else to_levels(x0_hat)
    if payload.sigma_index is not None:
        fill_in(channel, payload, x0_hat, planes)
    pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if payload.pixel_crc is None:
        return Received(pixels, walk.steps, False)
    if zlib.crc32(pixels.data) != payload.pixel_crc:
        raise BitstreamError(
            "the decoded pixels do not match the file's checksum, though the file is intact: this "
            "installation computes something wrong; diffcodec selftest tells what"
        )
    return Received(pixels, walk.steps, True)


def follow(
    channel: Channel, payload: Payload, walk: Walk, progress: Progress | None
) -> tuple[State | None, Float32 | None]:
    """State and x0_hat after all that is there of the steps; None where that is nothing at all."""
    for step in payload.steps[walk.steps :]:
        if not known(channel, step):
            break
        state, x0_hat = walk.state, walk.x0_hat
        if state is None or x0_hat is None:
            state = beginning(channel)
            x0_hat = estimate(channel, state)
        z, share = codeword(channel, step)
        state = advance(channel, state, x0_hat, z, step, share)
        if not step.complete:
            return state, estimate(channel, state)
        walk.steps, walk.state = walk.steps + 1, state
        del x0_hat
        walk.x0_hat = None  # it is large, and not needed any more
        walk.x0_hat = estimate(channel, state)
        if progress:
            progress(step.end + 1, len(channel.chain.v))
    if walk.x0_hat is None and payload.sigma_index not in (None, *PLAIN):
        return None, estimate(channel, beginning(channel))
    return walk.state, walk.x0_hat


def _flat(channel: Channel) -> Pixels:
    """The image before the first step, (C, H, W) uint8."""
    levels = from_unit(channel.prior_mean).transpose(2, 0, 1)
    return np.broadcast_to(levels, channel.shape).copy()
