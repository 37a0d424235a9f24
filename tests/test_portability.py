"""What the measurement of portability notices. The variants themselves are what it measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from diffcodec.eval.common.results import ResultError
from diffcodec.eval.robustness.portability import __main__ as portability
from diffcodec.eval.robustness.portability import kernels, run, variants
from diffcodec.eval.robustness.portability.debian import Debian
from diffcodec.eval.robustness.portability.variants import PROCESSORS, VARIANTS, Variant

ROOT = Path(__file__).parent.parent


def test_tests_that_are_named_are_there() -> None:
    for variant in VARIANTS.values():
        for name in variant.tests:
            assert (ROOT / "tests" / f"{name}.py").exists()
    assert run.LONG in (ROOT / "tests" / "test_polar.py").read_text(encoding="utf-8")


def test_every_kernel_is_compiled_with_the_flags_that_it_ships_with(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    commands = list(kernels.commands(tmp_path, "cc", ("-march=x86-64",), [tmp_path]))
    sources = {Path(command[-3]).relative_to(tmp_path) for command in commands}
    assert sources == {
        path.relative_to(ROOT)
        for room in ("bitstream", "diffcodec/exact")
        for path in (ROOT / room).rglob("*.c")
    }
    for command in commands:
        assert "-DPy_LIMITED_API=0x030b0000" in command and "-march=x86-64" in command
        assert command[-1].endswith(".abi3.so")
    assert sum("-ffp-contract=off" in command for command in commands) >= 4  # those with floats


def test_a_compiler_that_fails_or_is_missing_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    with pytest.raises(ResultError, match="does not compile"):
        kernels.compile_kernels(tmp_path, "false", (), [])
    with pytest.raises(ResultError, match="there is no no-such-compiler"):
        kernels.compile_kernels(tmp_path, "no-such-compiler", (), [])


def test_outcomes_of_tests_are_counted(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_some.py").write_text(
        "import pytest\n"
        "def test_right(): pass\n"
        "def test_too(): pass\n"
        "def test_wrong(): assert False\n"
        "def test_other(): pytest.skip()\n"
        "@pytest.fixture\ndef broken(): raise ValueError\n"
        "def test_broken(broken): pass\n"
    )
    found = run.tests([sys.executable], tmp_path, ["test_some"], pure=False)
    assert found.pop("test_seconds") > 0
    assert found == {"tests_passed": 2, "tests_failed": 2, "tests_skipped": 1}
    with pytest.raises(ResultError, match="the tests do not end"):
        run.tests([sys.executable], tmp_path, ["test_none"], pure=False)
    assert run.tests([sys.executable], tmp_path, [], pure=True)["tests_passed"] == 0


def about(monkeypatch: pytest.MonkeyPatch, folder: Path, **other: object) -> dict[str, object]:
    """What is made of a self-test that says so."""
    said = {
        "compiled": {"ans": True, "range": False},
        "source": str(folder / "selftest.py"),
        "checks": [
            {"backend": "numpy", "subject": "a.dfc", "passes": True},
            {"backend": "compiled", "subject": "a.dfc", "passes": False},
            {"backend": "cuda8", "subject": "a.dfc", "passes": None},
        ],
    }
    monkeypatch.setattr(run, "SCRIPT", f"print({json.dumps(said | other)!r})")
    return run._about([sys.executable], folder, pure=False)


def test_checks_of_the_selftest_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = about(monkeypatch, tmp_path)
    assert found["checks_passed"] == 1 and found["checks_failed"] == ["compiled a.dfc"]
    assert portability.failures([{"variant": "one", **found}, {"variant": "two"}]) == ["one"]
    with pytest.raises(ResultError, match="another installation"):
        about(monkeypatch, tmp_path, source="/usr/lib/selftest.py")
    with pytest.raises(ResultError, match="not what was to be built"):
        about(monkeypatch, tmp_path, compiled={"ans": True, "rotation": False})
    monkeypatch.setattr(run, "SCRIPT", "raise SystemExit('no')")
    with pytest.raises(ResultError, match="does not end: no"):
        run._about([sys.executable], tmp_path, pure=False)


def test_what_this_processor_cannot_run_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    never = Variant("z80", (), (), needs={"z80"})
    monkeypatch.setitem(variants.VARIANTS, "x86-64", never)
    assert variants.lacking(VARIANTS["built"]) is None
    row = portability.row_of(never, Path("none"), "trixie")
    assert row == {"variant": "z80", "missing": "this processor has no z80"}
    assert "this processor has no z80" in portability.to_text([row])


def test_a_failure_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = {
        "machine": "z80",
        "bits": 8,
        "byte_order": "little",
        "checks_passed": 5,
        "checks_failed": [],
        "tests_passed": 7,
        "tests_failed": 1,
        "tests_skipped": 0,
        "seconds": 1.0,
    }
    monkeypatch.setattr(portability, "measure", lambda v, *_: {"variant": v.name, **row})
    arguments = ["--variant", "built", "--json", str(tmp_path / "a.json")]
    done = CliRunner().invoke(portability.main, arguments)
    assert done.exit_code == 1 and "not the same bits: built" in done.output
    assert json.loads((tmp_path / "a.json").read_text())["variants"][0]["tests_failed"] == 1
    row["tests_failed"] = 0
    assert CliRunner().invoke(portability.main, arguments).exit_code == 0


def test_the_python_of_another_processor_sees_its_own_files_alone(tmp_path: Path) -> None:
    for name in ("python3.13", "python3.14", "s390x-linux-gnu/python3.13"):
        (tmp_path / "usr" / "include" / name).mkdir(parents=True)
    (tmp_path / "usr" / "bin").mkdir()
    (tmp_path / "usr" / "bin" / "python3").symlink_to("python3.13")
    debian = Debian(tmp_path, PROCESSORS["s390x"])
    command = debian.python(Path("/copy"))
    assert command[0] == "qemu-s390x" and command[-1] == f"{tmp_path}/usr/bin/python3"
    assert f"PYTHONHOME={tmp_path}/usr" in command
    own = Debian(tmp_path, PROCESSORS["i386"]).python(Path("/copy"))
    assert own[0] == "env" and f"{tmp_path}/usr/lib/i386-linux-gnu:" in own[-2]
    for _ in range(2):
        version, alone = debian.headers()
        assert version.name == "python3.13"
        assert (alone / "s390x-linux-gnu" / "python3.13").is_dir()
        assert [path.name for path in alone.iterdir()] == ["s390x-linux-gnu"]
