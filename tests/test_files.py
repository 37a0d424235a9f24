"""Files appear whole or not at all, with the mode that they should have."""

from __future__ import annotations

import errno
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffcodec import files
from diffcodec.files import permissions, remove_parts, write_atomic

WRITE = """
import sys
from pathlib import Path
from diffcodec.files import write_atomic

write_atomic(Path(sys.argv[1]), b"new")
"""


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """022, which takes writing from group and others."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_a_file_that_is_replaced_passes_on_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomic(path, b"new", mode=0o777)
    assert (path.read_bytes(), permissions(path)) == (b"new", mode)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 0o644), (0o600, 0o600), (0o666, 0o644), (0o755, 0o644)]
)
def test_a_new_file_is_for_no_more_eyes_than_it_should(
    tmp_path: Path, given: int | None, expected: int
) -> None:
    write_atomic(tmp_path / "a", b"new", mode=given)
    assert permissions(tmp_path / "a") == expected


def test_names_that_the_language_of_the_system_cannot_say(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120)
    ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", WRITE, os.fsencode(path)], env={**os.environ, **ascii}, check=True
    )
    assert path.read_bytes() == b"new"


def test_permissions_are_those_of_files(tmp_path: Path) -> None:
    assert permissions(tmp_path) is permissions(tmp_path / "no") is permissions(os.devnull) is None


def test_nobody_sees_a_private_file_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    seen: list[int | None] = []
    path.write_bytes(b"old")
    path.chmod(0o600)
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(map(permissions, tmp_path.iterdir())))
    write_atomic(path, b"new")
    assert seen == [0o600, 0o600]


@pytest.mark.parametrize("name", ["x" * 250, "ä" * 125, "漢" * 83, "x" * 255])
def test_long_names(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"data")
    assert (tmp_path / name).read_bytes() == b"data"


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 elsewhere")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    write_atomic(path, b"data")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]


def test_a_link_is_followed_and_a_planted_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("target")
    write_atomic(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"data"
    (tmp_path / "victim").write_bytes(b"dear")
    monkeypatch.setattr(secrets, "token_hex", lambda n: "known")
    planted = [tmp_path / f".a~{end}.part" for end in [*range(files.PARTS), "known"]]
    for part in planted[:2]:
        part.symlink_to("victim")
    write_atomic(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
    for part in planted[2:]:
        part.symlink_to("victim")
    with pytest.raises(FileExistsError, match="a"):
        write_atomic(tmp_path / "a", b"more")
    assert (tmp_path / "victim").read_bytes() == b"dear"
    assert all(part.is_symlink() for part in planted)


def test_what_a_killed_process_left_does_not_pile_up(tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom diffcodec import files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_atomic(Path('a'), b'half')\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
        assert [path.name for path in tmp_path.iterdir()] == [".a~0.part"]
    write_atomic(tmp_path / "a", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_that_somebody_writes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two writers of one file has another part; the last one to end wins."""
    path, first = tmp_path / "a", os.fsync

    def then(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", first)
        write_atomic(path, b"second")
        assert sorted(os.listdir(tmp_path)) == [".a~0.part", "a"]
        first(descriptor)

    monkeypatch.setattr(os, "fsync", then)
    write_atomic(path, b"first")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("old", [[], ["a"]])
def test_an_interrupt_at_the_very_beginning_leaves_a_part_that_can_be_removed(
    tmp_path: Path, old: list[str]
) -> None:
    """Between making it and writing to it, where no `finally` of its own knows it."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom diffcodec import files\n"
        "class Stop(BaseException): ...\n"
        "create = files._create\n"
        "def then(*given):\n"
        "    create(*given)\n"
        "    raise Stop\n"
        "files._create = then\n"
        "try:\n    files.write_atomic(Path('a'), b'data')\n"
        "except Stop:\n    print(len(os.listdir('.')), flush=True)\n"
        "files.remove_parts()\n"
    )
    for name in old:
        (tmp_path / name).write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.stdout == b"%d\n" % (len(old) + 1) and os.listdir(tmp_path) == old


def test_what_is_not_a_file_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"data")
    reader.join()
    assert found == [b"data"] and pipe.is_fifo()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert [path.read_bytes()] == [b"old"] and list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    """Each file is one's or the other's, never a bit of both, and nothing else is left."""
    path = tmp_path / "a"
    contents = [bytes([i]) * 200_000 for i in range(8)]
    writers = [threading.Thread(target=write_atomic, args=(path, data)) for data in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents and list(tmp_path.iterdir()) == [path]


def test_a_process_that_ends_at_once_can_remove_its_parts(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom diffcodec import files\n"
        "def end(_):\n"
        "    print(len(os.listdir('.')), flush=True)\n"
        "    files.remove_parts()\n"
        "    os._exit(1)\n"
        "os.fsync = end\n"
        "files.write_atomic(Path('a'), b'data')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"1\n") and not list(tmp_path.iterdir())
    remove_parts()  # there are none of this process
