"""Fields of results files, which anyone may have written: each is what it must be, or is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffcodec.eval.common.results import ResultError

HIGHEST = 1e12  # no number of a result comes near


@dataclass(frozen=True)
class Fields:
    """A part of the file `path`: `value`, and its `name` in it, "results.bpp" for instance.

    All methods raise ResultError, a sentence with file and field, for what is not there or is of
    another kind. Numbers lie from `least` to `most`, and above `above`.
    """

    path: Path
    value: Any
    name: str = ""

    def wrong(self, what: str) -> ResultError:
        """The error that this field `what`: "is not a number"."""
        return ResultError(f"{self.path}: {self.name or 'the result'} {what}")

    def has(self, key: str) -> bool:
        """Is there such a field, and is it not null?"""
        return self.table().get(key) is not None

    def at(self, key: str) -> Fields:
        """The field `key` of an object."""
        name = f"{self.name}.{key}" if self.name else key
        if key not in self.table():
            raise Fields(self.path, None, name).wrong("is missing")
        return Fields(self.path, self.value[key], name)

    def table(self) -> dict[str, Any]:
        """The value, which is an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("is not an object")
        return self.value

    def parts(self) -> list[Fields]:
        """All fields of an object."""
        return [self.at(key) for key in self.table()]

    def rows(self) -> list[Fields]:
        """All entries of a list, of which there are some."""
        if not isinstance(self.value, list):
            raise self.wrong("is not a list")
        if not self.value:
            raise self.wrong("is empty")
        return self._entries()

    def _entries(self) -> list[Fields]:
        return [Fields(self.path, x, f"{self.name}[{i}]") for i, x in enumerate(self.value)]

    def text(self) -> str:
        """The value, which is text."""
        if not isinstance(self.value, str):
            raise self.wrong("is not text")
        return self.value

    def number(
        self, *, least: float = -HIGHEST, most: float = HIGHEST, above: float | None = None
    ) -> float:
        """The value, which is a finite number."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"is not a number, but {_shortened(value)}")
        if above is not None and not above < value <= most:
            raise self.wrong(f"is {_shortened(value)}, not a number above {above:g}")
        if not least <= value <= most:  # NaN is not, either
            raise self.wrong(f"is {_shortened(value)}, not a number from {least:g} to {most:g}")
        return float(value)

    def numbers(
        self, *, least: float = -HIGHEST, most: float = HIGHEST, above: float | None = None
    ) -> list[float | None]:
        """The value, which is a list of finite numbers; null where one is not known."""
        if not isinstance(self.value, list):
            raise self.wrong("is not a list of numbers")
        return [
            None if entry.value is None else entry.number(least=least, most=most, above=above)
            for entry in self._entries()
        ]


def equally_long(lists: Sequence[Fields]) -> None:
    """Raise ResultError unless lists, which belong together, have as many entries as the first."""
    for other in lists[1:]:
        if len(other.value) != len(lists[0].value):
            raise other.wrong(
                f"has {len(other.value)} entries, and {lists[0].name} {len(lists[0].value)}"
            )


def _shortened(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
