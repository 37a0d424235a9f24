"""A classifier's file: safetensors with its recipe, and a card that says how good it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.errors import CheckpointError
from diffcodec.files import write_atomic
from diffcodec.network.tensors import Tensors, fingerprint, load, pack

KEY = "diffcodec-classifier"
WEIGHTS = Path(__file__).parent / "weights"  # of those that ship


@dataclass(frozen=True)
class ClassifierFile:
    """Weights with everything that is known about them.

    card: training facts (steps, hours, images, device), and "accuracy", of images that it was not
    trained on, where it was measured: as `accuracy.measure` returns it.
    """

    recipe: ClassifierRecipe
    weights: dict[str, NDArray[Any]]  # as named by torch's state_dict
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over the architecture and the weights."""
        known = {"classifier": self.recipe.to_dict()["classifier"], "noisy": self.recipe.noisy}
        return fingerprint(known, self.weights)

    @property
    def parameters(self) -> int:
        """How many numbers training chose."""
        return sum(weight.size for weight in self.weights.values())

    @property
    def about(self) -> dict[str, Any]:
        """What a result says of the classifier that it was made with."""
        return {
            "name": self.recipe.name,
            "fingerprint": self.fingerprint.hex(),
            "parameters": self.parameters,
            "accuracy": self.card.get("accuracy"),
        }

    def to_bytes(self) -> bytes:
        """The whole file."""
        facts = {"recipe": self.recipe.to_dict(), "card": self.card}
        return pack(KEY, {**facts, "fingerprint": self.fingerprint.hex()}, self.weights)

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomic(path, self.to_bytes())

    @staticmethod
    def load(path: Path) -> ClassifierFile:
        """Read a file of weights and check its fingerprint; raises CheckpointError."""

        def make(facts: dict[str, Any], weights: Tensors) -> ClassifierFile:
            recipe = ClassifierRecipe.from_dict(facts["recipe"])
            if not isinstance(facts["card"], dict):
                raise TypeError("a card that is none")
            return ClassifierFile(recipe, weights, facts["card"])

        return load(path, KEY, make, "classifier; diffcodec train-classifier makes one")


def shipped_classifiers() -> dict[str, Path]:
    """The file of each classifier that ships, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_classifier(classifier: str | Path) -> ClassifierFile:
    """A shipped classifier by its name, or a file; raises CheckpointError."""
    shipped = shipped_classifiers()
    path = shipped.get(str(classifier), Path(classifier))
    if not path.suffix and not path.exists():
        raise CheckpointError(
            f'there is no classifier "{classifier}"; shipped: {", ".join(shipped) or "none"}, or '
            "give a file that diffcodec train-classifier made"
        )
    return ClassifierFile.load(path)
