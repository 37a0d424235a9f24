"""A network's file: safetensors with its facts as JSON, and the fingerprint that both must have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from diffcodec.bitstream.byte_order import little_endian
from diffcodec.errors import CheckpointError

Tensors = dict[str, NDArray[Any]]


class Stated(Protocol):
    """What has a fingerprint."""

    @property
    def fingerprint(self) -> bytes:
        """8 bytes."""
        ...


Network = TypeVar("Network", bound=Stated)


def canonical(value: Any) -> str:
    """JSON in one way only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(known: Mapping[str, Any], tensors: Tensors) -> bytes:
    """8 bytes of SHA-256 over facts and tensors."""
    sha = hashlib.sha256(canonical(known).encode())
    for name in sorted(tensors):
        tensor = little_endian(tensors[name])
        sha.update(f"{name}{tensor.dtype.str}{tensor.shape}".encode())
        sha.update(tensor.tobytes())
    return sha.digest()[:8]


def pack(key: str, facts: Mapping[str, Any], tensors: Tensors) -> bytes:
    """The whole file. key: the one that the facts stand under: several come in random order."""
    ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return save(ordered, metadata={key: canonical(facts)})


def load(
    path: Path, key: str, make: Callable[[dict[str, Any], Tensors], Network], kind: str
) -> Network:
    """What `make` makes of a file's facts and tensors, its fingerprint checked.

    kind: what the file should hold, for the CheckpointError that everything else raises; `make` may
    raise one of its own.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(key)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no network file {path}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a network file: {str(error)[:200]}") from error
    try:
        facts = json.loads(text or "")
        network, stated = make(facts, tensors), facts["fingerprint"]
        found = network.fingerprint.hex()
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} holds no {kind}") from error
    if stated != found:
        raise CheckpointError(
            f"{path} was altered: it states fingerprint {str(stated)[:16]} and has {found}; get "
            "the original file again"
        )
    return network
