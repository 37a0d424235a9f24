"""Imports point one way: every file sees its own room and the rooms below it, nothing above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up. Files that stand in no room are rooms of their own.
ROOMS = (
    "bitstream",
    "diffcodec",  # lazily: names of the public API, the version
    "diffcodec.errors",
    "diffcodec.files",
    "diffcodec.cores",
    "diffcodec.theory",
    "diffcodec.image",
    "diffcodec.data",
    "diffcodec.file",
    "diffcodec.accounting",
    "diffcodec.progressive",
    "diffcodec.sampling",
    "diffcodec.network",
    "diffcodec.exact",
    "diffcodec.zoo",
    "diffcodec.training",
    "diffcodec.codec",
    "diffcodec.api",
    "diffcodec.archive",
    "diffcodec.golden",
    "diffcodec.selftest",
    "eval",
    "eval.common",
    "eval.peers",
    "eval.likelihood",
    "eval.rd",
    "eval.figures",
    "eval.experiments",
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


def imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, as in MODULES; not those for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package != "diffcodec":
                continue
            inner = rest if rest.partition(".")[0] in ("bitstream", "eval", "cli") else name
            yield inner if inner in MODULES else inner.rpartition(".")[0] or "diffcodec"


def test_every_module_stands_in_a_room() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    height = ROOMS.index(room(module))
    for other in imports(MODULES[module]):
        assert ROOMS.index(room(other)) <= height, f"{module} imports {other}"


def test_bitstream_knows_nothing_of_networks() -> None:
    light = {"numpy", "constriction", "PIL", "diffcodec"}
    for module, path in MODULES.items():
        if room(module) == "bitstream":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    package = node.module.partition(".")[0]
                    assert package in light or package in STANDARD, f"{module}: {package}"


STANDARD = __import__("sys").stdlib_module_names


def test_the_package_has_every_room() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {
        "diffcodec" + (f".{m}" if not m.startswith("diffcodec") else m.removeprefix("diffcodec"))
        for m, path in MODULES.items()
        if path.name == "__init__.py"
    }
    assert set(project["tool"]["setuptools"]["packages"]) == packages
