"""The codec with the networks that ship: what the command line and `import diffcodec` offer.

A file names its network by a fingerprint; here it is found among the shipped ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import Ledger
from diffcodec.accounting.trace import Trace
from diffcodec.beside import Beside, parse_beside
from diffcodec.bitstream.adaptive import LEVELS
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.graphics import GRAPHICS
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.pixels import STORED
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import CheckpointError
from diffcodec.exact.stored import AnyGraph
from diffcodec.file import File, cut
from diffcodec.limits import check_stop
from diffcodec.theory.chain import Tables
from diffcodec.zoo import find, load_graph, shipped_networks, stated_facts, stated_fingerprint

if TYPE_CHECKING:
    from diffcodec.codec import Codec
    from diffcodec.decoded import Decoded

PHOTOGRAPHS = "photo-large"  # the network for all but small images


def load_codec(model: str | Path, threads: int | None = None, backend: str | None = None) -> Codec:
    """Codec.from_pretrained, but a network is read once, however often it is asked for."""
    return _codec(*_version(model), threads, backend)


@lru_cache(maxsize=4)
def _codec(path: Path, changed: int, threads: int | None, backend: str | None) -> Codec:
    from diffcodec.codec import Codec  # what is only asked about needs no network

    return Codec.of(_read(path, changed), threads, backend=backend)


def _version(model: str | Path) -> tuple[Path, int]:
    """The network's file, and when it was written last."""
    path = find(model)
    return path, path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> AnyGraph:
    return load_graph(path)


def default_model(pixels: Pixels) -> str:
    """cifar10 for images of its size, photo-large for all others."""
    return "cifar10" if np.shape(pixels)[:2] == (32, 32) else PHOTOGRAPHS


def default_model_of(images: Sequence[Pixels]) -> str:
    """The default of images that agree on one, photo-large for all others."""
    fitting = {default_model(pixels) for pixels in images}
    return fitting.pop() if len(fitting) == 1 else PHOTOGRAPHS


def encode(
    pixels: Pixels,
    model: str | Path | None = None,
    *,
    threads: int | None = None,
    backend: str | None = None,
    **options: Any,
) -> bytes:
    """Codec.encode with a shipped network: cifar10 for 32x32 images, photo otherwise."""
    codec = load_codec(model or default_model(pixels), threads, backend)
    return codec.encode(pixels, **options)


def decode(
    data: bytes | File,
    model: str | Path | None = None,
    *,
    threads: int | None = None,
    backend: str | None = None,
    **options: Any,
) -> Decoded:
    """Codec.decode with the network that the file names."""
    header = data.header if isinstance(data, File) else parse_header(data)[0]
    codec = load_codec(model or name_of(header.fingerprint), threads, backend)
    return codec.decode(data, **options)


def open_file(
    data: bytes,
    model: str | Path | None = None,
    *,
    max_bytes: int | None = None,
    bpp: float | None = None,
    max_steps: int | None = None,
) -> File:
    """A file taken apart, its layers verified: what `decode`, `info` and `ledger` also take.

    max_bytes, bpp or max_steps: only so much of it. No network is run; its tables are needed.
    Raises BitstreamError, and CheckpointError where `model` is not the file's network.
    """
    header = parse_header(data)[0]
    tables = Tables.of(_facts_for(header, model).get("tables", {}))
    return File.parse(data, tables, max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)


def truncate(
    data: bytes,
    *,
    max_bytes: int | None = None,
    bpp: float | None = None,
    max_steps: int | None = None,
    model: str | Path | None = None,
) -> bytes:
    """A shorter file that decodes to a coarser image; the file itself if it is short enough."""
    check_stop(max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)
    data = cut(data, *parse_header(data), max_bytes, bpp)
    if max_steps is None:
        return data
    return data[: open_file(data, model, max_steps=max_steps).bytes_used]


def info(data: bytes | File, model: str | Path | None = None) -> dict[str, Any]:
    """What a file, or a prefix of one, says about itself; verifies its complete layers.

    Plain JSON types; bpp in bits per pixel, bytes of the prefix at hand; channels, depth and alpha
    of the image; metadata: what has arrived of it, by kind and size; damage: to strips of the exact
    pixels, alpha and metadata, a sentence on each. Where the network is not at hand (model is
    None), what needs its tables is None. Of shipped networks the weights are not read.
    """
    if isinstance(data, File):
        facts = _about(data.header, data.head, len(data.data), data.beside)
        return facts | _about_payload(data, model)
    header, head = parse_header(data)
    facts = _about(header, head, len(data), parse_beside(data, header, head))
    try:
        name = model or name_of(header.fingerprint)
    except BitstreamError:
        return facts
    return facts | _about_payload(open_file(data, name), name)


