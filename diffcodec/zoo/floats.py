"""A float network as the codec evaluates it: always in the same way, so that it says the same.

Sums of floats depend on their order, and torch chooses it by the number of its threads and of the
images in a batch: of 64 feature maps with GroupNorm and attention nearly half of x0_hat differs, in
the last bits, between one thread and two at any size of the image; of convolutions alone at 32 x 32
it does, too. What was evaluated before, and where in memory y lies, changes nothing. So here it is
one image at a time, and one thread of torch, whatever else a user or a parent process chose: a
forked child could not use more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.cores import usable_cores
from diffcodec.errors import CheckpointError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.threads import torch_threads


class FloatDenoiser:
    """x0_hat(y, v) by a float network, the same on this machine with this torch.

    threads: what the codec may use besides the network, all cores by default. backend: "cpu" or
    "cuda", by default the GPU where there is one; they give different numbers. label: of the class,
    if the network knows any. Threads may share it, and a forked child may use it unless it is on a
    GPU. Raises CheckpointError where the backend cannot be used.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, backend: str | None = None
    ) -> None:
        self.given = threads, backend  # as asked for
        self.threads = threads or usable_cores()
        self.network = NetworkDenoiser(checkpoint, device_of(checkpoint, backend))
        self.name, self.fingerprint = self.network.name, self.network.fingerprint
        self.classes, self.channels = self.network.classes, self.network.channels
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Callable[..., FloatDenoiser], tuple[Any, ...]]:
        """Pickled are its weights and what was asked for."""
        return _of_class, (self.network.checkpoint, *self.given, self.network.label)

    def __copy__(self) -> FloatDenoiser:
        """Itself: nothing of it changes, and threads may share it."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FloatDenoiser:
        return self

    def of_class(self, label: int) -> FloatDenoiser:
        """The same network, told of a class; OptionError for one that it does not know."""
        other = object.__new__(FloatDenoiser)
        vars(other).update(vars(self), network=self.network.of_class(label))
        return other

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, H, W), C of `channels`, float32; v > 0; returns x0_hat in [-1, 1] like y."""
        device = self.network.device.type
        if device == "cuda" and self._process != os.getpid():
            raise CheckpointError(
                f"{self.name} is on the GPU, which a forked process cannot use: spawn it instead"
            )
        with fixed_arithmetic(device):
            return self.network(y, v)

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        """(N, C, H, W) and one v, or (N,), one image after the other."""
        noise = np.broadcast_to(np.asarray(v, np.float64), (len(y),))
        return np.stack([self(one, float(at)) for one, at in zip(y, noise, strict=True)])


def _of_class(
    checkpoint: Checkpoint, threads: int | None, backend: str | None, label: int | None
) -> FloatDenoiser:
    denoiser = FloatDenoiser(checkpoint, threads, backend)
    return denoiser if label is None else denoiser.of_class(label)


@contextmanager
def fixed_arithmetic(device: str) -> Iterator[None]:
    """torch adds up in one way inside: by one thread, in float32, by no algorithm of a benchmark.

    Threads of torch are counted for each thread of Python, and so is autocast.
    """
    with torch.autocast(device, enabled=False), torch_threads(1), ExitStack() as stack:
        if device == "cuda":
            flags = torch.backends.cudnn.flags
            stack.enter_context(flags(benchmark=False, deterministic=True, allow_tf32=False))
        yield


def device_of(checkpoint: Checkpoint, backend: str | None) -> str:
    """The device that a backend names; raises CheckpointError for backends of integers."""
    name = checkpoint.recipe.name
    if backend not in (None, "cpu", "cuda"):
        raise CheckpointError(
            f"{name} is a float network, which torch evaluates: say --backend cpu or cuda instead "
            f"of {backend}, or run diffcodec export on the network"
        )
    if backend == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("this machine has no CUDA device; use --backend cpu")
    return backend or ("cuda" if torch.cuda.is_available() else "cpu")
