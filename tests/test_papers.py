"""docs/papers.md names code, tests and commands that exist, and skips no equation."""

from __future__ import annotations

import ast
import importlib
import re
from functools import lru_cache
from pathlib import Path

import click
import pytest

from diffcodec.cli.main import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
PAPERS = {title: body for title, _, body in (p.partition("\n") for p in TEXT.split("\n## ")[1:])}
LAST = {"DDPM": 16, "DDIM": 16, "Improved DDPM": 19, "ADM: guidance": 14, "NCSN": 6}  # equations


def rows(head: str, text: str = TEXT) -> list[list[str]]:
    """The cells of all tables whose first cell is so."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == head:
            inside = True
        elif inside and not cells[0].startswith("---"):
            found.append(cells)
    return found


def quoted(column: int, head: str = "in the paper") -> list[str]:
    return sorted({name for row in rows(head) for name in re.findall("`([^`]+)`", row[column])})


@lru_cache
def names_in(file: str) -> set[str]:
    """Functions, and methods as Class::method."""
    found = set()
    for node in ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inside = (part for part in node.body if isinstance(part, ast.FunctionDef))
            found.update(f"{node.name}::{part.name}" for part in inside)
    return found


def find(name: str) -> object:
    """What a name below `diffcodec.` is: a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(["diffcodec", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            fields = getattr(found, "__dataclass_fields__", {})
            found = fields[part] if part in fields else getattr(found, part)
        return found
    raise AssertionError(f"there is no {name}")


def test_there_is_something_to_check() -> None:
    assert set(PAPERS) == set(LAST)
    assert len(quoted(2)) > 50 and len(quoted(3)) > 40
    assert all(len(row) == 4 for row in rows("in the paper"))
    with pytest.raises(AttributeError):
        find("theory.elbo.no_such_thing")


@pytest.mark.parametrize("name", quoted(2))
def test_code_exists(name: str) -> None:
    assert find(name) is not None


@pytest.mark.parametrize("name", quoted(3))
def test_test_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert test in names_in(file), name


@pytest.mark.parametrize("command", quoted(1, "table or figure"))
def test_command_exists(command: str) -> None:
    words = command.split()
    if words[0] == "diffcodec":
        known = main.commands[words[1]]
        options = {name for option in known.params for name in option.opts}
    elif words[0] == "python":
        assert words[1] == "-m"
        known = importlib.import_module(words[2]).main
        assert isinstance(known, click.Command)
        options = {name for option in known.params for name in option.opts}
    else:  # an option of the command before it
        options = {words[0]}
    for word in words[1:]:
        if word.startswith("recipes/"):
            assert (ROOT / word).exists(), word
        elif word.startswith("-") and word != "-m":
            assert word in options, word


@pytest.mark.parametrize("paper", PAPERS)
def test_every_equation_is_there_or_said_not_to_be(paper: str) -> None:
    text = PAPERS[paper]
    said = " ".join(row[0] for row in rows("in the paper", text)) + text[text.index("Not here:") :]
    numbers: set[int] = set()
    for listed in re.findall(r"\beqs?\. (\d+(?:(?:, | to | and )\d+)*)", said):
        for part in re.split(", | and ", listed):
            first, _, last = part.partition(" to ")
            numbers.update(range(int(first), int(last or first) + 1))
    assert numbers == set(range(1, LAST[paper] + 1))
