"""Code blocks of documents and cards: README's run as they stand, the others' options exist."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from diffcodec.cli.main import main
from diffcodec.image import load, save
from diffcodec.zoo import shipped_networks

ROOT = Path(__file__).parent.parent
CARDS = tuple(f"diffcodec/zoo/{name}.md" for name, _ in shipped_networks())
DOCUMENTS = (
    "README.md",
    "TRAINING.md",
    "RELEASE.md",
    "docs/sampling.md",
    "eval/RESULTS.md",
    *CARDS,
)
# Blocks that install, and so do not run here: the Makefile's targets and the extras are checked.
INSTALLING = ("make", "pip")


def blocks(document: str, language: str) -> list[str]:
    """The fenced code blocks of a language; for "sh" the indented ones too."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    indented = re.findall(r"^\n((?:^ {4}\S.*\n)+)", outside, re.M) if language == "sh" else []
    return [*found, *indented]


def commands(block: str) -> list[list[str]]:
    """The commands of a block, each split into words; those of a pipe apart."""
    lines = block.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [w for line in words for w in split(line, "|") if w]


def split(words: list[str], at: str) -> list[list[str]]:
    """Parts of a list between the words `at`."""
    ends = [i for i, word in enumerate(words) if word == at]
    return [words[a + 1 : b] for a, b in zip([-1, *ends], [*ends, len(words)], strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what README's commands are about, small: photo.png and .dfc, images/."""
    made = tmp_path_factory.mktemp("readme")
    dog = load(ROOT / "tests" / "images" / "dog.png")
    (made / "images" / "holiday").mkdir(parents=True)
    for i, name in enumerate(("photo.png", "images/cat.png", "images/holiday/beach.png")):
        save(dog[48 * i : 48 * i + 48, 64:128], made / name)
    run("diffcodec encode photo.png -q", made)
    return made


def run(script: str, where: Path) -> str:
    """What a shell script prints, and says on stderr, in a folder; it has to succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=where,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


RUNNING = [b for b in blocks("README.md", "sh") if commands(b)[0][0] not in INSTALLING]


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNNING, ids=lambda block: " ".join(commands(block)[0][:2]))
def test_shell_blocks_of_the_readme_run(block: str, folder: Path) -> None:
    run(f"set -x\n{block}", folder)


@pytest.mark.slow
def test_the_readme_shows_what_its_commands_print(tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    shown = blocks("README.md", "console")
    assert shown
    for block in shown:
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            assert run(command, tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "TRAINING.md", "docs/sampling.md"])
def test_python_blocks_run(document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shown = blocks(document, "python")
    assert shown
    for block in shown:
        exec(compile(block, document, "exec"), {})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_documents_have_these_options(document: str) -> None:
    for block in blocks(document, "sh"):
        for words in commands(block):
            if words[0] in INSTALLING:
                exists(words)
            elif words[0] in ("diffcodec", "python", "torchrun"):
                check(*program(words))


def program(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command of ours that words call, and its arguments."""
    if words[0] in ("python", "torchrun"):
        words = words[words.index("-m") + 1 :]
    command: click.Command = main
    if words[0] != "diffcodec":
        module = importlib.import_module(words[0])
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{words[0]}.__main__")
        command = module.main
    words = words[1:]
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check(command: click.Command, arguments: list[str]) -> None:
    """That the options exist, and those that are required are there."""
    options = [p for p in command.params if isinstance(p, click.Option)]
    known = {name for option in options for name in option.opts}
    given = [word for word in arguments if re.match("--?[a-z]", word)]
    for word in given:
        assert word in known, f"{command.name} has no {word}"
    for option in options:
        assert not option.required or set(option.opts) & set(given), option.opts


def exists(words: list[str]) -> None:
    """That a target of the Makefile, or an extra, is there."""
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    assert words[:2] == ["pip", "install"]
    extras = re.findall(r"\[(\w+)\]", words[2])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
