"""Imports point one way: every file sees its own room and the rooms below it, nothing above."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffcodec import _HOME

ROOT = Path(__file__).parent.parent

# From the ground up. Files that stand in no room are rooms of their own.
ROOMS = (
    "bitstream",
    "diffcodec",  # lazily: names of the public API, the version
    "diffcodec.errors",
    "diffcodec.files",
    "diffcodec.executors",
    "diffcodec.cores",
    "diffcodec.checks",
    "diffcodec.limits",
    "diffcodec.theory",
    "diffcodec.image",
    "diffcodec.data",
    "diffcodec.beside",
    "diffcodec.file",
    "diffcodec.accounting",
    "diffcodec.progressive",
    "diffcodec.sampling",
    "diffcodec.network",
    "diffcodec.exact",
    "diffcodec.zoo",
    "diffcodec.opened",
    "diffcodec.conditions",
    "diffcodec.training",
    "diffcodec.classifier",
    "diffcodec.draft",
    "diffcodec.decoded",
    "diffcodec.codec",
    "diffcodec.own_denoiser",
    "diffcodec.networks",
    "diffcodec.api",
    "diffcodec.pillow",
    "diffcodec.archive",
    "diffcodec.verify",
    "diffcodec.golden",
    "diffcodec.selftest",
    "eval",
    "eval.common",
    "eval.peers",
    "eval.quality",
    "eval.likelihood",
    "eval.rd",
    "eval.figures",
    "eval.inputs",
    "eval.experiments",
    "eval.robustness",
    "eval.report",
    "eval.publish",
    "cli",
    "diffcodec.__main__",
)


def modules() -> dict[str, Path]:
    """Every module of the package by its place in the tree, `eval.rd.bench` for instance."""
    found = {}
    for top in ("bitstream", "diffcodec", "eval", "cli"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """The room that a module stands in: the longest that its name begins with."""
    return max(
        (r for r in ROOMS if module == r or (r != "diffcodec" and module.startswith(f"{r}."))),
        key=len,
    )


def imports(text: str) -> Iterator[str]:
    """What a source text imports, or names for importlib: modules of ours as in MODULES.

    Names of the public API are those of the modules that define them; what is imported for types
    alone does not count. Relative imports are refused.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if re.fullmatch(r"diffcodec(\.\w+)+", node.value) else []
            names = [name for name in names if place(name) in MODULES]
        else:
            continue
        for name in names:
            public = _HOME.get(name.removeprefix("diffcodec."), name)
            inner = place(public)
            yield inner if inner in MODULES else inner.rpartition(".")[0] or inner


def place(name: str) -> str:
    """Where a module of ours lies in the tree; other packages as they are."""
    rest = name.removeprefix("diffcodec.")
    return rest if rest.partition(".")[0] in ("bitstream", "eval", "cli") else name


def test_every_module_stands_in_a_room() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


def climbs(module: str, text: str) -> list[str]:
    """What a module with this text imports from above its room."""
    height = ROOMS.index(room(module))
    ours = [other for other in imports(text) if other in MODULES]
    return [other for other in ours if ROOMS.index(room(other)) > height]


@pytest.mark.parametrize("module", [m for m in MODULES if m != "diffcodec"])
def test_imports_point_down(module: str) -> None:
    assert not climbs(module, MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "from diffcodec.codec import Codec",
        "import diffcodec.codec",
        "from diffcodec import codec",
        "from diffcodec import Codec",
        "def f():\n    from diffcodec.cli.main import main",
        "import importlib\nimportlib.import_module('diffcodec.codec')",
    ],
)
def test_an_import_from_above_is_found(text: str) -> None:
    assert climbs("diffcodec.theory.levels", text)


@pytest.mark.parametrize("text", ["from ..codec import Codec", "from .. import codec"])
def test_relative_imports_are_refused(text: str) -> None:
    with pytest.raises(AssertionError, match="absolute"):
        climbs("diffcodec.theory.levels", text)


def foreign(text: str) -> set[str]:
    """Packages that a text imports besides ours, the standard library and the codec's."""
    packages = {name.partition(".")[0] for name in imports(text)}
    known = {"numpy", "constriction", "PIL", "diffcodec", "bitstream"}
    return packages - known - sys.stdlib_module_names


def test_bitstream_knows_nothing_of_networks() -> None:
    for module, path in MODULES.items():
        if room(module) == "bitstream":
            assert not foreign(path.read_text(encoding="utf-8")), module
    assert foreign("import torch") == foreign("from torch import nn") == {"torch"}


def test_the_package_has_every_room() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {
        "diffcodec" + (f".{m}" if not m.startswith("diffcodec") else m.removeprefix("diffcodec"))
        for m, path in MODULES.items()
        if path.name == "__init__.py"
    }
    assert set(project["tool"]["setuptools"]["packages"]) == packages
