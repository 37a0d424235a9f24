"""The integer network as a denoiser: the same x0_hat, to the bit, on every machine.

What surrounds the integers is IEEE double precision, one operation at a time: + - * / sqrt and
rounding to whole numbers, nothing whose order a library may choose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.randomness import gaussian
from diffcodec.config import Betas, Sigma2
from diffcodec.cores import usable_cores
from diffcodec.exact.graph import INPUT_FRACTION, Graph, Int16, Int32
from diffcodec.exact.paths import open_path

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

GREY_SEED = 0x67726579  # of the noise that turns one grey channel into three


class ExactDenoiser:
    """x0_hat(y, v) by an integer network; grey and RGB pictures of any size.

    A grey state with noise v becomes an RGB state with independent noise 3v in every channel whose
    mean is the grey state: nothing is lost, and the network sees the noise it was trained on. The
    mean of the three estimates is the grey estimate. threads: all cores by default; path: a way of
    diffcodec.exact.paths, the fastest by default; neither has an effect on x0_hat.
    """

    def __init__(self, graph: Graph, threads: int | None = None, path: str | None = None) -> None:
        self.graph, self.threads = graph, threads or usable_cores()
        self.name = graph_name(graph)
        self.fingerprint = graph.fingerprint.hex()
        trained = graph.facts["recipe"].get("network", {})  # the bound's defaults
        self.sigma2: Sigma2 = trained.get("sigma2", "beta")
        self.betas: Betas = trained.get("betas", "linear")
        self.parameters = sum(graph.weight(layer).size for layer in graph.layers)
        self.path = open_path(graph, path, self.threads)

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, H, W), C = 1 or 3, float32; v > 0; returns x0_hat in [-1, 1] like y."""
        return np.asarray(self.batch(y[None], v)[0])

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        """The same for (N, C, H, W) and one v, or one for each picture."""
        n, channels, height, width = y.shape
        noise = np.broadcast_to(np.asarray(v, np.float64), (n,))
        state = y.astype(np.float64)
        if channels == 1:
            state, noise = as_rgb(state, noise), 3 * noise
        c_skip, c_out, c_in = preconditioning(noise, self.graph.sigma_data)
        counts = state * (c_in * (1 << INPUT_FRACTION))  # powers of two do not round
        np.clip(np.rint(counts, out=counts), -32768, 32767, out=counts)
        side, patch = self.graph.stride, self.graph.patch
        padding = [(0, 0), (0, 0), (0, -height % side), (0, -width % side)]
        x = np.pad(counts.astype(np.int16), padding, mode="symmetric")
        out = shuffle(self.path(unshuffle(x, patch), noise), patch)[:, :, :height, :width]
        x0_hat = out * (c_out * 2.0**-self.graph.output)
        x0_hat += state * c_skip
        np.clip(x0_hat, -1, 1, out=x0_hat)
        if channels == 1:
            x0_hat = (x0_hat[:, 0:1] + x0_hat[:, 1:2] + x0_hat[:, 2:3]) / 3
        return np.ascontiguousarray(x0_hat, np.float32)


def graph_name(graph: Graph) -> str:
    """What the network is called."""
    return str(graph.facts["recipe"]["name"])


def preconditioning(v: Float64, sigma_data: float) -> tuple[Float64, Float64, Float64]:
    """c_skip, c_out, c_in of Karras et al. 2022, table 1: (N,) -> (N, 1, 1, 1) each."""
    v = v[:, None, None, None]
    s2 = sigma_data * sigma_data
    total = v + s2
    return s2 / total, np.sqrt(v * s2 / total), 1 / np.sqrt(total)


def as_rgb(y: Float64, v: Float64) -> Float64:
    """Three channels with independent noise 3v each whose mean is y: (N, 1, H, W), (N,)."""
    height, width = y.shape[2:]
    drawn = gaussian(GREY_SEED, 0, 3 * height * width).reshape(3, height, width)
    red, green, blue = drawn.astype(np.float64)
    extra = np.stack([red, green, blue]) - (red + green + blue) / 3
    return np.asarray(y + np.sqrt(3 * v)[:, None, None, None] * extra)


def unshuffle(x: Int16, patch: int) -> Int16:
    """(N, C, H, W) -> (N, H/p, W/p, C p p): channel (c p + row) p + column of its square."""
    n, channels, height, width = x.shape
    squares = x.reshape(n, channels, height // patch, patch, width // patch, patch)
    rows = squares.transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(rows.reshape(n, height // patch, width // patch, -1))


def shuffle(x: Int32, patch: int) -> Int32:
    """Undo `unshuffle`."""
    n, height, width, _ = x.shape
    squares = x.reshape(n, height, width, -1, patch, patch).transpose(0, 3, 1, 4, 2, 5)
    return squares.reshape(n, -1, height * patch, width * patch)
