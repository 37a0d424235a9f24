"""The codec with the networks that ship: what the command line and `import diffcodec` offer.

A file names its network by a fingerprint; here it is found among the shipped ones.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import Ledger
from diffcodec.accounting.trace import Trace
from diffcodec.beside import Beside, parse_beside
from diffcodec.bitstream.adaptive import LEVELS
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.graphics import GRAPHICS
from diffcodec.bitstream.metadata import Kind, Metadata
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.pixels import STORED
from diffcodec.bitstream.types import Pixels
from diffcodec.checks import check_stop
from diffcodec.file import File, cut
from diffcodec.limits import ANY, USUAL, Limits, memory_of_file
from diffcodec.networks import (
    PHOTOGRAPHS,
    check_model,
    default_model,
    default_model_of,
    facts_for,
    fingerprint_of,
    list_models,
    load_codec,
    name_of,
)
from diffcodec.theory.chain import Tables

if TYPE_CHECKING:
    from diffcodec.decoded import Decoded

__all__ = [
    "PHOTOGRAPHS",
    "check_model",
    "decode",
    "default_model",
    "default_model_of",
    "encode",
    "fingerprint_of",
    "info",
    "ledger",
    "left_out",
    "list_models",
    "load_codec",
    "metadata_of",
    "name_of",
    "open_file",
    "truncate",
]


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
    """Codec.decode with the network that the file names, and with its options; OverLimit is raised
    before any network is read."""
    header = data.header if isinstance(data, File) else parse_header(data)[0]
    options.get("limits", USUAL).check(header)
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
    tables = Tables.of(facts_for(header, model).get("tables", {}))
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


def info(
    data: bytes | File, model: str | Path | None = None, *, limits: Limits = ANY
) -> dict[str, Any]:
    """What a file, or a prefix of one, says about itself; verifies its complete layers.

    Plain JSON types; bpp in bits per pixel, bytes of the prefix at hand; channels, depth and alpha
    of the image; metadata: what has arrived of it, by kind and size; damage: to strips of the exact
    pixels, alpha and metadata, a sentence on each. Where the network is not at hand (model is
    None), what needs its tables is None. Of shipped networks the weights are not read. promised:
    floats made it; exact_anywhere: yet what there is of it is the same on every machine;
    decoding_memory: about how many bytes decoding takes. Raises OverLimit where that, or the image,
    is more than the limits.
    """
    limits.check(data.header if isinstance(data, File) else parse_header(data)[0])
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


def listed(metadata: Metadata) -> list[dict[str, Any]]:
    """Items by kind and size, as `info` has them; alike ones are one object."""
    alike: dict[tuple[Kind, int], dict[str, Any]] = {}
    for item in metadata:
        key = item.kind, len(item.data)
        if key not in alike:
            alike[key] = {"kind": item.kind.name.lower(), "bytes": len(item.data)}
    return [alike[item.kind, len(item.data)] for item in metadata]


def _about(header: Header, head: int, length: int, beside: Beside) -> dict[str, Any]:
    return {
        "format": header.version,
        "width": header.width,
        "height": header.height,
        "channels": header.format.channels,
        "alpha": header.format.alpha,
        "depth": header.format.depth,
        "metadata": listed(beside.metadata),
        "metadata_unknown": beside.unknown,
        "model": None,
        "fingerprint": header.fingerprint.hex(),
        "chain": header.chain_name,
        "code": header.code.name,
        "seed": header.seed,
        "label": header.label,
        "promised": header.promised,
        "exact_anywhere": None if header.promised else True,
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
        "decoding_memory": memory_of_file(header),
        "damage": list(beside.damage),
    }


def _about_payload(file: File, model: str | Path | None) -> dict[str, Any]:
    return {
        "model": str(facts_for(file.header, model)["recipe"]["name"]),
        "steps_available": len(file.step_ends),
        "pixels": _pixels(file.payload),
        "exact_anywhere": not file.header.promised or file.payload.plain,
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
