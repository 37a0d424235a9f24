"""Names and streams as shells have them: odd letters, closed and full outputs, signals."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from diffcodec import image
from diffcodec.cli.main import main
from diffcodec.cli.streams import name_of, shown
from tests.command import invoke
from tests.synthetic import synthetic_image

ROOT = Path(__file__).parent.parent
PROGRAM = (sys.executable, "-m", "diffcodec")


def program(
    *words: str | bytes, where: Path, code: int, encoding: str = "utf-8", **streams: Any
) -> subprocess.CompletedProcess[bytes]:
    """A process `diffcodec WORDS`, which must end with this exit code, and no traceback."""
    done = subprocess.run(
        [*PROGRAM, *words],
        cwd=where,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in (done.stderr or b"")
    return done


@pytest.fixture
def coded(tmp_path: Path, tiny_network: Path) -> Path:
    """A folder with an image a.png and its a.dfc."""
    image.save(synthetic_image(8, 8, 3, 0), tmp_path / "a.png")
    words = ["--code", "trellis:8", "--residual", "gaussian", "--chain", "6", "-q"]
    invoke("encode", tmp_path / "a.png", "-m", tiny_network, *words)
    return tmp_path


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain.png", "plain.png"),
        ("été 漢字 👩‍🚀.png", "été 漢字 👩‍🚀.png"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\r\x00", "two\\nlines\\r\\x00"),
        ("gnp.\u202efdp", "gnp.\\u202efdp"),
        ("a\u2028b\u0085\u009b", "a\\u2028b\\x85\\x9b"),
        ("caf\udce9", "caf\\xe9"),
        ("-", "standard input"),
    ],
)
def test_names_cannot_steer_the_terminal(name: str, expected: str) -> None:
    assert name_of(name) == expected
    assert shown(name.replace("-", "-")) == ("-" if name == "-" else expected.replace("\\n", "\n"))


def test_messages_with_names_of_any_bytes(coded: Path) -> None:
    for name, told in {b"caf\xe9.dfc": b"caf\\xe9.dfc", b"\x1b[2J.dfc": b"\\x1b[2J.dfc"}.items():
        done = program("info", name, where=coded, code=1)
        assert done.stderr == b"diffcodec: " + told + b": No such file or directory\n"
        os.rename(coded / "a.dfc", os.fsencode(coded) + b"/" + name)
        assert program("info", name, where=coded, code=0).stdout.startswith(told + b": 8 x 8 RGB\n")
        record = json.loads(program("info", name, "--json", where=coded, code=0).stdout)
        assert os.fsencode(record["input"]) == name
        os.rename(os.fsencode(coded) + b"/" + name, coded / "a.dfc")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_terminals_that_lack_letters(coded: Path, encoding: str) -> None:
    os.rename(coded / "a.dfc", coded / "漢é.dfc")
    done = program("info", "漢é.dfc", where=coded, code=0, encoding=encoding)
    assert b".dfc: 8 x 8 RGB" in done.stdout
    record = json.loads(
        program("info", "漢é.dfc", "--json", where=coded, code=0, encoding=encoding).stdout
    )
    assert record["input"] == "漢é.dfc"
    program("info", "字.dfc", where=coded, code=1, encoding=encoding)


@pytest.mark.parametrize("name", ["x" * 246, "漢" * 81])
def test_long_names(coded: Path, tiny_network: Path, name: str) -> None:
    os.rename(coded / "a.png", coded / f"{name}.png")
    told = invoke("encode", coded / f"{name}.png", "-m", tiny_network, "-q")
    assert told.stderr == "" and (coded / f"{name}.dfc").is_file()


# --- streams ------------------------------------------------------------------------------------


def closed(stream: int) -> dict[str, Any]:
    """Arguments of subprocess.run: a process without this descriptor."""
    return {("stdin", "stdout", "stderr")[stream]: None, "preexec_fn": lambda: os.close(stream)}


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors as POSIX has them")
def test_without_standard_error_commands_work(coded: Path, tiny_network: Path) -> None:
    model = str(tiny_network)
    program("decode", "a.dfc", "b.png", "-m", model, where=coded, code=0, **closed(2))
    assert (image.load(coded / "b.png") == image.load(coded / "a.png")).all()
    program("decode", "no.dfc", "b.png", "-m", model, where=coded, code=1, **closed(2))
    assert sorted(os.listdir(coded)) == ["a.dfc", "a.png", "b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors as POSIX has them")
def test_without_standard_output_nothing_is_lost_in_silence(
    coded: Path, tiny_network: Path
) -> None:
    done = program("info", "a.dfc", where=coded, code=1, **closed(1))
    assert done.stderr == b"diffcodec: standard output: Bad file descriptor\n"
    model = str(tiny_network)
    program("decode", "a.dfc", "b.png", "-m", model, where=coded, code=0, **closed(1))
    assert (image.load(coded / "b.png") == image.load(coded / "a.png")).all()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_device_is_named(coded: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = program("info", "a.dfc", where=coded, code=1, stdout=full)
        assert done.stderr == b"diffcodec: standard output: No space left on device\n"
        program("info", "no.dfc", where=coded, code=1, stderr=full)
    done = program("truncate", "a.dfc", "/dev/full", "--bytes", "50", where=coded, code=1)
    assert done.stderr == b"diffcodec: /dev/full: No space left on device\n"


def test_errors_without_a_name_are_not_blamed_on_standard_output(
    coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcodec import api

    def broken(number: int) -> Any:
        def info(*args: Any, **options: Any) -> Any:
            raise OSError(number, os.strerror(number))

        return info

    for number in (errno.EIO, errno.EPIPE):
        monkeypatch.setattr(api, "info", broken(number))
        told = invoke("info", coded / "a.dfc", code=1).stderr
        assert told == f"diffcodec: {coded / 'a.dfc'}: {os.strerror(number)}\n"
        monkeypatch.setattr(api, "list_models", broken(number))
        assert invoke("models", code=1).stderr == f"diffcodec: {os.strerror(number)}\n"


@pytest.fixture
def large(coded: Path, tiny_network: Path) -> tuple[str, ...]:
    """Words that decode an image to more bytes than a pipe holds, but for where."""
    image.save(synthetic_image(160, 160, 3, 0), coded / "large.png")
    invoke("encode", coded / "large.png", "--switch", "none", "-m", tiny_network, "-q")
    return ("decode", "large.dfc", "--format", "ppm", "-q", "-m", str(tiny_network), "-o")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_reader_that_leaves_is_told_with_the_pipes_name(
    coded: Path, large: tuple[str, ...]
) -> None:
    os.mkfifo(coded / "pipe")
    reader = subprocess.Popen(["head", "-c", "9", "pipe"], cwd=coded, stdout=subprocess.DEVNULL)
    try:
        done = program(*large, "pipe", where=coded, code=1)
        assert done.stderr == b"diffcodec: pipe: Broken pipe\n"
    finally:
        reader.kill()
        reader.wait()


def test_a_reader_of_standard_output_may_leave(coded: Path, large: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as left:
        assert program(*large, "-", where=coded, code=1, stdout=left).stderr == b""


def test_standard_input_is_named(coded: Path) -> None:
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read) as empty:
        done = program("info", "-", where=coded, code=1, stdin=empty)
    assert done.stderr == b"diffcodec: standard input: the file is empty\n"


# --- signals ------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_part_of_a_file(coded: Path, number: int) -> None:
    """While a file is being written, which here takes for ever."""
    script = (
        "import os, time\n"
        "from diffcodec.cli.main import main\n"
        "def fsync(_):\n"
        "    print(len(os.listdir('.')), flush=True)\n"
        "    time.sleep(99)\n"
        "os.fsync = fsync\n"
        "main(['truncate', 'a.dfc', 'b.dfc', '--bytes', '50'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=coded, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"3\n"
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(60) == 128 + number and time.monotonic() - began < 5
        assert process.stderr.read().strip().startswith(b"diffcodec: ")
    assert sorted(os.listdir(coded)) == ["a.dfc", "a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_meets_a_finalizer_is_heard_all_the_same(coded: Path, number: int) -> None:
    """What a finalizer raises, Python prints, and goes on as if nothing had been."""
    script = (
        "import os, signal, time, weakref\n"
        "from diffcodec.cli.main import main\n"
        "def fsync(_):\n"
        "    place = set()\n"
        f"    weakref.finalize(place, signal.raise_signal, {int(number)}).atexit = False\n"
        "    del place\n"
        "    time.sleep(9)\n"
        "os.fsync = fsync\n"
        "main(['truncate', 'a.dfc', 'b.dfc', '--bytes', '50'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=coded, capture_output=True, check=False
    )
    assert done.returncode == 128 + number
    said = done.stderr.strip().splitlines()
    assert len(said) == 1 and said[0].startswith(b"diffcodec: ")
    assert sorted(os.listdir(coded)) == ["a.dfc", "a.png"]


def test_signals_are_as_before_when_a_command_is_done(coded: Path) -> None:
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    invoke("info", coded / "a.dfc")
    assert signal.getsignal(signal.SIGTERM) is before and sys.unraisablehook is hook
    assert main.name == "main"
