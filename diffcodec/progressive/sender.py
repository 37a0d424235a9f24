"""Encoding an image: Algorithm 3 until it is to stop, then the exact pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffcodec.accounting.trace import StepTrace, Trace
from diffcodec.bitstream.payload_writer import PayloadWriter
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Float32, Pixels, Progress
from diffcodec.progressive.fallback import Fallback
from diffcodec.progressive.plain import pixel_crc
from diffcodec.progressive.residual import Ending, encode_residual
from diffcodec.progressive.shared import Shared, pieces
from diffcodec.progressive.steps import Sent, Walk, difference, mean_square, next_step, send_steps
from diffcodec.theory.gaussian import kl_bits, mi_bpd, step_precision
from diffcodec.theory.units import to_levels


@dataclass(frozen=True)
class Stop:
    """Where a sender stops before the exact pixels: at so many bytes of payload, after so many
    steps, or as soon as the 8-bit image that a decoder would show reaches a PSNR in dB."""

    max_bytes: int | None = None
    max_steps: int | None = None
    psnr: float | None = None

    def length(self, steps: int, payload_bytes: int) -> bool:
        """Whether so many steps, or bytes, are enough."""
        enough = self.max_steps is not None and steps >= self.max_steps
        return enough or (self.max_bytes is not None and self.max_bytes <= payload_bytes)

    def quality(self, planes: Pixels, walk: Walk) -> bool:
        """Whether the image (C, H, W) is shown well enough."""
        return self.psnr is not None and psnr(planes, walk.x0_hat, walk.shared.format) >= self.psnr


def send(
    shared: Shared,
    pixels: Pixels,
    stop: Stop,
    ending: Ending,
    *,
    header_bytes: int = 0,
    trace: Trace | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, bool]:
    """The payload of an image, (H, W, C) uint8, and whether it ends with the exact pixels.

    header_bytes: of the file, for the trace only.
    """
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    walk, writer = Walk(shared), PayloadWriter(shared.plan)
    fallback = Fallback(planes, writer, ending.level, narrow=stop == Stop())
    if stop.quality(planes, walk):
        return writer.lossy(), False
    for sent in send_steps(planes, walk, writer, ending.node, fallback.most):
        if trace is not None:
            trace.steps.append(_traced(shared, sent, writer, header_bytes))
        fallback.remember(writer, walk)
        # A higher limit than `most` has room for plain pixels.
        if stop.length(walk.steps, min(writer.length, fallback.most - 1)):
            return writer.lossy(), False
        if progress:
            progress(walk.state.node + 1, ending.node + 1)
        if stop.quality(planes, walk):
            return writer.lossy(), False
    return _send_pixels(walk, writer, planes, ending, fallback, trace), True


def _send_pixels(
    walk: Walk,
    writer: PayloadWriter,
    planes: Pixels,
    ending: Ending,
    fallback: Fallback,
    trace: Trace | None,
) -> bytes:
    """The whole payload, with the residual, or plain pixels if that takes less."""
    mse = mean_square(difference(planes, walk))
    payload = None
    given = walk.steps > 0 or ending.level is None  # the adaptive coder needs a state, or has none
    if given and next_step(walk.shared, walk.state, ending.node, mse) is None:
        writer.switch(walk.state.node)
        code = encode_residual(walk, planes, ending.level, count=trace is not None)
        payload = writer.finish(code, pixel_crc(planes))
        if trace is not None:
            trace.keep(code, mse)
        if len(payload) <= fallback.enough:
            return payload
    # Perhaps an image that the network knows nothing of, graphics or noise for instance.
    plain, code = fallback.payload(walk.shared)
    if payload is not None and fallback.worth(payload, plain):
        return payload
    if trace is not None:
        trace.keep_plain(fallback.steps, code, mse)
    return plain


def psnr(planes: Pixels, x0_hat: Float32, format: SampleFormat) -> float:
    """PSNR in dB of x0_hat as samples, against an image (C, H, W); inf if they are equal."""
    squares = 0
    for levels, mean in pieces(planes, x0_hat):
        off = to_levels(mean, format).astype(np.int32) - levels
        squares += int(np.square(off, dtype=np.int64).sum())
    return 10 * math.log10(format.peak**2 * planes.size / squares) if squares else math.inf


def _traced(shared: Shared, sent: Sent, writer: PayloadWriter, header_bytes: int) -> StepTrace:
    v_to = shared.chain.noise(sent.step.end)
    energy = step_precision(v_to, sent.v) * sent.mse
    return StepTrace(
        v_from=sent.v,
        v_to=v_to,
        kl_bits=kl_bits(np.array([math.sqrt(energy * shared.dims)])),
        mi_bits=float(mi_bpd(energy)) * shared.dims,
        path_bits=sent.step.n_bits,
        side_bits=writer.last_side_bits,
        mse=sent.mse,
        bytes_so_far=header_bytes + writer.length,
    )
