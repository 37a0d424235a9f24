"""Whether what a file states of an integer network is of the types that its fields have.

What the numbers say is looked at later (shapes.py, bytewise/proof.py); that they are numbers, here.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from diffcodec.errors import CheckpointError
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.graph import Graph

LARGEST = 1 << 63  # that any whole number is below
APART = ("layers", "tensors", "facts")  # fields of a network that are looked at one by one
OBJECTS = ("tables", "card", "conformance")  # of its facts, if they are there


def check_stated(network: Graph | ByteGraph) -> None:
    """Raises CheckpointError, naming the field, for the first one that is of another type."""
    _check(network, "the network", APART)
    for number, layer in enumerate(network.layers, 1):
        _check(layer, f"layer {number} of the network")
    facts = network.facts
    recipe = facts.get("recipe") if isinstance(facts, dict) else None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
        raise CheckpointError("the network does not say what it is called, and by which recipe")
    if not isinstance(recipe.get("network", {}), dict):
        raise CheckpointError("the network's recipe has no [network]")
    for name in OBJECTS:
        if not isinstance(facts.get(name, {}), dict):
            raise CheckpointError(f"the network's {name} is no object")


def _check(part: Any, what: str, apart: tuple[str, ...] = ()) -> None:
    for name, kind in _types(part.__class__).items():
        value = getattr(part, name)
        if name not in apart and not _fits(value, kind):
            raise CheckpointError(f"{what} has {name} = {str(value)[:60]}, which it cannot be")


@cache
def _types(part: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    known = get_type_hints(part)
    return {field.name: known[field.name] for field in dataclasses.fields(part)}


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type: words of any kind pass, and no number beyond all others."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is Literal or kind is str:
        return type(value) is str
    if origin is tuple:
        return type(value) is tuple and all(_fits(one, int) for one in value)
    if dataclasses.is_dataclass(kind):
        fields = _types(kind).items()  # type: ignore[arg-type]
        return type(value) is kind and all(_fits(getattr(value, n), k) for n, k in fields)
    if kind is NoneType:
        return value is None
    if kind is float and type(value) is float:
        return math.isfinite(value)
    if kind in (int, float):
        return type(value) is int and abs(value) < LARGEST
    return type(value) is kind
