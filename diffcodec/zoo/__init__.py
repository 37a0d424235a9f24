"""The networks that ship with the package: weights, recipes and model cards, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from diffcodec.checkpoint import Checkpoint, CheckpointError


def load_checkpoint(model: str | Path) -> Checkpoint:
    """A shipped network's file by name, or any by path; raises CheckpointError. Needs no torch."""
    shipped = dict(shipped_networks())
    if str(model) in shipped:
        return Checkpoint.load(shipped[str(model)])
    path = Path(model)
    if not path.suffix and not path.exists():
        names = ", ".join(shipped) or "none"
        raise CheckpointError(f'there is no network "{model}"; shipped: {names}, or give a file')
    return Checkpoint.load(path)


def shipped_networks() -> Iterator[tuple[str, Path]]:
    """(name, file) of every network in diffcodec/zoo, by name."""
    zoo = Path(str(resources.files("diffcodec.zoo")))
    for path in sorted(zoo.glob("*.safetensors")):
        yield path.stem, path


def model_card(name: str) -> str | None:
    """The card of a shipped network, Markdown; None if it has none."""
    path = Path(str(resources.files("diffcodec.zoo"))) / f"{name}.md"
    return path.read_text("utf-8") if path.exists() else None
