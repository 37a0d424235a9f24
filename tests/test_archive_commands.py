"""archive, list and extract with what people have: folders, pipes, odd names, clashes, signals."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffcodec.archive import archive as archives
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.names import chosen, file_names
from diffcodec.archive.part import part_of, writing
from diffcodec.archive.source import Source
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.cli import extracting
from diffcodec.errors import OptionError
from diffcodec.image import EXACT, load, read_picture, save
from tests.command import invoke
from tests.synthetic import synthetic_image

NEVER = ("--network", "never")
TIME = 981_173_106_123_456_789


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """In a folder of its own, with the usual umask."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield
    os.umask(before)


def image(path: str, channels: int = 3, seed: int = 1) -> Path:
    """An image file, in folders that are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    plane = synthetic_image(6, 5, max(3, channels), seed) if channels < 4 else None
    if plane is None:
        plane = np.dstack([synthetic_image(6, 5, 3, seed), synthetic_image(6, 5, 1, seed)])
    Image.fromarray(plane).save(target)
    return target


def names(archive: str | Path, *, check: bool = True) -> list[str]:
    with open(archive, "rb") as file:
        held = contents(file, check)
    assert not held.damage
    return sorted(p.name for p in held.images)


class TestInputs:
    def test_one_folder_several_and_files(self) -> None:
        image("one/a.png"), image("two/deep/a.png", seed=2), image("b.png", seed=3)
        invoke("archive", "one", "1.dfa", *NEVER)
        assert names("1.dfa") == ["a.png"]
        invoke("archive", "one", "two", "b.png", "-o", "2.dfa", *NEVER)
        assert names("2.dfa") == ["b.png", "one/a.png", "two/deep/a.png"]
        invoke("archive", "one", "b.png", "3.dfa", *NEVER)
        assert names("3.dfa") == ["b.png", "one/a.png"]
        clash = invoke("archive", "one/a.png", "two/deep/a.png", "4.dfa", *NEVER, code=1)
        assert "both be called a.png" in clash.stderr and not Path("4.dfa").exists()

    def test_all_that_is_left_out_is_counted(self) -> None:
        image("one/a.png"), image("one/.hidden.png")
        Path("one/words.txt").write_text("no image")
        Path("one/b.png").write_bytes(Path("one/a.png").read_bytes()[:-20])
        told = invoke("archive", "one", "a.dfa", "--on-error", "skip", "--json", *NEVER)
        assert "; 2 files left out; 1 hidden name passed by\n" in told.stderr
        assert json.loads(told.stdout)["hidden"] == 1

    @pytest.mark.parametrize("year", [1960, 2300])
    def test_times_that_clocks_gone_wrong_leave(self, year: int) -> None:
        time = (year - 1970) * 31_556_952 * 10**9
        source = Source("a.png", image("a.png"), modified=time)
        written = write_archive(None, [source], Path("a.dfa"), make_header(None, network="never"))
        with open("a.dfa", "rb") as file:
            [held] = contents(file, True).images
        assert (held.name, held.modified) == ("a.png", time if year < 2262 else None)
        assert written.lost == ([] if year < 2262 else [("a.png", ("its time of modification",))])

    def test_what_is_not_kept_is_said_to_the_quiet_too(self) -> None:
        Path("a.pgm").write_bytes(b"P5 2 2 100\n1234")
        told = invoke("archive", "a.pgm", "a.dfa", "-q", *NEVER)
        assert "is not kept" in told.stderr and "archived" not in told.stderr

    def test_which_one_is_the_archive(self) -> None:
        image("a.png"), image("b.png")
        assert "-o" in invoke("archive", "a.png", code=2).stderr
        assert "no suffix .dfa" in invoke("archive", "a.png", "b.png", "c", code=2).stderr
        invoke("archive", "a.png", "plain", *NEVER)
        assert names("plain") == ["a.png"]
        same = invoke("archive", "a.png", "a.png", "-f", *NEVER, code=1)
        assert "over itself" in same.stderr
        assert "No such file" in invoke("archive", "none", "c.dfa", *NEVER, code=1).stderr

    def test_content_decides_and_what_is_left_out_is_named(self) -> None:
        image("in/a.png").rename("in/photo")
        image("in/b.gif", seed=2), image("in/album.png/c.png", seed=3)
        Path("in/notes.png").write_text("no image")
        Path("in/link.png").symlink_to("photo")
        made = invoke("archive", "in", "a.dfa", *NEVER, "--json")
        assert names("a.dfa") == ["album.png/c.png", "b.gif", "photo"]
        assert "notes.png" in made.stderr and "link.png" in made.stderr
        assert len(json.loads(made.stdout)["left_out"]) == 2
        Path("empty").mkdir()
        assert "no image" in invoke("archive", "empty", "b.dfa", *NEVER, code=1).stderr

    def test_folders_that_cannot_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image("in/a.png"), image("in/closed/b.png")
        scandir = os.scandir

        def closed(path: Any) -> Any:
            if os.fspath(path).endswith("closed"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr("os.scandir", closed)
        told = invoke("archive", "in", "a.dfa", *NEVER, code=1).stderr
        assert "in/closed cannot be read (Permission denied)" in told and "--on-error skip" in told
        assert not Path("a.dfa").exists()
        made = invoke("archive", "in", "a.dfa", *NEVER, "--on-error", "skip", "--json")
        assert names("a.dfa") == ["a.png"]
        assert [path for path, _ in json.loads(made.stdout)["skipped"]] == ["in/closed"]

    def test_what_cannot_be_read_says_why(self) -> None:
        Path("bad.png").write_bytes(image("a.png").read_bytes()[:70])
        for use in ("never", "auto"):
            told = invoke("archive", "bad.png", "b.dfa", "--network", use, code=1).stderr
            assert "bad.png" in told and told.count("\n") == 1
        invoke("archive", "bad.png", "b.dfa", *NEVER, "--accept-truncated")
        assert names("b.dfa") == ["bad.png"]

    def test_choices(self) -> None:
        image("a.png", 4)
        invoke("archive", "a.png", "a.dfa", *NEVER, "--flatten", "white")
        listed = json.loads(invoke("list", "a.dfa", "--json").stdout)["images"]
        assert [(p["channels"], p["alpha"]) for p in listed] == [(3, False)]

    def test_more_bytes_than_its_files_are_said(self) -> None:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)).save(
            "a.jpg", quality=5
        )
        made = invoke("archive", "a.jpg", "a.dfa", *NEVER, "--json")
        before, after = os.path.getsize("a.jpg"), os.path.getsize("a.dfa")
        assert f"{after:,} bytes, larger than the {before:,} of its file" in made.stderr
        assert json.loads(made.stdout)["input_bytes"] == before

    def test_processes_do_not_change_a_byte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "GROUP_VALUES", 200)
        for i in range(5):
            image(f"in/{i}.png", 4 if i == 3 else 3, seed=i)
        invoke("archive", "in", "1.dfa", *NEVER)
        invoke("archive", "in", "2.dfa", *NEVER, "-j", "2")
        assert Path("1.dfa").read_bytes() == Path("2.dfa").read_bytes()
        with open("1.dfa", "rb") as file:
            assert len(contents(file).groups) == 3


class TestPipes:
    def test_an_image_from_standard_input(self) -> None:
        data = image("a.png").read_bytes()
        invoke("archive", "-", "a.dfa", *NEVER, "--name", "x/y.png", input=data)
        assert names("a.dfa") == ["x/y.png"]
        assert "--name" in invoke("archive", "-", "b.dfa", *NEVER, input=data, code=2).stderr
        wrong = invoke("archive", "a.png", "b.dfa", *NEVER, "--name", "c", code=2)
        assert "standard input" in wrong.stderr

    def test_to_standard_output_and_back(self) -> None:
        image("in/a.png"), image("in/b.png", seed=2)
        piped = invoke("archive", "in", "-", *NEVER)
        invoke("archive", "in", "a.dfa", *NEVER)
        assert piped.stdout_bytes == Path("a.dfa").read_bytes() and not Path("-").exists()
        listed = invoke("list", "-", "--json", input=piped.stdout_bytes)
        assert len(json.loads(listed.stdout)["images"]) == 2
        invoke("extract", "-", "-o", "out", input=piped.stdout_bytes)
        assert np.array_equal(load("out/b.png"), load("in/b.png"))
        assert "--resume" in invoke("archive", "in", "-", "--resume", *NEVER, code=2).stderr

    def test_named_pipes_are_read_once_and_written_to(self) -> None:
        data = image("a.png").read_bytes()
        for pipe in ("in", "out", "back"):
            os.mkfifo(pipe)
        got: list[bytes] = []

        def feed(pipe: str, data: bytes) -> threading.Thread:
            thread = threading.Thread(target=lambda: Path(pipe).write_bytes(data))
            thread.start()
            return thread

        reader = threading.Thread(target=lambda: got.append(Path("out").read_bytes()))
        reader.start()
        writer = feed("in", data)
        invoke("archive", "in", "out", *NEVER)
        writer.join()
        reader.join()
        assert stat.S_ISFIFO(os.stat("out").st_mode)
        writer = feed("back", got[0])
        invoke("extract", "back", "-o", "folder")
        writer.join()
        assert np.array_equal(load("folder/in.png"), load("a.png"))

    def test_devices_and_links(self) -> None:
        image("a.png")
        invoke("archive", "a.png", "/dev/null", *NEVER)
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
        Path("link.dfa").symlink_to("real.dfa")
        invoke("archive", "a.png", "link.dfa", *NEVER)
        assert Path("link.dfa").is_symlink() and names("real.dfa") == ["a.png"]


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [b"two\nlines.png", b"back\\slash.png", b"latin-\xe9.png", b"a\x1b[31m.png", b"i" * 250],
        ids=["newline", "backslash", "latin-1", "escape", "long"],
    )
    def test_any_name_comes_back(self, name: bytes) -> None:
        Path("in").mkdir()
        path = os.fsdecode(b"in/" + name)
        Image.fromarray(synthetic_image(6, 5, 3, 1)).save(path, "PNG")
        invoke("archive", "in", "a.dfa", *NEVER)
        assert names("a.dfa") == [os.fsdecode(name)]
        shown = invoke("list", "a.dfa").stdout
        assert "\x1b" not in shown and shown.count("\n") == 2
        assert json.loads(invoke("list", "a.dfa", "--json").stdout)["images"]
        invoke("extract", "a.dfa", "-o", "out")
        expected = name if name.endswith(b".png") else name + b".png"
        assert os.listdir(b"out") == [expected]

    @pytest.mark.parametrize("name", ["n" * 250, "ä" * 125, "n" * 255])
    def test_archives_of_long_names(self, name: str) -> None:
        image("a.png")
        invoke("archive", "a.png", name, *NEVER)
        assert names(name) == ["a.png"] and sorted(os.listdir()) == ["a.png", name]
        assert len(os.fsencode(part_of(Path(name)).name)) <= 255


def info(name: str, channels: int = 3, depth: int = 8) -> ImageInfo:
    return ImageInfo(name, 4, 4, channels, depth)


class TestFileNames:
    @pytest.mark.parametrize(
        "some,expected",
        [
            (["x.jpg", "x.webp"], ["x.png", "x.webp"]),
            (["x.jpg", "x.gif", "x.bmp"], ["x.png", "x.gif.png", "x.bmp.png"]),
            (["x.jpg", "x.png"], ["x.jpg.png", "x.png"]),
            (["X.jpg", "x.png"], ["X.jpg.png", "x.png"]),
            (["x.jpg", "x.jpg.png", "x.png"], ["x.jpg.2.png", "x.jpg.png", "x.png"]),
            (["a.png", "a.png"], ["a.png", "a.png.png"]),
            (["a", ".b", "d.d/e"], ["a.png", ".b.png", "d.d/e.png"]),
            (["a.TIF", "b.PGM"], ["a.TIF", "b.PGM"]),
            (["A.png", "a.png"], ["A.png", "a.png"]),
        ],
    )
    def test_no_two_images_go_to_one_file(self, some: list[str], expected: list[str]) -> None:
        assert file_names([info(name) for name in some]) == expected

    def test_letters_that_make_no_difference(self) -> None:
        some = [info("A.png"), info("a.png"), info("e\u0301.png"), info("\xe9.png")]
        found = file_names(some, letters=False)
        assert found == ["A.png", "a.png.png", "e\u0301.png", "\xe9.png.png"]

    def test_formats_that_cannot_hold_an_image(self) -> None:
        some = [info("a.webp", 1), info("b.webp", depth=16), info("c.webp", 4)]
        assert file_names(some) == ["a.png", "b.png", "c.webp"]

    def test_a_format_for_all(self) -> None:
        some = [info("a.jpg"), info("a.png"), info("b.tif")]
        assert file_names(some, "tiff") == ["a.tiff", "a.png.tiff", "b.tif"]
        assert extracting.EXACT == EXACT

    def test_patterns(self) -> None:
        some = [info("a/1.png"), info("a/2.png"), info("[x].png"), info("x.png")]
        assert chosen(some, ["a/*", "[x].png"]) == {"a/1.png", "a/2.png", "[x].png"}
        assert chosen(some, ["?.png"]) == {"x.png"}
        with pytest.raises(OptionError, match="no image called"):
            chosen(some, ["b*"])


class TestExtract:
    def test_metadata_time_and_permissions(self) -> None:
        Image.fromarray(synthetic_image(6, 5, 3, 1)).save("a.jpg", dpi=(72, 72), comment=b"no")
        os.chmod("a.jpg", 0o4750)
        os.utime("a.jpg", ns=(TIME, TIME))
        invoke("archive", "a.jpg", "a.dfa", *NEVER)
        invoke("extract", "a.dfa", "-o", "out")
        found = os.stat("out/a.png")
        assert found.st_mtime_ns == TIME and stat.S_IMODE(found.st_mode) == 0o750
        before = read_picture("a.jpg")
        assert before.metadata and read_picture("out/a.png").metadata == before.metadata
        invoke("extract", "a.dfa", "-o", "bare", "--strip")
        assert not read_picture("bare/a.png").metadata
        invoke("archive", "a.jpg", "b.dfa", *NEVER, "--strip")
        listed = json.loads(invoke("list", "b.dfa", "--json").stdout)["images"]
        assert listed[0]["metadata"] == [] and listed[0]["mode"] == "0750"

    def test_permissions_are_never_wider(self) -> None:
        os.chmod(image("a.png"), 0o666)
        os.chmod(image("b.png", seed=2), 0o600)
        invoke("archive", "a.png", "b.png", "a.dfa", *NEVER)
        assert stat.S_IMODE(os.stat("a.dfa").st_mode) == 0o600
        invoke("extract", "a.dfa", "-o", "out")
        modes = [stat.S_IMODE(os.stat(f"out/{n}.png").st_mode) for n in "ab"]
        assert modes == [0o644, 0o600]
        os.chmod("out/a.png", 0o640)
        invoke("extract", "a.dfa", "-o", "out", "-f")
        assert stat.S_IMODE(os.stat("out/a.png").st_mode) == 0o640  # of what it replaced

    def test_an_archive_keeps_the_mode_of_what_it_replaces(self) -> None:
        image("a.png")
        Path("a.dfa").touch(0o600)
        invoke("archive", "a.png", "a.dfa", "-f", *NEVER)
        assert stat.S_IMODE(os.stat("a.dfa").st_mode) == 0o600

    def test_images_of_one_name_are_all_there(self) -> None:
        for suffix in ("jpg", "bmp", "gif", "webp"):
            image(f"in/x.{suffix}")
        invoke("archive", "in", "a.dfa", *NEVER)
        assert "extracted 4 images" in invoke("extract", "a.dfa", "-o", "out").stderr
        assert len(os.listdir("out")) == 4

    def test_a_file_in_the_place_of_a_folder(self) -> None:
        some = [Source(n, synthetic_image(6, 5, 3, 1)) for n in ("a.png", "a.png/b.png", "c.png")]
        write_archive(None, some, Path("a.dfa"), make_header(None, network="never"))
        told = invoke("extract", "a.dfa", "-o", "out", "--json", code=1)
        assert "a.png/b.png" in told.stderr and "1 image could not be written" in told.stderr
        assert "extracted 2 images" in told.stderr
        facts = json.loads(told.stdout)
        assert facts["images"] == ["a.png", "c.png"] and len(facts["failed"]) == 1
        assert sorted(p.name for p in Path("out").rglob("*")) == ["a.png", "c.png"]

    def test_what_a_format_cannot_hold_is_said(self) -> None:
        Image.fromarray(synthetic_image(6, 5, 3, 1)).save("a.png", dpi=(72, 72))
        invoke("archive", "a.png", "a.dfa", *NEVER)
        told = invoke("extract", "a.dfa", "-o", "out", "--format", "ppm", "--json")
        assert "a.png: " in told.stderr and "is not kept" in told.stderr
        assert [name for name, _ in json.loads(told.stdout)["not_kept"]] == ["a.png"]
        assert np.array_equal(load("out/a.ppm"), load("a.png"))

    def test_damaged_metadata_cost_metadata_only(self) -> None:
        Image.fromarray(synthetic_image(6, 5, 3, 1)).save("a.png", dpi=(72, 72))
        invoke("archive", "a.png", "a.dfa", *NEVER)
        with open("a.dfa", "rb") as file:
            at = contents(file).groups[0].metadata_at
        data = bytearray(Path("a.dfa").read_bytes())
        data[at + 3] ^= 1
        Path("a.dfa").write_bytes(data)
        told = invoke("extract", "a.dfa", "-o", "out", code=1)
        assert "without its metadata" in told.stderr
        assert np.array_equal(load("out/a.png"), load("a.png"))
        assert "damaged" in invoke("list", "a.dfa", code=1).stderr


class TestPartFile:
    def test_a_planted_link_is_not_followed(self) -> None:
        image("a.png")
        Path("victim").write_text("precious")
        for plant in (os.symlink, os.link):
            plant("victim", ".a.dfa.part")
            told = invoke("archive", "a.png", "a.dfa", *NEVER, code=1)
            assert ".a.dfa.part" in told.stderr and "remove it" in told.stderr
            assert Path("victim").read_text() == "precious" and not Path("a.dfa").exists()
            os.unlink(".a.dfa.part")

    def test_two_runs_on_one_archive(self) -> None:
        image("a.png")
        with open(".a.dfa.part", "wb") as other:
            other.write(b"of another run")
            other.flush()
            fcntl.flock(other, fcntl.LOCK_EX)
            told = invoke("archive", "a.png", "a.dfa", *NEVER, code=1)
            assert "another run is writing this archive" in told.stderr
        assert Path(".a.dfa.part").read_bytes() == b"of another run"
        invoke("archive", "a.png", "a.dfa", *NEVER)
        assert names("a.dfa") == ["a.png"] and not Path(".a.dfa.part").exists()

    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "GROUP_VALUES", 100)
        some = [image(f"in/{i}.png", seed=i) for i in range(3)]
        invoke("archive", "in", "whole.dfa", *NEVER)

        def full(groups: int, images: int) -> bytes:
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archives, "pack_end", full)
            told = invoke("archive", "in", "a.dfa", *NEVER, code=1)
        assert "go on with --resume" in told.stderr and "No space left" in told.stderr
        again = invoke("archive", "in", "a.dfa", *NEVER, "--resume", "--json")
        assert json.loads(again.stdout)["groups_resumed"] == len(some)
        assert Path("a.dfa").read_bytes() == Path("whole.dfa").read_bytes()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
    def test_a_full_device(self) -> None:
        image("a.png")
        told = invoke("archive", "a.png", "/dev/full", *NEVER, code=1)
        assert told.stderr == "diffcodec: /dev/full: No space left on device\n"

    def test_nothing_stays_of_a_first_group_for_which_there_is_no_room(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image("a.png")
        room = 100

        def append(file: Any, data: bytes, name: Path, *_: Any) -> None:
            with writing(name):
                file.write(data[:room])
                file.flush()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(archives, "_append", append)
        told = invoke("archive", "a.png", "a.dfa", *NEVER, code=1)
        assert told.stderr == "diffcodec: a.dfa: No space left on device\n"
        assert os.listdir() == ["a.png"]

    def test_nothing_stays_after_sigterm_before_the_first_group(self) -> None:
        image("a.png")
        program = (
            "import time\n"
            "from diffcodec.archive import groups\n"
            "groups.encode_group = lambda *args: print('here', flush=True) or time.sleep(60)\n"
            "from diffcodec.cli.main import main\n"
            f"main(['archive', 'a.png', 'a.dfa', *{list(NEVER)}])\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout is not None and child.stdout.readline() == b"here\n"
        assert Path(".a.dfa.part").exists()
        time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
        assert child.returncode == 128 + signal.SIGTERM
        assert os.listdir() == ["a.png"]


def test_junk_after_the_end_is_reported() -> None:
    save(synthetic_image(6, 5, 3, 1), "a.png")
    invoke("archive", "a.png", "a.dfa", *NEVER)
    with open("a.dfa", "ab") as file:
        file.write(b"junk")
    told = invoke("list", "a.dfa", "--check", code=1)
    assert "4 bytes follow the archive's end" in told.stderr
    invoke("extract", "a.dfa", "-o", "out")
