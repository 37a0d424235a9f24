"""The networks that ship with the package, and how any network is opened: by name or by path.

There are two kinds. Integer networks (diffcodec.exact.stored) give the same numbers on every
machine. Float networks (diffcodec.network.checkpoint) are what training makes, and folders of
diffusers: what is coded with them is exact where their numbers are the same. `diffcodec export`
makes integer networks of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcodec.errors import CheckpointError, OptionError
from diffcodec.exact.integers import KEY as EXACT
from diffcodec.exact.stored import AnyGraph, load_integers
from diffcodec.network.checkpoint import KEY as FLOAT
from diffcodec.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.denoiser import NetworkDenoiser

ZOO = Path(__file__).parent
_LARGEST = 1 << 24  # bytes of a file's facts


def load_model(model: str | Path) -> AnyGraph | Checkpoint:
    """A network of either kind, shipped or by path; raises CheckpointError. Needs no torch."""
    path = find(model)
    return load_checkpoint(path) if _is_float(path) else load_integers(path)


def load_graph(model: str | Path) -> AnyGraph:
    """An integer network, shipped or by path; raises CheckpointError, for a float one too."""
    path = find(model)
    if _is_float(path):
        raise CheckpointError(
            f"{path} is a float network, which other machines do not evaluate alike: "
            "run diffcodec export on it"
        )
    return load_integers(path)


def load_checkpoint(model: str | Path) -> Checkpoint:
    """A float network, a file or a folder of diffusers; raises CheckpointError, for an integer one
    too. Needs no torch.
    """
    path = find(model)
    if path.is_dir():
        from diffcodec.network.diffusers import load_folder

        return load_folder(path)
    if EXACT in _metadata(path):
        raise CheckpointError(
            f"{path} is an integer network: give the float one that it was exported from"
        )
    return Checkpoint.load(path)


def _is_float(path: Path) -> bool:
    """Whether it looks like a float network; it may be damaged."""
    return path.is_dir() or FLOAT in _metadata(path)


def load_weights(model: str | Path) -> Checkpoint:
    """A network of either kind as float weights, to train from; raises CheckpointError.

    Of an integer network what its integers say, and the noise embedding it was exported with; of
    one of bytes their grids too (diffcodec.network.grids).
    """
    if EXACT not in _metadata(find(model)):
        return load_checkpoint(model)
    from diffcodec.errors import RecipeError
    from diffcodec.exact.bytewise.graph import ByteGraph
    from diffcodec.exact.bytewise.weights import byte_weights
    from diffcodec.exact.export import float_network  # torch
    from diffcodec.network.config import Recipe

    graph = load_graph(model)
    try:
        recipe = Recipe.from_dict(graph.facts["recipe"])
    except RecipeError as error:
        raise CheckpointError(f"{model} does not say how it was trained: {error}") from error
    weights = byte_weights(graph) if isinstance(graph, ByteGraph) else {**float_network(graph)}
    return Checkpoint(recipe, weights, graph.facts["tables"], graph.facts["card"])


def load_network(
    model: str | Path,
    device: str = "cpu",
    threads: int | None = None,
    backend: str | None = None,
    label: int | None = None,
) -> ExactDenoiser | NetworkDenoiser:
    """A denoiser of either kind; raises CheckpointError. Only float networks need torch.

    device: "cpu", "cuda" or one of several, "cuda:1", which is this process's from then on.
    backend: of an integer network, by name (diffcodec.exact.backends); by default the fastest one
    on the device. threads: of the network, or of torch in all of this process; as many as suit by
    default. label: of the images' class, for networks that have to know it; OptionError for one
    that there is not.
    """
    if device.startswith("cuda:"):
        import torch

        if torch.cuda.is_available():  # what is opened below says so if it is not
            torch.cuda.set_device(device)  # backends evaluate on the current one
    if EXACT in _metadata(find(model)):
        from diffcodec.exact.denoiser import ExactDenoiser

        if label is not None:
            raise OptionError(f"{model} knows no classes: leave the class out")
        return ExactDenoiser(load_graph(model), threads, backend or device.partition(":")[0])
    if backend is not None:
        raise CheckpointError(
            f"{model} is a float network, which torch evaluates: leave out the backend "
            f"{backend}, or run diffcodec export on the network"
        )
    checkpoint = load_checkpoint(model)
    with needing_torch(model):
        import torch

        from diffcodec.network.denoiser import NetworkDenoiser
    if threads is not None:
        torch.set_num_threads(threads)
    denoiser = NetworkDenoiser(checkpoint, device)
    classes: int = denoiser.classes
    if label is None and classes:
        raise OptionError(f"{model} has to know the class: name one of 0 to {classes - 1}")
    return denoiser if label is None else denoiser.of_class(label)


@contextmanager
def needing_torch(model: str | Path) -> Iterator[None]:
    """What imports torch for a float network; raises Unavailable where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        from diffcodec.exact.backends import Unavailable

        raise Unavailable(
            f"{model} is a float network, and {error.name} is not installed: "
            "pip install 'diffcodec[train]'"
        ) from error


def find(model: str | Path) -> Path:
    """The file of a shipped network, or the path itself; CheckpointError for an unknown name."""
    shipped = dict(shipped_networks())
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    if not path.suffix and not path.exists():
        names = ", ".join(shipped) or "none"
        raise CheckpointError(
            f'there is no network "{model}"; shipped: {names}, or give a file or a folder'
        )
    if path.exists() and not path.is_file() and not path.is_dir():  # opening a pipe would wait
        raise CheckpointError(f"{path} is a pipe or a device: give a network's file or folder")
    return path


def shipped_networks() -> Iterator[tuple[str, Path]]:
    """(name, file) of every network in diffcodec/zoo, by name."""
    for path in sorted(ZOO.glob("*.safetensors"), key=lambda path: path.stem):
        yield path.stem, path


def stated_fingerprint(path: Path) -> bytes | None:
    """The fingerprint that an integer network's file states; None for other files.

    It takes reading the facts only. Loading the network verifies it.
    """
    try:
        return bytes.fromhex(json.loads(_metadata(path)[EXACT])["fingerprint"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def stated_facts(model: str | Path) -> tuple[bytes, dict[str, Any]]:
    """The fingerprint and the facts that a shipped network's file states.

    Its weights are not read, and nothing is verified. CheckpointError where it states none.
    """
    try:
        known = json.loads(_metadata(find(model))[EXACT])
        return bytes.fromhex(known["fingerprint"]), dict(known["facts"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"the file of the network {model} says nothing of it") from None


def _metadata(path: Path) -> dict[str, Any]:
    """The facts of a safetensors file, not verified; none where there are none to be read."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            facts = json.loads(file.read(size)) if size <= _LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    found = facts.get("__metadata__") if isinstance(facts, dict) else None
    return found if isinstance(found, dict) else {}


def model_card(name: str) -> str | None:
    """The card of a shipped network, Markdown; None if it has none."""
    path = ZOO / f"{name}.md"
    return path.read_text("utf-8") if path.exists() else None
