"""Sanitizers notice errors that are planted, and what they say is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffcodec.eval.robustness.planted import missed
from diffcodec.eval.robustness.sanitize import parts_of, run, to_text
from diffcodec.eval.robustness.sanitized_build import ROOT, sources
from diffcodec.eval.robustness.sanitizers import SANITIZERS, Sanitizer, findings

ADDRESS = SANITIZERS["address"]
available = pytest.mark.skipif(not ADDRESS.libraries(), reason="gcc has no sanitizers here")


@available
@pytest.mark.parametrize("name", ["address", "thread"])
def test_planted_errors_are_noticed(name: str, tmp_path: Path) -> None:
    assert not missed(SANITIZERS[name], tmp_path)


@available
def test_those_that_are_not_are_named(tmp_path: Path) -> None:
    deaf = Sanitizer("address", ("-O1",), "libasan.so", "ASAN_OPTIONS", "detect_leaks=0")
    assert missed(deaf, tmp_path) == ["beyond", "before", "overflow", "shift", "cast"]


def test_what_was_found_is_counted(tmp_path: Path) -> None:
    (tmp_path / "log.7").write_text(
        "==7==ERROR\nSUMMARY: AddressSanitizer: heap-buffer-overflow /c/bitstream/ans.c:9 in pop\n"
    )
    (tmp_path / "log.8").write_text("==8==FATAL: no summary\nmore\n")
    (tmp_path / "other.9").write_text("SUMMARY: AddressSanitizer: of another part\n")
    assert findings(tmp_path / "log") == {
        "heap-buffer-overflow bitstream/ans.c:9 in pop": 1,
        "==8==FATAL: no summary": 1,
    }


@available
def test_a_part_says_what_it_counted(tmp_path: Path) -> None:
    (tmp_path / "test_few.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip\n"
        "def test_none(): pass\n"
    )
    part = parts_of(ADDRESS, 0)[0]
    few = type(part)("few", (*part.arguments[:-1], "test_few.py"))
    row = run(ADDRESS, few, tmp_path, tmp_path / "log")
    assert (row["passed"], row["failed"], row["skipped"], row["exit_code"]) == (1, 1, 1, 1)
    assert not row["findings"]
    row |= {"sanitizer": "address", "findings": [{"what": "a leak", "times": 2}]}
    assert "address, few: a leak (2)" in to_text([row])


def test_all_parts_are_there() -> None:
    copied = set(sources())
    for sanitizer in SANITIZERS.values():
        for part in parts_of(sanitizer, 1):
            if part.name.startswith("test_"):
                assert part.arguments[-1] in copied
    assert {"pyproject.toml", "bitstream/ans.c", "diffcodec/bitstream"} <= copied
    assert (ROOT / "diffcodec/bitstream").is_symlink()
