"""A JSON object of a folder: its fields by name, with defaults, each of the type that it should be.

All errors are CheckpointError, one sentence that names the file and the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from diffcodec.errors import CheckpointError

VERSION = "0.42.1"  # of diffusers, whose fields these are
MOST = 1 << 16  # that any size is, of channels or pixels
LEVELS = 16  # of a network, at most
_LARGEST = 1 << 24  # bytes of such a file


def check_file(path: Path) -> None:
    """Raises CheckpointError for what is missing, and for a pipe, of which opening would wait."""
    if not path.exists():
        raise CheckpointError(f"there is no {path}: download the folder again")
    if not path.is_file():
        raise CheckpointError(f"{path} is no file: download the folder again")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; raises CheckpointError."""
    check_file(path)
    if path.stat().st_size > _LARGEST:
        raise CheckpointError(f"{path} is too large to describe a network")
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON, or half of it: download it again") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no JSON object, as every file of diffusers does")
    return found


class Fields:
    """The fields of a file; what it leaves out is as the library's defaults say.

    Fields that begin with an underscore are the library's own.
    """

    def __init__(self, path: Path, found: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.path = path
        self.stated = {name: value for name, value in found.items() if not name.startswith("_")}
        self.values = {**defaults, **self.stated}

    def check_known(self, names: Container[str]) -> None:
        """Raises CheckpointError for a field that is not among these, unless it says nothing."""
        for name, value in self.stated.items():
            if name not in names and value is not None:
                raise self.refusal(f'has a field "{name}", of which nothing is known here')

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def refusal(self, words: str) -> CheckpointError:
        """What to raise: the file, then the words."""
        return CheckpointError(f"{self.path} {words}")

    def fixed(self, name: str, *choices: object) -> None:
        """Raises CheckpointError unless the field has one of these values."""
        value = self[name]
        if not any(value == c and isinstance(value, bool) is isinstance(c, bool) for c in choices):
            known = " or ".join(json.dumps(choice) for choice in choices)
            raise self.refusal(f"has {name} = {shown(value)}; only {known} can be used here")

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """One of some words."""
        self.fixed(name, *choices)
        return str(self[name])

    def whole(self, name: str, least: int = 1, most: int = MOST) -> int:
        """A whole number from `least` to `most`."""
        return self._whole(name, self[name], least, most)

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers above 0."""
        return tuple(self._whole(name, value, 1, MOST) for value in self._list(name))

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self._list(name)
        if not all(isinstance(word, str) for word in found):
            raise self.refusal(f"has {name} = {shown(found)}, which are no names")
        return tuple(found)

    def number(self, name: str) -> float:
        """Any finite number."""
        value = self[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise self.refusal(f"has {name} = {shown(value)}, which is no number")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        if not isinstance(self[name], bool):
            raise self.refusal(f"has {name} = {shown(self[name])}, which is not true or false")
        return bool(self[name])

    def _whole(self, name: str, value: object, least: int, most: int) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refusal(
                f"has {name} = {shown(value)}, not a whole number from {least} to {most}"
            )
        return value

    def _list(self, name: str) -> list[Any]:
        value = self[name]
        if not isinstance(value, list | tuple) or not 0 < len(value) <= LEVELS:
            raise self.refusal(f"has {name} = {shown(value)}, which is no list of 1 to {LEVELS}")
        return list(value)


def shown(value: object) -> str:
    """A JSON value as text, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
