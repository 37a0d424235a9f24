"""Changes of what JSON says: values, fields and lists, deep inside, of every wrong kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from diffcodec.eval.robustness.fuzz.mutation import number, some

TEXTS = ("", "0", "a", "\x00", "..", "/", "\n", "\x1b[2J", "\ud800", "ä", "9" * 30, "x" * 3000)
SCALARS = (None, True, False, 0, 1, -1, 2, 3, 0.0, -0.0, 0.5, 1.5, -2.5, 1e-300, 1e300)
BEYOND = (float("inf"), float("-inf"), float("nan"), 1 << 63, 1 << 64, -(1 << 63), 10**400)


def varied(tree: Any, dice: Random) -> Any:
    """A copy of a JSON value, changed in one to a few places."""
    tree = json.loads(json.dumps(tree))
    for _ in range(some(dice)):
        places = list(_places(tree)) if isinstance(tree, dict | list) else []
        if not places:
            return odd(dice)
        _change(*dice.choice(places), dice)
    return tree


def odd(dice: Random) -> Any:
    """A value that hardly anybody expects."""
    kind = dice.randrange(8)
    if kind == 0:
        return dice.choice(TEXTS)
    if kind == 1:
        return dice.choice(BEYOND)
    if kind == 2:
        return number(dice) * dice.choice((1, -1))
    if kind == 3:
        return dice.choice(([], {}, [[]], [None], {"": None}, [0] * 50, ["a", 1], {"a": [{}]}))
    if kind == 4:
        return dice.gauss(0, 10.0 ** dice.randint(-6, 12))
    return dice.choice(SCALARS)


def dumped(tree: Any, dice: Random) -> bytes:
    """The JSON of a value, now and then nested deeper than any program likes."""
    text = json.dumps(tree, ensure_ascii=dice.random() < 0.5)
    if dice.random() < 0.01:
        depth = dice.choice((10, 900, 20_000))
        text = text.replace(dice.choice(("null", "0", "1", '"a')), "[" * depth + "]" * depth, 1)
    return text.encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys, the outer ones first."""
    todo = [tree]
    while todo:
        value = todo.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            if isinstance(value[key], dict | list):
                todo.append(value[key])


def _change(within: Any, key: Any, dice: Random) -> None:
    kind, old = dice.randrange(10), within[key]
    if kind == 0:
        del within[key]
    elif kind == 1 and isinstance(within, list):
        within.insert(key, json.loads(json.dumps(dice.choice(within))))
    elif kind == 1:
        within[dice.choice((*within, *TEXTS))] = odd(dice)
    elif kind == 2 and isinstance(old, list) and old:
        within[key] = old * dice.choice((0, 2, 3)) + old[: dice.randrange(len(old))]
    elif kind == 3:
        other = dice.choice(list(within.values()) if isinstance(within, dict) else within)
        within[key] = json.loads(json.dumps(other))
    elif kind < 7 and isinstance(old, int | float) and not isinstance(old, bool):
        within[key] = dice.choice((old + 1, old - 1, -old, 2 * old, old // 2, 0.5 + old % 9, 0))
    elif kind < 7 and isinstance(old, str):
        at = dice.randrange(len(old) + 1)
        within[key] = old[:at] + dice.choice(TEXTS) + old[at + dice.randrange(3) :]
    else:
        within[key] = odd(dice)
