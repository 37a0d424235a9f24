"""The examples run, and what they print is what theory says."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

CODEC = Path(__file__).parent.parent / "examples" / "codec_in_100_lines.py"


def test_the_whole_method_is_100_lines_of_numpy() -> None:
    text = CODEC.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    sources = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    packages = {alias.name for node in imported for alias in node.names}
    packages |= {str(node.module).partition(".")[0] for node in sources}
    assert packages <= sys.stdlib_module_names | {"numpy"}


@pytest.mark.slow
def test_the_whole_method_spends_what_theory_says(capsys: pytest.CaptureFixture[str]) -> None:
    made = runpy.run_path(str(CODEC), run_name="__main__")
    assert np.array_equal(made["exact"], made["x_0"])
    rows = re.findall(r"^ *([\d.]+) +(\d+) +(\d+) +([\d.]+) +([\d.]+)$", printed(capsys), re.M)
    assert len(rows) == made["T"] == len(made["messages"]) - 1
    for row in rows:
        _, theory, bits, mse, expected = map(float, row)
        assert theory < bits < 1.12 * theory + 16  # the search's loss, and 12 bits a step
        assert mse == pytest.approx(expected, rel=0.1)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; the totals are checked on the way."""
    text = capsys.readouterr().out
    for name in ("R\\(D\\)", "exact"):
        found = re.search(rf"^ +{name} +(\d+) +(\d+)$", text, re.M)
        assert found is not None and int(found[1]) < int(found[2]) < 1.15 * int(found[1])
    return text
