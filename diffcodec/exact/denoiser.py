"""The integer network as a denoiser: the same x0_hat, to the bit, on every machine.

What surrounds the integers is IEEE double precision, one operation at a time: + - * / sqrt and
rounding to whole numbers, nothing whose order a library may choose.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float32, Float64, Int16, Int32
from diffcodec.cores import usable_cores
from diffcodec.exact.backends import open_backend
from diffcodec.exact.coefficients import coefficients
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.spans import Span, spans
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.config import Betas, Sigma2
from diffcodec.network.grey import rgb_state

WIDEST = 8192  # pixels; wider images are evaluated in spans of columns
AT_ONCE = 1 << 17  # pixels that are doubles at a time, roughly


class ExactDenoiser:
    """x0_hat(y, v) by an integer network; grey and RGB images of any size.

    A grey state with noise v becomes an RGB state with independent noise 3v in every channel whose
    mean is the grey state: nothing is lost, and the network sees the noise it was trained on. The
    mean of the three estimates is the grey estimate. threads: all cores by default; backend: one of
    diffcodec.exact.backends, or a device, of which it is the fastest; by default a GPU's, or the
    CPU's without one. Neither has an effect on x0_hat. Threads may share it, and a forked child may
    use it. Raises CheckpointError where the backend cannot be used.
    """

    def __init__(
        self, graph: AnyGraph, threads: int | None = None, backend: str | None = None
    ) -> None:
        self.given = threads, backend  # as asked for
        self._process = os.getpid()
        self.graph, self.threads = graph, threads or usable_cores()
        self.evaluate = open_backend(graph, backend, self.threads)  # proves that its parts fit
        self.name = graph_name(graph)
        self.fingerprint = graph.fingerprint.hex()
        trained = graph.facts["recipe"].get("network", {})  # the bound's defaults
        self.sigma2: Sigma2 = trained.get("sigma2", "beta")
        self.betas: Betas = trained.get("betas", "linear")
        self.parameters = graph.parameters

    def __reduce__(self) -> tuple[type[ExactDenoiser], tuple[AnyGraph, int | None, str | None]]:
        """Pickled are its integers and what was asked for; another machine chooses for itself."""
        return ExactDenoiser, (self.graph, *self.given)

    def __copy__(self) -> ExactDenoiser:
        """Itself: nothing of it changes, and threads may share it."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ExactDenoiser:
        return self

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, H, W), C = 1 or 3, float32; v > 0; returns x0_hat in [-1, 1] like y."""
        return np.asarray(self.batch(y[None], v)[0])

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        """The same for (N, C, H, W) and one v, or one for each image."""
        self._leave_gpu()
        n, _, _, width = y.shape
        noise = np.broadcast_to(np.asarray(v, np.float64), (n,))
        x0_hat = np.empty(y.shape, np.float32)
        for span in spans(self.graph, width, WIDEST):
            self._columns(y, noise, x0_hat, span)
        return x0_hat

    def _leave_gpu(self) -> None:
        """In a forked child, which cannot use its parent's GPU: there the CPU evaluates."""
        if self._process != os.getpid():
            device = getattr(self.evaluate, "device", None)
            if device is not None and device.type == "cuda":
                self.evaluate = open_backend(self.graph, "cpu", self.threads)
            self._process = os.getpid()

    def _columns(self, y: Float32, v: Float64, x0_hat: Float32, span: Span) -> None:
        """Fill in the columns of x0_hat that a span keeps. Doubles exist a few rows at a time."""
        (n, channels, height, _), patch, side = y.shape, self.graph.patch, self.graph.stride
        noise = 3 * v if channels == 1 else v
        c_skip, c_out, c_in = coefficients(self.graph, noise)
        columns, width = slice(span.seen, span.seen_end), span.seen_end - span.seen
        right = -width % side
        whole = height + -height % side, width + right
        x = np.empty((n, *(sides // patch for sides in whole), 3 * patch**2), np.int16)
        blocks = row_blocks(height, max(side, AT_ONCE // (n * width) // side * side), side)
        for rows in blocks:
            counts = rgb_state(y, v, rows, columns)
            counts *= c_in * (1 << INPUT_FRACTION)  # powers of two do not round
            np.clip(np.rint(counts, out=counts), -32768, 32767, out=counts)
            below = -height % side if rows.stop == height else 0
            padding = [(0, 0), (0, 0), (0, below), (0, right)]
            padded = np.pad(counts.astype(np.int16), padding, mode="symmetric")
            x[:, rows.start // patch : (rows.stop + below) // patch] = unshuffle(padded, patch)
        out = self.evaluate(x, noise)
        inside = slice(span.kept - span.seen, span.kept_end - span.seen)
        for rows in blocks:
            squares = out[:, rows.start // patch : -(-rows.stop // patch)]
            part = shuffle(squares, patch)[:, :, : rows.stop - rows.start, inside]
            found = part * (c_out * 2.0**-self.graph.output)
            found += rgb_state(y, v, rows, columns)[..., inside] * c_skip
            np.clip(found, -1, 1, out=found)
            if channels == 1:
                found = (found[:, 0:1] + found[:, 1:2] + found[:, 2:3]) / 3
            x0_hat[:, :, rows, span.kept : span.kept_end] = found


def row_blocks(height: int, rows: int, least: int) -> list[slice]:
    """Slices of so many rows; the last one has at least `least` of them, or all there are."""
    edges = [*range(0, max(1, height - least + 1), rows), height]
    return [slice(a, b) for a, b in pairwise(edges)]


def graph_name(graph: AnyGraph) -> str:
    """What the network is called."""
    return str(graph.facts["recipe"]["name"])


def unshuffle(x: Int16, patch: int) -> Int16:
    """(N, C, H, W) -> (N, H/p, W/p, C p p): channel (c p + row) p + column of its square."""
    n, channels, height, width = x.shape
    squares = x.reshape(n, channels, height // patch, patch, width // patch, patch)
    rows = squares.transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(rows.reshape(n, height // patch, width // patch, -1))


def shuffle(x: Int16 | Int32, patch: int) -> Int16 | Int32:
    """Undo `unshuffle`."""
    n, height, width, _ = x.shape
    squares = x.reshape(n, height, width, -1, patch, patch).transpose(0, 3, 1, 4, 2, 5)
    return squares.reshape(n, -1, height * patch, width * patch)
