"""The codec: images to bytes and back, at any cut. Algorithms 3 and 4: progressive/steps.py."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.step_codes import BY_NAME, StepCode
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.errors import OptionError
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.stored import AnyGraph
from diffcodec.file import File, bytes_of_bpp, with_length
from diffcodec.progressive.effort import effort_of
from diffcodec.progressive.preview import SCALES, preview
from diffcodec.progressive.receiver import Received, Reconstruct, receive
from diffcodec.progressive.residual import RESIDUAL, Residual, Switch, ending_of
from diffcodec.progressive.sender import Stop, send
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk
from diffcodec.sampling import reconstruction
from diffcodec.theory.chain import Chain, Tables, choose_chain
from diffcodec.theory.denoiser import Denoiser
from diffcodec.zoo import load_graph
from diffcodec.zoo.portable import ByName, opened, portable


@dataclass(frozen=True)
class Decoded:
    """A decoded image and what it was decoded from.

    pixels: (H, W, C) uint8, a preview's smaller; bytes_used of total_bytes (None: the file has no
    lossless end); steps complete of steps_total; lossless: these are the exact pixels, their
    checksum matches; damage: a sentence on each part whose exact pixels are damaged, and which is
    shown as the steps have it.
    """

    pixels: Pixels
    bytes_used: int
    total_bytes: int | None
    steps: int
    steps_total: int
    lossless: bool
    header: Header
    damage: tuple[str, ...] = ()


class Codec:
    """A network with its tables; encodes images of any size, decodes files made with it.

    Threads may share it, a forked child may use it, and it can be copied and pickled.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        tables: Tables,
        *,
        name: str = "custom",
        fingerprint: bytes = bytes(8),
        workers: int = 1,
    ) -> None:
        self.denoiser, self.tables = denoiser, tables
        self.name, self.fingerprint = name, fingerprint
        self.workers = workers  # threads of a step's search; they do not change a bit

    def __reduce__(self) -> tuple[Callable[..., Codec], tuple[Any, ...]]:
        """Pickled is a shipped network's name, or another network; no threads and no memory."""
        workers = None if self.workers == getattr(self.denoiser, "threads", 0) else self.workers
        rest = self.tables, self.name, self.fingerprint, workers
        return _unpickled, (portable(self.denoiser), *rest)

    def __copy__(self) -> Codec:
        return _unpickled(self.denoiser, self.tables, self.name, self.fingerprint, self.workers)

    def __deepcopy__(self, memo: dict[int, Any]) -> Codec:
        """With the same network where nothing of it changes, as of shipped ones."""
        denoiser = copy.deepcopy(self.denoiser, memo)
        return _unpickled(denoiser, self.tables, self.name, self.fingerprint, self.workers)

    @staticmethod
    def from_pretrained(
        model: str | Path, threads: int | None = None, *, backend: str | None = None
    ) -> Codec:
        """A shipped network by name ("photo-large", "cifar10"), or an integer network's file.

        threads: of network and trellis search, all cores by default. backend: what evaluates the
        network, of diffcodec.exact.backends by name, or "cpu" or "cuda" for the fastest one there;
        by default that of the GPU, or of the CPU without one. Neither changes a bit of a file.
        Raises CheckpointError if there is no such network, it was altered, is a float one, or has
        no tables yet, and if the backend cannot be used here.
        """
        return Codec.of(load_graph(model), threads, backend=backend)

    @staticmethod
    def of(graph: AnyGraph, threads: int | None = None, *, backend: str | None = None) -> Codec:
        """The codec of an integer network; threads, backend: as in from_pretrained."""
        tables = Tables.of(graph.facts.get("tables", {}))
        network = ExactDenoiser(graph, threads, backend)
        return Codec(
            network,
            tables,
            name=network.name,
            fingerprint=bytes.fromhex(network.fingerprint),
            workers=network.threads,
        )

    def encode(
        self,
        pixels: Pixels,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        psnr: float | None = None,
        effort: str = "default",
        chain: str | None = None,
        code: str | None = None,
        switch: Switch | None = None,
        residual: Residual = RESIDUAL,
        seed: int = 0,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """A .dfc file of an image, (H, W, 3) or (H, W, 1) uint8, with its exact pixels at the end.

        max_bytes, bpp or max_steps: stop there instead; psnr: stop once the reconstruction reaches
        so many dB. effort: "fast", "default" or "best", which chooses chain and code to suit the
        size, where they are not given. chain: "25", "50", ... of the network's optimised schedules,
        "ddpm:1000" or "cosine:50". code: of the steps' messages, by name: "butterfly:8" (fast) to
        "butterfly:18", or "polar:64" (small). residual: what codes the exact pixels, "adaptive" or
        "gaussian" (as in DDPM). switch: the noise in grey levels at which steps end and the exact
        pixels follow, or "none", for no steps and no network at all. By default it is the effort's;
        but with the Gaussian, or where the file is to stop somewhere, steps go on to the end of the
        chain.
        Raises OptionError for what does not exist.
        """
        pixels = np.ascontiguousarray(pixels)
        if psnr is not None and not psnr > 0:
            raise OptionError(f"{psnr} dB is no PSNR to stop at; it must be above 0")
        draft, levels = self._draft(pixels, effort, chain, code, seed)
        clock = Clock() if trace is None else trace.clock
        header_bytes = len(draft.pack())
        if bpp is not None:
            max_bytes = bytes_of_bpp(bpp, draft)
        if max_bytes is not None and max_bytes < header_bytes:
            raise OptionError(f"a file of this image needs at least {header_bytes} bytes")
        stop = Stop(None if max_bytes is None else max_bytes - header_bytes, max_steps, psnr)
        ending = ending_of(
            effort_of(effort),
            levels,
            draft.format,
            draft.width * draft.height,
            switch=switch,
            residual=residual,
            stops=stop != Stop(),
        )
        with clock.measure("total"):
            payload, lossless = send(
                self.shared(draft, levels, clock),
                pixels,
                stop,
                ending,
                header_bytes=header_bytes,
                trace=trace,
                progress=progress,
            )
        data = with_length(draft, payload) if lossless else draft.pack() + payload
        return data if max_bytes is None else data[:max_bytes]

    def decode(
        self,
        data: bytes | File,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        reconstruct: Reconstruct | str | None = None,
        scale: int = 1,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> Decoded:
        """The best image that a file, or any prefix of one, holds.

        max_bytes, bpp or max_steps: use only that much of it. reconstruct: shows a cut otherwise
        than by its mean x0_hat: a name of diffcodec.sampling.SAMPLERS, or what
        diffcodec.sampling.reconstruction returns. scale: 2, 4 or 8 for a preview that is so many
        times smaller, from the steps that matter to it (diffcodec.progressive.preview). Raises
        BitstreamError for damage, except to a strip of the exact pixels (Decoded.damage), and for a
        file that was made with another network, OptionError for another scale or name, and for a
        preview that is to be reconstructed.
        """
        shown = _sampler(reconstruct)
        if scale != 1 and scale not in SCALES:
            raise OptionError(f"there is no preview at 1/{scale}, only at 1/2, 1/4 and 1/8")
        if scale != 1 and shown is not None:
            raise OptionError("a preview shows the mean only; leave out the scale to see a sample")
        clock = clock if clock is not None else Clock()
        with clock.measure("total"):
            file = self.open(data, max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)
            walk = Walk(self.shared(file.header, file.chain, clock))
            if scale == 1:
                return _decoded(file, receive(file.payload, walk, progress, shown))
            return _decoded(file, preview(file.payload, walk, scale, progress))

    def decode_cuts(
        self,
        data: bytes,
        sizes: Iterable[int],
        reconstruct: Reconstruct | str | None = None,
    ) -> Iterator[Decoded]:
        """The image after each of these numbers of bytes, in increasing order.

        As decoding every prefix, but what they share is done once. reconstruct: as in `decode`.
        """
        shown, walk = _sampler(reconstruct), None
        for size in sizes:
            file = self.open(data, max_bytes=size)
            walk = walk or Walk(self.shared(file.header, file.chain, Clock()))
            yield _decoded(file, receive(file.payload, walk, None, shown))

    def progressive(self, data: bytes) -> Iterator[Decoded]:
        """The image after every complete step, and at last after all of the file."""
        yield from self.decode_cuts(data, [*self.open(data).step_ends, len(data)])

    def open(
        self,
        data: bytes | File,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
    ) -> File:
        """A file taken apart, or only so much of it.

        Raises BitstreamError for damage and for another network's file.
        """
        header = data.header if isinstance(data, File) else parse_header(data)[0]
        if header.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"the file was made with network {header.fingerprint.hex()}, not with {self.name} "
                f"({self.fingerprint.hex()})"
            )
        if isinstance(data, File):
            if max_bytes is bpp is max_steps is None:
                return data
            data = data.data
        return File.parse(data, self.tables, max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)

    def _draft(
        self, pixels: Pixels, effort: str, chain: str | None, code: str | None, seed: int
    ) -> tuple[Header, Chain]:
        """The header of a file without its length, and the noise levels that it names."""
        format = SampleFormat.of(pixels)
        if format is None:
            raise OptionError("pixels must be uint8 of shape (H, W, 3) or (H, W, 1)")
        if not pixels.size:
            raise OptionError("the image has no pixels")
        work = effort_of(effort)
        levels = choose_chain(chain or work.chain(pixels.size), self.tables)
        height, width, _ = pixels.shape
        header = Header(
            width=width,
            height=height,
            format=format,
            fingerprint=self.fingerprint,
            code=_code(code) if code else work.code(pixels.size),
            chain=levels.kind,
            nodes=len(levels.v),
            seed=seed,
        )
        return header, levels

    def shared(self, header: Header, levels: Chain, clock: Clock) -> Shared:
        """What sender and receiver of a file share."""
        return Shared(
            denoiser=self.denoiser,
            chain=levels,
            size=(header.height, header.width),
            format=header.format,
            code=header.code,
            seed=header.seed,
            clock=clock,
            workers=self.workers,
        )


def _unpickled(
    denoiser: Denoiser | ByName,
    tables: Tables,
    name: str,
    fingerprint: bytes,
    workers: int | None,
) -> Codec:
    """workers: None for as many as the network's threads here."""
    if isinstance(denoiser, ByName):
        denoiser = opened(denoiser)
    if workers is None:
        workers = getattr(denoiser, "threads", 1)
    return Codec(denoiser, tables, name=name, fingerprint=fingerprint, workers=workers)


def _sampler(reconstruct: Reconstruct | str | None) -> Reconstruct | None:
    return reconstruction(reconstruct) if isinstance(reconstruct, str) else reconstruct


def _decoded(file: File, received: Received) -> Decoded:
    return Decoded(
        pixels=received.pixels,
        bytes_used=file.bytes_used,
        total_bytes=file.header.total_bytes,
        steps=received.steps,
        steps_total=file.header.nodes,
        lossless=received.lossless,
        header=file.header,
        damage=file.damage,
    )


def _code(name: str) -> StepCode:
    if name not in BY_NAME:
        raise OptionError(f'there is no step code "{name}"; there are {", ".join(BY_NAME)}')
    return BY_NAME[name]
