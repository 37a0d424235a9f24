"""The codec: pictures to bytes and back, at any cut. Algorithms 3 and 4 are in progressive.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.audit import audit
from diffcodec.bitstream.container import BitstreamError, Header, parse_header
from diffcodec.bitstream.layers import Payload, parse_payload
from diffcodec.chain import Chain, OptionError, Tables, chain_of, choose_chain, default_chain
from diffcodec.checkpoint import CheckpointError
from diffcodec.denoiser import Denoiser
from diffcodec.ledger import Ledger
from diffcodec.progressive import Channel, Progress, Walk, receive, send, set_out
from diffcodec.trace import Clock, Trace
from diffcodec.zoo import load_checkpoint, shipped_networks

Pixels = NDArray[np.uint8]

DEFAULT_NU = 14


@dataclass(frozen=True)
class Decoded:
    """A decoded picture and what it was decoded from.

    pixels: (H, W, C) uint8; bytes_used of total_bytes (None: the file has no lossless end); steps
    complete of steps_total; lossless: these are the exact pixels, their checksum matches.
    """

    pixels: Pixels
    bytes_used: int
    total_bytes: int | None
    steps: int
    steps_total: int
    lossless: bool
    header: Header


class Codec:
    """A network with its tables; encodes pictures of any size, decodes files made with it."""

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
    def from_pretrained(model: str | Path, device: str = "cpu") -> Codec:
        """A shipped network by name ("cifar10", "photo") or a .safetensors file by path.

        Raises CheckpointError if there is none, it was altered, or it has no tables yet.
        """
        import torch  # only where a network runs: info and truncate start without it

        from diffcodec.network import load_network

        network = load_network(model, device)
        tables = Tables.of(network.checkpoint.tables)
        fingerprint = network.checkpoint.fingerprint
        return Codec(
            network,
            tables,
            name=network.name,
            fingerprint=fingerprint,
            workers=torch.get_num_threads(),
        )

    def encode(
        self,
        pixels: Pixels,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        chain: str | None = None,
        nu: int | None = None,
        seed: int = 0,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """A .dfc file of a picture, (H, W, 3) or (H, W, 1) uint8, with its exact pixels at the end.

        max_bytes, bpp or max_steps: stop there instead. chain: "25", "50", ... of the network's
        own, "ddpm:1000" or "cosine:50"; by default what suits the size. nu: state bits of the
        trellis code, 8 (fast) to 16 (small). Raises OptionError for what does not exist.
        """
        pixels = np.ascontiguousarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
            raise OptionError("pixels must be uint8 of shape (H, W, 3) or (H, W, 1)")
        if not pixels.size:
            raise OptionError("the picture has no pixels")
        trace = trace if trace is not None else Trace()
        levels = choose_chain(chain or default_chain(pixels.size), self.tables)
        height, width, channels = pixels.shape
        draft = Header(
            width=width,
            height=height,
            channels=channels,
            fingerprint=self.fingerprint,
            nu=nu or DEFAULT_NU,
            chain=levels.kind,
            nodes=len(levels.v),
            seed=seed,
        )
        if bpp is not None:
            max_bytes = bytes_of_bpp(bpp, draft)
        if max_bytes is not None and max_bytes < len(draft.pack()):
            raise OptionError(f"a file of this picture needs at least {len(draft.pack())} bytes")
        with trace.clock.measure("total"):
            payload, lossless = send(
                self._channel(draft, levels, trace.clock),
                pixels,
                header_bytes=len(draft.pack()),
                max_bytes=max_bytes,
                max_steps=max_steps,
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
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> Decoded:
        """The best picture that a file, or any prefix of one, holds.

        max_bytes, bpp or max_steps: use only that much of it. Raises BitstreamError for damage,
        and for a file that was made with another network.
        """
        clock = clock if clock is not None else Clock()
        header, _ = parse_header(data)
        self._check(header)
        data = cut(data, header, max_bytes, bpp)
        channel = self._channel(header, chain_of(header, self.tables), clock)
        with clock.measure("total"):
            return self._receive(channel, data, max_steps, set_out(channel), progress)

    def decode_cuts(self, data: bytes, sizes: Iterable[int]) -> Iterator[Decoded]:
        """The picture after each of these numbers of bytes, in increasing order.

        As decoding every prefix, but what they share is done once.
        """
        header, _ = parse_header(data)
        self._check(header)
        channel = self._channel(header, chain_of(header, self.tables), Clock())
        walk = set_out(channel)
        for size in sizes:
            yield self._receive(channel, cut(data, header, size, None), None, walk)

    def progressive(self, data: bytes) -> Iterator[Decoded]:
        """The picture after every complete step, and at last after all of the file."""
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
    ) -> Decoded:
        header, _ = parse_header(data)
        payload, used = parse(data, channel.chain, max_steps)
        received = receive(channel, payload, walk, progress)
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
    """The prefix that max_bytes or bpp asks for; OptionError if no picture would be left."""
    if bpp is not None:
        max_bytes = bytes_of_bpp(bpp, header)
    if max_bytes is None:
        return data
    _, end = parse_header(data)
    if max_bytes < end:
        raise OptionError(f"the header alone takes {end} bytes; {max_bytes} hold no picture")
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


def truncate(
    data: bytes,
    *,
    max_bytes: int | None = None,
    bpp: float | None = None,
    max_steps: int | None = None,
    model: str | Path | None = None,
) -> bytes:
    """A shorter file that decodes to a coarser picture; the file itself if it is short enough."""
    header, _ = parse_header(data)
    data = cut(data, header, max_bytes, bpp)
    if max_steps is None:
        return data
    _, used = parse(data, chain_of(header, _tables_for(header, model)), max_steps)
    return data[:used]


# --- with the networks that ship ----------------------------------------------------------------


@lru_cache(maxsize=4)
def _codec(model: str) -> Codec:
    return Codec.from_pretrained(model)


def default_model(pixels: Pixels) -> str:
    """cifar10 for pictures of its size, photo for all others."""
    return "cifar10" if pixels.shape[:2] == (32, 32) else "photo"


def encode(pixels: Pixels, model: str | Path | None = None, **options: Any) -> bytes:
    """Codec.encode with a shipped network: cifar10 for 32x32 pictures, photo otherwise."""
    return _codec(str(model or default_model(pixels))).encode(pixels, **options)


def decode(data: bytes, model: str | Path | None = None, **options: Any) -> Decoded:
    """Codec.decode with the network that the file names."""
    header, _ = parse_header(data)
    return _codec(str(model or name_of(header.fingerprint))).decode(data, **options)


def info(data: bytes, model: str | Path | None = None) -> dict[str, Any]:
    """What a file, or a prefix of one, says about itself; verifies its complete layers.

    Plain JSON types; bpp in bits per pixel, bytes of the prefix at hand. Where the network is not
    at hand (model is None), what needs its tables is None.
    """
    header, start = parse_header(data)
    facts: dict[str, Any] = {
        "format": 1,
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "model": None,
        "fingerprint": header.fingerprint.hex(),
        "chain": {"own": "", "linear": "ddpm:", "cosine": "cosine:"}[header.chain]
        + str(header.nodes),
        "nu": header.nu,
        "seed": header.seed,
        "bytes": len(data),
        "total_bytes": header.total_bytes,
        "complete": header.total_bytes == len(data),
        "header_bytes": start,
        "bpp": 8 * len(data) / (header.width * header.height),
        "steps_available": None,
        "steps_total": header.nodes,
        "layers_verified": None,
        "bytes_verified": None,
    }
    try:
        name = str(model or name_of(header.fingerprint))
    except BitstreamError:
        return facts
    checkpoint = load_checkpoint(name)
    payload, _ = parse(data, chain_of(header, Tables.of(checkpoint.tables)), None)
    facts["model"] = checkpoint.recipe.name
    facts["steps_available"] = sum(step.complete for step in payload.steps)
    facts["layers_verified"] = payload.layers
    facts["bytes_verified"] = start + payload.verified
    return facts


def ledger(data: bytes, model: str | Path | None = None, trace: Trace | None = None) -> Ledger:
    """What every bit of a file, or of a prefix of one, was spent on.

    trace: of the encoder that made it; without one it is not known what theory asks for. Raises
    BitstreamError for damage, and where the network's tables are not at hand.
    """
    header, _ = parse_header(data)
    chain = chain_of(header, _tables_for(header, model))
    payload, _ = parse(data, chain, None)
    return audit(data, header, payload, chain, trace)


def list_models() -> list[dict[str, Any]]:
    """The networks that ship: name, fingerprint, parameters, bytes and their card's facts."""
    models = []
    for name, path in shipped_networks():
        checkpoint = load_checkpoint(name)
        models.append(
            {
                "name": name,
                "fingerprint": checkpoint.fingerprint.hex(),
                "bytes": path.stat().st_size,
                **checkpoint.card,
            }
        )
    return models


def name_of(fingerprint: bytes) -> str:
    """The shipped network with this fingerprint; BitstreamError if there is none."""
    for name, path in shipped_networks():
        if _fingerprint(str(path)) == fingerprint:
            return name
    raise BitstreamError(
        f"no shipped network has the fingerprint {fingerprint.hex()} that the file asks "
        "for; name the file of its network with --model"
    )


@lru_cache(maxsize=16)
def _fingerprint(path: str) -> bytes:
    return load_checkpoint(path).fingerprint


def _tables_for(header: Header, model: str | Path | None) -> Tables:
    checkpoint = load_checkpoint(model or name_of(header.fingerprint))
    if checkpoint.fingerprint != header.fingerprint:
        raise CheckpointError(
            f"the file was made with network {header.fingerprint.hex()}, not with "
            f"{checkpoint.fingerprint.hex()}"
        )
    return Tables.of(checkpoint.tables)
