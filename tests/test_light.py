"""The codec is light: no torch, no scipy, a quick start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffcodec.image import load, save

ROOT = Path(__file__).parent.parent

# Runs each line of its input as a command, where importing torch or scipy fails.
WITHOUT = """
import shlex, sys
sys.path.insert(0, sys.argv.pop(1))
sys.modules.update(torch=None, scipy=None)
from diffcodec.cli.main import main
for line in sys.stdin.read().splitlines():
    try:
        main(shlex.split(line))
    except SystemExit as end:
        print(line, end.code, flush=True)
"""


def run(folder: Path, *lines: str) -> tuple[list[str], str]:
    """Exit codes of commands that are run in a folder, and what they said."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(ROOT)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    codes = [line.rpartition(" ")[2] for line in done.stdout.splitlines() if line[:-2] in lines]
    assert len(codes) == len(lines), said
    return codes, said


def test_the_codec_needs_neither_torch_nor_scipy(
    tmp_path: Path, tiny_network: Path, small_rgb: NDArray[np.uint8]
) -> None:
    (tmp_path / "set").mkdir()
    for i in range(3):
        save(np.roll(small_rgb, i, axis=0), tmp_path / "set" / f"{i}.png")
    model = f"-m {tiny_network} -q"
    lines = [
        f"encode set/0.png a.dfc --threads 2 {model}",
        f"decode a.dfc a.png --threads 2 {model}",
        f"decode a.dfc cut.png --bytes 150 {model}",
        f"truncate a.dfc b.dfc --steps 2 {model}",
        f"info a.dfc -m {tiny_network}",
        f"info a.dfc --ledger -m {tiny_network}",
        f"archive set a.dfa --chain 6 --threads 1 {model}",
        "list a.dfa --check",
        f"extract a.dfa -o out --threads 1 {model}",
        f"archive set/1.png b.dfa --chain 6 {model}",
        f"extract b.dfa -o one {model}",
        "models",
    ]
    codes, said = run(tmp_path, *lines)
    assert codes == ["0"] * len(lines), said
    assert np.array_equal(load(tmp_path / "a.png"), small_rgb)
    for i in range(3):
        assert np.array_equal(load(tmp_path / "out" / f"{i}.png"), np.roll(small_rgb, i, axis=0))
    assert np.array_equal(load(tmp_path / "one" / "1.png"), np.roll(small_rgb, 1, axis=0))


def test_what_needs_more_says_so(
    tmp_path: Path, tiny_network: Path, tiny_float: Path, small_rgb: NDArray[np.uint8]
) -> None:
    save(small_rgb, tmp_path / "a.png")
    (tmp_path / "recipe.toml").write_text((ROOT / "recipes" / "photo.toml").read_text())
    lines = [
        "train recipe.toml --data .",
        f"calibrate {tiny_float} --data .",
        f"nll a.png -m {tiny_float} --chain ddpm:5",
        f"nll a.png -m {tiny_network} --chain ddpm:5",
    ]
    codes, said = run(tmp_path, *lines)
    assert codes == ["1"] * len(lines), said
    errors = [line for line in said.splitlines() if line.startswith("diffcodec: ")]
    assert len(errors) == len(lines) and "Traceback" not in said
    for error, package in zip(errors, ("torch", "torch", "torch", "scipy"), strict=True):
        assert package in error and "pip install 'diffcodec[train]'" in error


# Imports the command line with a click whose types take no parameters, as before 8.4.
OLD_CLICK = """
import sys, click
sys.path.insert(0, sys.argv[1])
def refuse(cls, item):
    raise TypeError("type 'ParamType' is not subscriptable")
click.ParamType.__class_getitem__ = classmethod(refuse)
import diffcodec.cli.main
"""


def test_older_versions_of_click_do() -> None:
    subprocess.run([sys.executable, "-c", OLD_CLICK, str(ROOT)], check=True)


# Imports every measurement where the packages that only measuring needs are missing, and runs it.
MEASURING = """
import importlib, sys
import click
sys.path.insert(0, sys.argv.pop(1))
from diffcodec.eval.common.options import PACKAGES, Measurement
sys.modules.update(dict.fromkeys(PACKAGES))
for name in sys.argv[1:]:
    main = importlib.import_module(f"diffcodec.eval.{name}").main
    for command in getattr(main, "commands", {"": main}).values():
        assert isinstance(command, Measurement)
        try:
            command.invoke(click.Context(command))
        except click.ClickException as error:
            print(error.format_message())
"""


def test_measurements_say_so_before_they_begin() -> None:
    names = [f"experiments.{path.stem}" for path in (ROOT / "eval" / "experiments").glob("*.py")]
    names = [name for name in names if not name.endswith(("__init__", "demo"))]  # needs no more
    names += ["publish.__main__", "publish.ship"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURING, str(ROOT), *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) >= len(names)
    assert set(said) == {"measuring needs torch: pip install 'diffcodec[eval]'"}
