"""Sections of a recipe: frozen dataclasses of plain types, checked field by field."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from diffcodec.errors import RecipeError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Section = TypeVar("Section", bound="DataclassInstance")


def read_fields(path: Path) -> dict[str, Any]:
    """All of a TOML recipe; raises RecipeError in one sentence."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def from_plain(cls: type[Section], fields: Any, section: str) -> Section:
    """A section from plain types; raises RecipeError naming unknown and missing fields."""
    if not isinstance(fields, dict):
        raise RecipeError(f"[{section}] of a recipe has fields; it is not {fields!r}")
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(fields) - set(known))
    needed = {n for n, f in known.items() if f.default is dataclasses.MISSING}
    missing = sorted(needed - set(fields))
    if unknown or missing:
        raise RecipeError(f"[{section}] has unknown fields {unknown} and lacks {missing}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return cls(**values)


def check_types(section: DataclassInstance, name: str) -> None:
    """Raises RecipeError for the first field that is not what its annotation says."""
    for field, kind in get_type_hints(type(section)).items():
        value, full = getattr(section, field), f"{name}.{field}"
        if get_origin(kind) is Literal:
            one_of(full, value, get_args(kind))
        elif get_origin(kind) is tuple:
            if not (isinstance(value, tuple) and all(type(n) is int for n in value)):
                raise RecipeError(f"{full} must be a list of whole numbers, not {value!r}")
        else:
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or isinstance(value, bool) is not (kind is bool):
                raise RecipeError(f"{full} must be {kind.__name__}, not {value!r}")


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raises RecipeError for a value of a field that is not among the choices."""
    if value not in choices:
        raise RecipeError(f'{name} is "{value}"; there is {" or ".join(choices)}')
