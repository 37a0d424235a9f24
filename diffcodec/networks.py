"""Networks at hand: found by name, path or fingerprint, and read once, however often asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffcodec.bitstream.container import Header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import CheckpointError
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.zoo import (
    find,
    load_graph,
    load_model,
    shipped_networks,
    stated_facts,
    stated_fingerprint,
)

if TYPE_CHECKING:
    from diffcodec.codec import Codec

PHOTOGRAPHS = "photo-large"  # the network for all but small images


def load_codec(model: str | Path, threads: int | None = None, backend: str | None = None) -> Codec:
    """Codec.from_pretrained, but a network is read once, however often it is asked for."""
    return _codec(*_version(model), threads, backend)


@lru_cache(maxsize=4)
def _codec(path: Path, changed: int, threads: int | None, backend: str | None) -> Codec:
    from diffcodec.codec import Codec  # what is only asked about needs no network

    return Codec.of_either(_read(path, changed), threads, backend=backend)


def _version(model: str | Path) -> tuple[Path, int]:
    """The network's file or folder, and when any of it was written last."""
    path = find(model)
    parts = [path]
    if path.is_dir():  # may be any folder, so it is not walked through
        from diffcodec.network.diffusers.reading import PARTS

        for place in (path, *(path / part for part in PARTS)):
            parts += [place, *place.glob("*")]
    return path, max((part.stat().st_mtime_ns for part in parts if part.exists()), default=0)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> AnyGraph | Checkpoint:
    return load_model(path)


@lru_cache(maxsize=4)
def _verified(path: Path, changed: int) -> tuple[bytes, dict[str, Any]]:
    """The fingerprint of a network, and what it says of itself."""
    network = _read(path, changed)
    return network.fingerprint, network.facts


def check_model(model: str | Path) -> Path:
    """The file or folder of a network that can be read; CheckpointError for any other."""
    path, changed = _version(model)
    _read(path, changed)
    return path


def fingerprint_of(model: str | Path) -> bytes | None:
    """The fingerprint of a network by its file or folder; None where that cannot be read.

    An integer network's file states it; others are read.
    """
    try:
        path, changed = _version(model)
        return stated_fingerprint(path) or _verified(path, changed)[0]
    except CheckpointError:
        return None


def default_model(pixels: Pixels) -> str:
    """cifar10 for images of its size, photo-large for all others."""
    return "cifar10" if np.shape(pixels)[:2] == (32, 32) else PHOTOGRAPHS


def default_model_of(images: Sequence[Pixels]) -> str:
    """The default of images that agree on one, photo-large for all others."""
    fitting = {default_model(pixels) for pixels in images}
    return fitting.pop() if len(fitting) == 1 else PHOTOGRAPHS


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
        "for; name the file or folder of its network with --model"
    )


def facts_for(header: Header, model: str | Path | None) -> dict[str, Any]:
    """What the file of a header's network says of it.

    Of a shipped network the weights are not read; a user's file is verified.
    """
    name = model or name_of(header.fingerprint)
    if str(name) in dict(shipped_networks()):
        fingerprint, facts = stated_facts(name)
    else:
        fingerprint, facts = _verified(*_version(name))
    if fingerprint != header.fingerprint:
        raise CheckpointError(
            f"the file was made with network {header.fingerprint.hex()}, not with "
            f"{fingerprint.hex()}"
        )
    return facts
