"""Float networks: one safetensors file holds the weights, the recipe and the codec's tables.

A network is named by the first 8 bytes of the SHA-256 over its tensors and its metadata, so a
measurement can say exactly what it measured. Never a pickle. The codec runs on integer networks
(diffcodec.exact.graph), which are made of these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save as serialize

from diffcodec.files import write_atomic
from diffcodec.network.config import Recipe, RecipeError

KEY = "diffcodec"  # one metadata key with canonical JSON: several keys come in random order


class CheckpointError(ValueError):
    """A file of weights that is missing, damaged, or not what it says."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights with everything that is known about them."""

    recipe: Recipe
    weights: dict[str, NDArray[Any]]  # as named by torch's state_dict
    tables: dict[str, Any] = field(default_factory=dict)  # the codec's measured tables
    card: dict[str, Any] = field(default_factory=dict)  # training facts: steps, hours, data

    def metadata(self) -> str:
        """Canonical JSON of all that is not a tensor."""
        facts = {"recipe": self.recipe.to_dict(), "tables": self.tables, "card": self.card}
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over what decoding depends on: recipe.network, tables, tensors."""
        sha = hashlib.sha256()
        network = {"network": self.recipe.to_dict()["network"], "tables": self.tables}
        sha.update(json.dumps(network, sort_keys=True, separators=(",", ":")).encode())
        for name in sorted(self.weights):
            tensor = np.ascontiguousarray(self.weights[name])
            sha.update(f"{name}{tensor.dtype.str}{tensor.shape}".encode())
            sha.update(tensor.tobytes())
        return sha.digest()[:8]

    def to_bytes(self) -> bytes:
        """The whole file."""
        tensors = {name: np.ascontiguousarray(self.weights[name]) for name in sorted(self.weights)}
        facts = json.loads(self.metadata())
        facts["fingerprint"] = self.fingerprint.hex()
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return serialize(tensors, metadata={KEY: text})

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomic(path, self.to_bytes())

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read a file of weights and check its fingerprint; raises CheckpointError."""
        from safetensors import safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                text = (file.metadata() or {}).get(KEY)
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no network file {path}") from error
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path} is not a network file: {error}") from error
        try:
            facts = json.loads(text or "")
            loaded = Checkpoint(
                Recipe.from_dict(facts["recipe"]), weights, facts["tables"], facts["card"]
            )
            stated = facts["fingerprint"]
        except (ValueError, KeyError, TypeError, RecipeError) as error:
            raise CheckpointError(f"{path} holds no diffcodec network") from error
        if stated != loaded.fingerprint.hex():
            raise CheckpointError(
                f"{path} was altered: it states fingerprint {stated} and has "
                f"{loaded.fingerprint.hex()}; get the original file again"
            )
        return loaded
