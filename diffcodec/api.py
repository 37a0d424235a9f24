"""The codec with the networks that ship: what the command line and `import diffcodec` offer.

A file names its network by a fingerprint; here it is found among the shipped ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import Ledger
from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec, Decoded, cut, parse
from diffcodec.errors import CheckpointError
from diffcodec.exact.denoiser import graph_name
from diffcodec.exact.graph import Graph
from diffcodec.theory.chain import Tables, chain_of
from diffcodec.zoo import load_graph, shipped_networks, stated_fingerprint


@lru_cache(maxsize=4)
def _codec(model: str, threads: int | None) -> Codec:
    return Codec.from_pretrained(model, threads)


def default_model(pixels: Pixels) -> str:
    """cifar10 for images of its size, photo for all others."""
    return "cifar10" if pixels.shape[:2] == (32, 32) else "photo"


def default_model_of(images: Sequence[Pixels]) -> str:
    """The default of images that agree on one, photo for all others."""
    fitting = {default_model(pixels) for pixels in images}
    return fitting.pop() if len(fitting) == 1 else "photo"


def encode(
    pixels: Pixels, model: str | Path | None = None, *, threads: int | None = None, **options: Any
) -> bytes:
    """Codec.encode with a shipped network: cifar10 for 32x32 images, photo otherwise."""
    return _codec(str(model or default_model(pixels)), threads).encode(pixels, **options)


def decode(
    data: bytes, model: str | Path | None = None, *, threads: int | None = None, **options: Any
) -> Decoded:
    """Codec.decode with the network that the file names."""
    header, _ = parse_header(data)
    return _codec(str(model or name_of(header.fingerprint)), threads).decode(data, **options)


def truncate(
    data: bytes,
    *,
    max_bytes: int | None = None,
    bpp: float | None = None,
    max_steps: int | None = None,
    model: str | Path | None = None,
) -> bytes:
    """A shorter file that decodes to a coarser image; the file itself if it is short enough."""
    header, _ = parse_header(data)
    data = cut(data, header, max_bytes, bpp)
    if max_steps is None:
        return data
    _, used = parse(data, chain_of(header, _tables(_network_for(header, model))), max_steps)
    return data[:used]


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
        "chain": header.chain_name,
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
    graph = _network_for(header, name)
    payload, _ = parse(data, chain_of(header, _tables(graph)), None)
    facts["model"] = graph_name(graph)
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
    chain = chain_of(header, _tables(_network_for(header, model)))
    payload, _ = parse(data, chain, None)
    return audit(data, header, payload, chain, trace)


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


def _network_for(header: Header, model: str | Path | None) -> Graph:
    graph = load_graph(model or name_of(header.fingerprint))
    if graph.fingerprint != header.fingerprint:
        raise CheckpointError(
            f"the file was made with network {header.fingerprint.hex()}, not with "
            f"{graph.fingerprint.hex()}"
        )
    return graph


def _tables(graph: Graph) -> Tables:
    return Tables.of(graph.facts.get("tables", {}))
