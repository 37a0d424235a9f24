"""Float networks: one safetensors file holds the weights, the recipe and the codec's tables.

A network is named by the first 8 bytes of the SHA-256 over its tensors and its metadata, so a
measurement can say exactly what it measured. Never a pickle. Integer networks
(diffcodec.exact.graph), which are exact on every machine, are made of these.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from diffcodec.errors import CheckpointError
from diffcodec.files import write_atomic
from diffcodec.network.config import Recipe
from diffcodec.network.grids import without_grids
from diffcodec.network.tensors import Tensors, fingerprint, load, pack
from diffcodec.theory.chain import Tables

KEY = "diffcodec"


@dataclass(frozen=True)
class Checkpoint:
    """Weights with everything that is known about them."""

    recipe: Recipe
    weights: dict[str, NDArray[Any]]  # as named by torch's state_dict
    tables: dict[str, Any] = field(default_factory=dict)  # the codec's measured tables
    card: dict[str, Any] = field(default_factory=dict)  # training facts: steps, hours, data

    @property
    def facts(self) -> dict[str, Any]:
        """What it says of itself, as an integer network's facts do."""
        return {"recipe": self.recipe.to_dict(), "tables": self.tables, "card": self.card}

    @property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over what decoding depends on: recipe.network, tables, tensors."""
        network = {"network": self.recipe.to_dict()["network"], "tables": self.tables}
        return fingerprint(network, self.weights)

    @property
    def parameters(self) -> int:
        """How many numbers training chose: all weights and biases, the noise embedding included."""
        return sum(weight.size for weight in without_grids(self.weights).values())

    def misfit(self) -> CheckpointError:
        """What is to be raised if these are not the weights of its recipe."""
        return CheckpointError(
            f"the weights of {self.recipe.name} do not fit its recipe; get the original file again"
        )

    def with_tables(self, tables: Tables) -> Checkpoint:
        """The same network with other tables, and so another fingerprint."""
        return dataclasses.replace(self, tables=tables.to_dict())

    def to_bytes(self) -> bytes:
        """The whole file."""
        return pack(KEY, {**self.facts, "fingerprint": self.fingerprint.hex()}, self.weights)

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomic(path, self.to_bytes())

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read a file of weights and check its fingerprint; raises CheckpointError."""

        def make(facts: dict[str, Any], weights: Tensors) -> Checkpoint:
            tables, card = facts["tables"], facts["card"]
            if not (isinstance(tables, dict) and isinstance(card, dict)):
                raise TypeError("tables or a card that are none")
            return Checkpoint(Recipe.from_dict(facts["recipe"]), weights, tables, card)

        return load(path, KEY, make, "diffcodec network")