def metadata_of(data: bytes) -> Metadata:
    """What a file, or a prefix of one, carries besides its pixels; no network is needed."""
    return parse_beside(data, *parse_header(data)).metadata


def left_out(data: bytes, metadata: Metadata) -> Metadata:
    """The items that a file was to hold and does not: one that stops early ends before them."""
    kept = Counter(metadata_of(data))
    return tuple((Counter(metadata) - kept).elements())


def _about(header: Header, head: int, length: int, beside: Beside) -> dict[str, Any]:
    return {
        "format": header.version,
        "width": header.width,
        "height": header.height,
        "channels": header.format.channels,
        "alpha": header.format.alpha,
        "depth": header.format.depth,
        "metadata": [
            {"kind": item.kind.name.lower(), "bytes": len(item.data)} for item in beside.metadata
        ],
        "metadata_unknown": beside.unknown,
        "model": None,
        "fingerprint": header.fingerprint.hex(),
        "chain": header.chain_name,
        "code": header.code.name,
        "seed": header.seed,
        "bytes": length,
        "total_bytes": header.total_bytes,
        "complete": header.total_bytes == length,
        "header_bytes": head,
        "bpp": 8 * length / (header.width * header.height),
        "steps_available": None,
        "steps_total": header.nodes,
        "pixels": None,
        "layers_verified": None,
        "bytes_verified": None,
        "damage": list(beside.damage),
    }


def _about_payload(file: File, model: str | Path | None) -> dict[str, Any]:
    return {
        "model": str(_facts_for(file.header, model)["recipe"]["name"]),
        "steps_available": len(file.step_ends),
        "pixels": _pixels(file.payload),
        "layers_verified": file.payload.layers,
        "bytes_verified": file.start + file.payload.verified,
        "damage": list(file.damage),
    }


def _pixels(payload: Payload) -> str | None:
    """What codes the exact pixels; None where they have not begun."""
    if payload.coding is not None:
        given = ", without a state" if payload.coding.stateless else ""
        return f"adaptive, {LEVELS[payload.coding.level]}{given}"
    plain = {None: None, STORED: "stored", GRAPHICS: "graphics"}
    return plain.get(payload.sigma_index, "gaussian")


def ledger(
    data: bytes | File, model: str | Path | None = None, trace: Trace | None = None
) -> Ledger:
    """What every bit of a file, or of a prefix of one, was spent on.

    trace: of the encoder that made it; without one it is not known what theory asks for. Raises
    BitstreamError for damage, and where the network's tables are not at hand.
    """
    return audit(data if isinstance(data, File) else open_file(data, model), trace)


def list_models() -> list[dict[str, Any]]:
    """The networks that ship: name, fingerprint, parameters, bytes and their card's facts."""
    models = []
    for name, path in shipped_networks():
        graph = load_graph(path)
        models.append(
            {
                "name": name,
                "fingerprint": graph.fingerprint.hex(),
                "bytes": path.stat().st_size,
                **graph.facts.get("card", {}),
                "parameters": graph.parameters,
            }
        )
    return models


def name_of(fingerprint: bytes) -> str:
    """The shipped network with this fingerprint; BitstreamError if there is none."""
    for name, path in shipped_networks():
        if stated_fingerprint(path) == fingerprint:
            return name
    raise BitstreamError(
        f"no shipped network has the fingerprint {fingerprint.hex()} that the file asks "
        "for; name the file of its network with --model"
    )


def _facts_for(header: Header, model: str | Path | None) -> dict[str, Any]:
    """What the file of a header's network says of it.

    Of a shipped network the weights are not read; a user's file is verified.
    """
    name = model or name_of(header.fingerprint)
    if str(name) in dict(shipped_networks()):
        fingerprint, facts = stated_facts(name)
    else:
        graph = _read(*_version(name))
        fingerprint, facts = graph.fingerprint, graph.facts
    if fingerprint != header.fingerprint:
        raise CheckpointError(
            f"the file was made with network {header.fingerprint.hex()}, not with "
            f"{fingerprint.hex()}"
        )
    return facts
