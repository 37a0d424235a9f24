"""A network's file taken apart, changed, and put together with the fingerprint that it then has."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.classifier.file import KEY as CLASSIFIER
from diffcodec.classifier.file import ClassifierFile
from diffcodec.eval.robustness.fuzz.checksums import often
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, some
from diffcodec.eval.robustness.fuzz.trees import dumped, varied
from diffcodec.exact.integers import KEY as INTEGERS
from diffcodec.exact.stored import KINDS
from diffcodec.network.checkpoint import KEY as FLOATS
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.network.tensors import Tensors

Facts = dict[str, Any]
DTYPES = ("<i1", "<u1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8")
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 65535, 65537)
MOST = 1 << 18  # bytes of a tensor


def varied_network(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Other facts, other tensors, or both; the fingerprint is that of what comes out, mostly."""
    if dice.random() < 0.15:
        return _varied_head(data, dice)
    facts, key, tensors = take_apart(data)
    way = dice.randrange(4)
    if way != 0:
        part = dice.choice([name for name in facts if name != "fingerprint"])
        facts[part] = varied(facts[part], dice)
    if way < 2:
        for _ in range(some(dice)):
            _vary_tensor(tensors, dice)
    if often(dice):
        with suppress(Exception):  # it is nothing that has one any more
            facts["fingerprint"] = STATED[key](facts, tensors)
    return save(tensors, metadata={key: dumped(facts, dice).decode("utf-8", "replace")})


def take_apart(data: bytes) -> tuple[Facts, str, Tensors]:
    """Facts, the key that they stand under, and tensors, of a file that is taken."""
    size = int.from_bytes(data[:8], "little")
    (key, text), *_ = json.loads(data[8 : 8 + size])["__metadata__"].items()
    return json.loads(text), key, load(data)


def _of_integers(facts: Facts, tensors: Tensors) -> str:
    structure = dict(facts["structure"])
    kind = KINDS[structure.pop("version", 1)]
    return kind.from_structure(structure, tensors, facts["facts"]).fingerprint.hex()


def _of_floats(facts: Facts, tensors: Tensors) -> str:
    recipe = Recipe.from_dict(facts["recipe"])
    return Checkpoint(recipe, tensors, facts["tables"], facts["card"]).fingerprint.hex()


def _of_classifier(facts: Facts, tensors: Tensors) -> str:
    recipe = ClassifierRecipe.from_dict(facts["recipe"])
    return ClassifierFile(recipe, tensors, facts["card"]).fingerprint.hex()


STATED: dict[str, Callable[[Facts, Tensors], str]] = {
    INTEGERS: _of_integers,
    FLOATS: _of_floats,
    CLASSIFIER: _of_classifier,
}


def _vary_tensor(tensors: Tensors, dice: Random) -> None:
    """Another one: of other numbers, shape or type, gone, or called by another name."""
    if not tensors:
        return
    name = dice.choice(sorted(tensors))
    old = tensors[name]
    way = dice.randrange(8)
    if way == 0:
        del tensors[name]
    elif way == 1:
        tensors[dice.choice(("", name + "x", dice.choice(sorted(tensors))))] = old
    elif way == 2:
        tensors[name] = np.zeros(_shape(old, dice), old.dtype)
    elif way == 3:
        with np.errstate(all="ignore"):
            tensors[name] = old.astype(dice.choice(DTYPES))
    else:
        tensors[name] = _numbers(old, dice)


def _shape(old: NDArray[Any], dice: Random) -> tuple[int, ...]:
    shape = list(old.shape)
    if shape and dice.random() < 0.8:
        shape[dice.randrange(len(shape))] = dice.choice(SIZES)
    else:
        shape = dice.choice(([], [1], [*shape, 1], shape[1:]))
    size = int(np.prod(shape, dtype=np.int64)) * old.itemsize
    return tuple(shape) if size <= MOST else old.shape


def _numbers(old: NDArray[Any], dice: Random) -> NDArray[Any]:
    """Some or all of its numbers are extreme, or small, or bytes of chance."""
    new = old.copy().reshape(-1)
    if not new.size:
        return old
    where = slice(None) if dice.random() < 0.3 else slice(*sorted(_places(new.size, dice)))
    if new.dtype.kind == "f" and new.itemsize < 8:
        new[where] = dice.choice((0.0, -1.0, 6e4, float("nan"), float("inf"), 1e-7, 0.5))
    elif new.dtype.kind == "f":
        new[where] = dice.choice((0.0, -1.0, 1e300, float("nan"), float("inf"), 1e-300, 0.5))
    elif new.dtype.kind in "iu":
        info = np.iinfo(new.dtype)
        small = min(number(dice) & 127, int(info.max))
        new[where] = dice.choice((0, info.min, info.max, int(info.max) // 2, small))
    return new.reshape(old.shape)


def _places(size: int, dice: Random) -> list[int]:
    return [dice.randrange(size), dice.randrange(size + 1)]


def _varied_head(data: bytes, dice: Random) -> bytes:
    """What safetensors itself says: names, types, shapes and places; or bytes, anyhow."""
    size = int.from_bytes(data[:8], "little")
    head = data[8 : 8 + size]
    if dice.random() < 0.5:
        head = mutated(head, dice, ())
    else:
        head = dumped(varied(json.loads(head), dice), dice)
    stated = len(head) if often(dice) else number(dice) & ((1 << 63) - 1)
    return stated.to_bytes(8, "little") + head + data[8 + size :]
