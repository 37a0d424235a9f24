"""A folder's weights as float32: one safetensors file, or several that an index lists.

Pickles are never opened: reading one runs what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from diffcodec.errors import CheckpointError
from diffcodec.network.diffusers.fields import check_file, read_object
from diffcodec.network.diffusers.names import renewed
from diffcodec.network.tensors import Tensors

NAME = "diffusion_pytorch_model"
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
POINTER = b"version https://git-lfs"  # how a file begins that Git has not fetched


def read_weights(folder: Path) -> Tensors:
    """All tensors by the library's names of today, float32; raises CheckpointError."""
    found = {}
    for path in _files(folder):
        for name, tensor in _tensors(path):
            found[renewed(name)] = tensor
    return found


def _files(folder: Path) -> Iterable[Path]:
    """Those that hold the weights."""
    one, index = folder / f"{NAME}.safetensors", folder / f"{NAME}.safetensors.index.json"
    if one.exists():
        return [one]
    if index.exists():
        return _shards(index)
    variants = sorted(folder.glob(f"{NAME}.*.safetensors"))  # NAME.fp16.safetensors
    if len(variants) == 1:
        return variants
    pickles = [p for p in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.ckpt"))]
    if pickles:
        raise CheckpointError(
            f"{pickles[0]} is a pickle, which can run what it likes when it is read: save the "
            "network with safe_serialization=True, or download its .safetensors"
        )
    raise CheckpointError(f"{folder} lacks {one.name}: download the folder again")


def _shards(index: Path) -> list[Path]:
    """The files of an index."""
    known = read_object(index).get("weight_map")
    names = set(known.values()) if isinstance(known, dict) and known else {""}
    if not all(isinstance(name, str) and name and Path(name).name == name for name in names):
        raise CheckpointError(f"{index} lists no files of weights: download the folder again")
    return [index.parent / name for name in sorted(names)]


def _tensors(path: Path) -> Iterable[tuple[str, NDArray[np.float32]]]:
    check_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith(POINTER):
        raise CheckpointError(f"{path} only points to the weights: fetch them with git lfs pull")
    try:
        found = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or half of a download ({error}): download it again"
        ) from error
    for name, tensor in found:
        yield name, _float32(path, name, tensor)


def _float32(path: Path, name: str, tensor: dict[str, Any]) -> NDArray[np.float32]:
    """Numbers of any floating type as float32; raises CheckpointError for others, and for nan."""
    kind = tensor["dtype"]
    if kind not in FLOATS:
        raise CheckpointError(
            f"{path} has {name} as {kind}, not as floats: save the network without quantising it"
        )
    flat = np.frombuffer(tensor["data"], FLOATS[kind])
    if kind == "BF16":  # the upper half of a float32
        flat = (flat.astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):  # of float64, which infinity tells
        found = flat.astype(np.float32).reshape(tensor["shape"])
    if not np.isfinite(found).all():
        raise CheckpointError(f"{path} has numbers in {name} that are not finite; train it again")
    return found
