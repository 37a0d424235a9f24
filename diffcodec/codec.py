"""The codec: images to bytes and back, at any cut. Algorithms 3 and 4 are in progressive.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import Payload, parse_payload
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.errors import OptionError
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.progressive.effort import effort_of
from diffcodec.progressive.preview import SCALES, preview
from diffcodec.progressive.progressive import Reconstruct, Stop, Walk, receive, send
from diffcodec.progressive.shared import Channel
from diffcodec.theory.chain import Chain, Tables, chain_of, choose_chain
from diffcodec.theory.denoiser import Denoiser
from diffcodec.zoo import load_graph


@dataclass(frozen=True)
class Decoded:
    """A decoded image and what it was decoded from.

    pixels: (H, W, C) uint8, a preview's smaller; bytes_used of total_bytes (None: the file has no
    lossless end); steps complete of steps_total; lossless: these are the exact pixels, their
    checksum matches.
    """

    pixels: Pixels
    bytes_used: int
    total_bytes: int | None
    steps: int
    steps_total: int
    lossless: bool
    header: Header


class Codec:
    """A network with its tables; encodes images of any size, decodes files made with it."""

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
        self.workers = workers  # threads of the trellis search; they do not change a bit

    @staticmethod
    def from_pretrained(
        model: str | Path, threads: int | None = None, *, backend: str | None = None
    ) -> Codec:
        """A shipped network by name ("cifar10", "photo") or an integer network's file by path.

        threads: of network and trellis search, all cores by default. backend: what evaluates the
        network, of diffcodec.exact.backends by name, or "cpu" (the default) or "cuda" for the
        fastest one there. Neither changes a bit of a file.
        Raises CheckpointError if there is no such network, it was altered, is a float one, or has
        no tables yet, and if the backend cannot be used here.
        """
        graph = load_graph(model)
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
        nu: int | None = None,
        seed: int = 0,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """A .dfc file of an image, (H, W, 3) or (H, W, 1) uint8, with its exact pixels at the end.

        max_bytes, bpp or max_steps: stop there instead; psnr: after the first step from which on
        the decoded image has so many dB. effort: "fast", "default" or "best", which chooses
        chain and nu to suit the size, where they are not given. chain: "25", "50", ... of the
        network's own, "ddpm:1000" or "cosine:50". nu: state bits of the trellis code, 8 (fast) to
        16 (small). Raises OptionError for what does not exist.
        """
        pixels = np.ascontiguousarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
            raise OptionError("pixels must be uint8 of shape (H, W, 3) or (H, W, 1)")
        if not pixels.size:
            raise OptionError("the image has no pixels")
        clock = Clock() if trace is None else trace.clock
        if psnr is not None and not psnr > 0:
            raise OptionError(f"{psnr} dB is no PSNR to stop at; it must be above 0")
        work = effort_of(effort)
        levels = choose_chain(chain or work.chain(pixels.size), self.tables)
        height, width, channels = pixels.shape
        draft = Header(
            width=width,
            height=height,
            channels=channels,
            fingerprint=self.fingerprint,
            nu=nu or work.states(pixels.size),
            chain=levels.kind,
            nodes=len(levels.v),
            seed=seed,
        )
        header_bytes = len(draft.pack())
        if bpp is not None:
            max_bytes = bytes_of_bpp(bpp, draft)
        if max_bytes is not None and max_bytes < header_bytes:
            raise OptionError(f"a file of this image needs at least {header_bytes} bytes")
        room = None if max_bytes is None else max_bytes - header_bytes
        with clock.measure("total"):
            payload, lossless = send(
                self._channel(draft, levels, clock),
                pixels,
                Stop(room, max_steps, psnr),
                header_bytes=header_bytes,
                trace=trace,
                progress=progress,
            )
        data = with_length(draft, payload) if lossless else draft.pack() + payload
        return data if max_bytes is None else data[:max_bytes]

    def decode(
        self,
        data: bytes,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        reconstruct: Reconstruct | None = None,
        scale: int = 1,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> Decoded:
        """The best image that a file, or any prefix of one, holds.

        max_bytes, bpp or max_steps: use only that much of it. reconstruct: of
        diffcodec.sampling.reconstruction,
        shows a cut otherwise than by its mean x0_hat. scale: 2, 4 or 8 for a preview that is so
        many times smaller, from the steps that matter to it (diffcodec.progressive.preview). Raises
        BitstreamError for damage, and for a file that was made with another network, OptionError
        for another scale, and for a preview that is to be reconstructed.
        """
        if scale != 1 and scale not in SCALES:
            raise OptionError(f"there is no preview at 1/{scale}, only at 1/2, 1/4 and 1/8")
        if scale != 1 and reconstruct is not None:
            raise OptionError("a preview shows the mean only; leave out the scale to see a sample")
        clock = clock if clock is not None else Clock()
        header, _ = parse_header(data)
        self._check(header)
        data = cut(data, header, max_bytes, bpp)
        channel = self._channel(header, chain_of(header, self.tables), clock)
        with clock.measure("total"):
            return self._receive(channel, data, max_steps, Walk(), progress, reconstruct, scale)

    def decode_cuts(
        self, data: bytes, sizes: Iterable[int], reconstruct: Reconstruct | None = None
    ) -> Iterator[Decoded]:
        """The image after each of these numbers of bytes, in increasing order.

        As decoding every prefix, but what they share is done once. reconstruct: as in `decode`.
        """
        header, _ = parse_header(data)
        self._check(header)
        channel = self._channel(header, chain_of(header, self.tables), Clock())
        walk = Walk()
        for size in sizes:
            part = cut(data, header, size, None)
            yield self._receive(channel, part, None, walk, None, reconstruct)

    def progressive(self, data: bytes) -> Iterator[Decoded]:
        """The image after every complete step, and at last after all of the file."""
        header, start = parse_header(data)
        payload, _ = parse(data, chain_of(header, self.tables), None)
        ends = [start + step.bytes_end for step in payload.steps if step.complete]
        yield from self.decode_cuts(data, [*ends, len(data)])

    def _receive(
        self,
        channel: Channel,
        data: bytes,
        max_steps: int | None,
        walk: Walk,
        progress: Progress | None = None,
        reconstruct: Reconstruct | None = None,
        scale: int = 1,
    ) -> Decoded:
        header, _ = parse_header(data)
        payload, used = parse(data, channel.chain, max_steps)
        if scale == 1:
            received = receive(channel, payload, walk, progress, reconstruct)
        else:
            received = preview(channel, payload, scale, progress)
        return Decoded(
            pixels=received.pixels,
            bytes_used=used,
            total_bytes=header.total_bytes,
            steps=received.steps,
            steps_total=header.nodes,
            lossless=received.lossless,
            header=header,
        )

    def _channel(self, header: Header, levels: Chain, clock: Clock) -> Channel:
        return Channel(
            denoiser=self.denoiser,
            chain=levels,
            shape=(header.channels, header.height, header.width),
            nu=header.nu,
            seed=header.seed,
            clock=clock,
            workers=self.workers,
        )

    def _check(self, header: Header) -> None:
        if header.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"the file was made with network {header.fingerprint.hex()}, not with {self.name} "
                f"({self.fingerprint.hex()})"
            )


# --- files --------------------------------------------------------------------------------------


def with_length(draft: Header, payload: bytes) -> bytes:
    """Header and payload, the header stating the length of both."""
    total = 0
    while True:  # the length's own length may grow once
        fields = {**draft.__dict__, "total_bytes": total}
        head = Header(**fields).pack()
        if len(head) + len(payload) == total:
            return head + payload
        total = len(head) + len(payload)


def bytes_of_bpp(bpp: float, header: Header) -> int:
    """Whole bytes of a file of `bpp` bits per pixel."""
    return int(bpp * header.width * header.height / 8)


def cut(data: bytes, header: Header, max_bytes: int | None, bpp: float | None) -> bytes:
    """The prefix that max_bytes or bpp asks for; OptionError if no image would be left."""
    if bpp is not None:
        max_bytes = bytes_of_bpp(bpp, header)
    if max_bytes is None:
        return data
    _, end = parse_header(data)
    if max_bytes < end:
        raise OptionError(f"the header alone takes {end} bytes; {max_bytes} hold no image")
    return data[:max_bytes]


def parse(data: bytes, levels: Chain, max_steps: int | None) -> tuple[Payload, int]:
    """The payload of a file's prefix taken apart, and the bytes that were used of it."""
    header, start = parse_header(data)
    total = None if header.total_bytes is None else header.total_bytes - start
    plan = levels.plan(header.dims, header.nu)
    payload = parse_payload(data[start:], plan, total, max_steps)
    if max_steps is not None and len(payload.steps) >= max_steps:
        end = payload.steps[-1].bytes_end if max_steps else 0
        return payload, start + end
    return payload, len(data)
