"""encode, decode and info of many files: names, trees, failures, resuming, processes, an engine."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.metadata import Kind
from diffcodec.cli.decoding import FORMATS, SUFFIXES
from diffcodec.cli.metadata_words import WORDS
from tests.command import invoke
from tests.engine import engine
from tests.synthetic import synthetic_image

Run = Callable[..., Result]

FAST = ("--code", "trellis:8", "--residual", "gaussian", "--chain", "6")


@pytest.fixture
def run(tmp_path: Path, tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the tiny network where photos/ has three images, and what is none."""
    monkeypatch.chdir(tmp_path)
    Path("photos/sub").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.ppm", "sub/c.png")):
        image.save(synthetic_image(8, 8, 3, seed), Path("photos") / name)
    Path("photos/notes.txt").write_text("of a holiday")

    def run(command: str, *words: object, code: int = 0, input: bytes | None = None) -> Result:
        options = FAST if command == "encode" else ()
        return invoke(command, *words, *options, "-m", tiny_network, code=code, input=input)

    return run


def files(folder: str) -> list[str]:
    """The files below a folder, sorted."""
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))
    return sorted(name for name in found if Path(folder, name).is_file())


def same(first: str, second: str) -> None:
    """Two image files have the same pixels."""
    np.testing.assert_array_equal(image.load(first), image.load(second))


# --- trees and names ----------------------------------------------------------------------------


def test_a_folder_there_and_back(run: Run) -> None:
    told = run("encode", "photos", "-o", "coded")
    size = sum(Path("coded", name).stat().st_size for name in files("coded"))
    assert files("coded") == ["a.dfc", "b.dfc", "sub/c.dfc"]
    lines = [line for line in told.stderr.splitlines() if "larger than" not in line]
    assert told.stdout == "" and lines == [
        "left out: photos/notes.txt is not an image",
        f"encoded 3 of 3 images, {size:,} bytes, {8 * size / 192:.3f} bpp; 1 file left out",
    ]
    told = run("decode", "coded", "-o", "back/again")
    assert told.stderr == "decoded 3 of 3 images, 3 lossless\n"
    assert files("back/again") == ["a.png", "b.png", "sub/c.png"]
    for name, original in {"a": "a.png", "b": "b.ppm", "sub/c": "sub/c.png"}.items():
        same(f"back/again/{name}.png", f"photos/{original}")


def test_results_lie_beside_their_inputs(run: Run) -> None:
    run("encode", "photos/a.png", "photos/b.ppm", "photos/sub", "-q")
    assert files("photos") == [
        *("a.dfc", "a.png", "b.dfc", "b.ppm", "notes.txt", "sub/c.dfc", "sub/c.png")
    ]
    os.remove("photos/a.png")
    run("decode", "photos/a.dfc", "photos/b.dfc", "--format", "webp", "-q")
    same("photos/b.webp", "photos/b.ppm")
    assert Path("photos/a.webp").is_file()


def test_one_file_goes_where_it_is_told(run: Run) -> None:
    run("encode", "photos/a.png", "-o", "x.dfc")
    run("encode", "photos/a.png", "y.DFC")
    run("encode", "photos/a.png", "-o", "made/")
    run("encode", "photos/b.ppm", "-o", "made")
    assert files("made") == ["a.dfc", "b.dfc"]
    assert Path("x.dfc").read_bytes() == Path("y.DFC").read_bytes()
    assert run("encode", "photos/a.png", "-", "-q").stdout_bytes == Path("x.dfc").read_bytes()
    run("encode", "photos/a.png", os.devnull)
    run("decode", "x.dfc", "x.jpg")
    run("decode", "x.dfc", "-o", "x.tiff")
    run("decode", "x.dfc", "anything", "--format", "png")
    same("anything", "photos/a.png")


def test_names_that_clash_keep_their_suffixes(run: Run) -> None:
    shutil.copy("photos/a.png", "photos/b.png")
    told = run("encode", "photos", "-o", "coded")
    assert "photos/b.png and photos/b.ppm keep their suffixes: " in told.stderr
    assert files("coded") == ["a.dfc", "b.png.dfc", "b.ppm.dfc", "sub/c.dfc"]
    Path("more").mkdir()
    shutil.copy("coded/a.dfc", "more/x.dfc")
    shutil.copy("coded/a.dfc", "more/x.cut")
    run("decode", "more", "-o", "back", "-q")
    assert files("back") == ["x.cut.png", "x.dfc.png"]


def test_names_that_clash_even_so_are_refused(run: Run) -> None:
    told = run("encode", "photos/a.png", "photos", "photos/sub", "-o", "coded", "-q")
    assert files("coded") == ["a.dfc", "b.dfc", "sub/c.dfc"]  # given twice, done once
    Path("other").mkdir()
    shutil.copy("photos/a.png", "other/a.png")
    told = run("encode", "photos/a.png", "other/a.png", "-o", "new", code=1)
    assert "photos/a.png and other/a.png would become one file, new/a.png.dfc" in told.stderr
    assert not os.path.exists("new")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["photos/a.png", "photos/b.pmm"], 1, "photos/b.pmm does not exist; name a result with -o"),
        (["photos", "out.dfc"], 1, "photos is a directory; name one for its results with -o"),
        (["photos", "-o", "photos/a.png"], 1, "photos/a.png is not a directory"),
        (["photos", "-o", "-"], 2, "standard output takes one result"),
        (["photos/a.png", "-", "photos/b.ppm"], 2, "standard input goes alone"),
        (["photos/a.png", "empty"], 1, "empty: there is no image to encode; name a folder"),
        (["empty"], 1, "empty: there is no image to encode"),
        (["-", "-o", "empty"], 2, "standard input has no name"),
        (["photos", "--ledger", "a.txt"], 2, "--ledger is about one image"),
        (["photos", "-j", "2", "--dask", "tcp://a"], 2, "give one of them"),
    ],
)
def test_what_makes_no_sense_is_told_before_any_work(
    run: Run, words: list[str], code: int, reason: str
) -> None:
    Path("empty").mkdir()
    before = files(".")
    assert reason in run("encode", *words, code=code).stderr
    assert files(".") == before


# --- failures and what was there ----------------------------------------------------------------


def test_a_bad_image_does_not_stop_the_others(run: Run) -> None:
    Path("photos/bad.png").write_bytes(Path("photos/a.png").read_bytes()[:60])
    os.symlink("a.png", "photos/link.png")
    told = run("encode", "photos", "-o", "coded", "--json", code=1)
    assert files("coded") == ["a.dfc", "b.dfc", "sub/c.dfc"]
    lines = told.stderr.splitlines()
    assert [line for line in lines if line.startswith("photos/bad.png")]
    assert lines[-2].endswith("; 1 failed; 2 files left out")
    assert lines[-1] == "diffcodec: 1 file failed: photos/bad.png"
    record = json.loads(told.stdout)
    assert [entry["input"] for entry in record["files"]] == [
        *("photos/a.png", "photos/b.ppm", "photos/sub/c.png")
    ]
    assert [entry["input"] for entry in record["failed"]] == ["photos/bad.png"]
    assert record["failed"][0]["reason"].startswith("photos/bad.png ")
    assert [entry["path"] for entry in record["left_out"]] == [
        *("photos/link.png", "photos/notes.txt")
    ]
    assert record["files"][0]["bytes"] == Path("coded/a.dfc").stat().st_size


def test_a_damaged_file_does_not_stop_the_others(run: Run) -> None:
    run("encode", "photos", "-o", "coded", "-q")
    data = Path("coded/a.dfc").read_bytes()
    Path("coded/a.dfc").write_bytes(data[:10] + b"?" + data[11:])
    told = run("decode", "coded", "-o", "back", code=1)
    assert files("back") == ["b.png", "sub/c.png"]
    assert told.stderr.splitlines()[-1] == "diffcodec: 1 file failed: coded/a.dfc"
    assert told.stderr.startswith("coded/a.dfc: the file's header is damaged")


def test_many_that_are_left_out_are_counted(run: Run) -> None:
    for i in range(12):
        Path(f"photos/{i:02}.txt").write_text("no image")
    Path("photos/.thumbnail.png").write_bytes(Path("photos/a.png").read_bytes())
    told = run("encode", "photos", "-o", "coded")
    assert told.stderr.count("left out: photos/") == 10
    assert "left out: 3 more files" in told.stderr
    assert told.stderr.endswith("; 13 files left out; 1 hidden name passed by\n")


def test_what_exists_is_refused_forced_or_resumed(run: Run) -> None:
    run("encode", "photos", "-o", "coded", "-q")
    whole = {name: Path("coded", name).read_bytes() for name in files("coded")}
    told = run("encode", "photos", "-o", "coded", code=1)
    assert "3 results of 3 exist already, coded/a.dfc first" in told.stderr
    run("encode", "photos", "-o", "coded", "-f", "-q")
    os.remove("coded/b.dfc")
    Path("coded/sub/c.dfc").write_bytes(whole["sub/c.dfc"][:-1])  # cut short
    told = run("encode", "photos", "-o", "coded", "--resume", "--json")
    assert "encoded 2 of 3 images" in told.stderr and "; 1 done before;" in told.stderr
    assert json.loads(told.stdout)["done_before"] == 1
    assert {name: Path("coded", name).read_bytes() for name in files("coded")} == whole
    assert "3 done before" in run("encode", "photos", "-o", "coded", "--resume").stderr


@pytest.mark.parametrize("change", ["newer", "another size", "not ours"])
def test_resuming_does_again_what_is_not_of_this_image(run: Run, change: str) -> None:
    run("encode", "photos", "-o", "coded", "-q")
    if change == "newer":
        os.utime("photos/a.png", (2e9, 2e9))
    elif change == "another size":
        image.save(synthetic_image(9, 8, 3, 5), Path("photos/a.png"))
        os.utime("photos/a.png", (1e9, 1e9))
    else:
        Path("coded/a.dfc").write_bytes(b"my diary")
        told = run("encode", "photos", "-o", "coded", "--resume", code=1)
        assert "1 result of 3 exists already, coded/a.dfc first" in told.stderr
        assert Path("coded/a.dfc").read_bytes() == b"my diary"
        return
    told = run("encode", "photos", "-o", "coded", "--resume")
    assert "encoded 1 of 3 images" in told.stderr and "2 done before" in told.stderr


def test_decoding_is_resumed(run: Run) -> None:
    run("encode", "photos", "-o", "coded", "-q")
    run("decode", "coded", "-o", "back", "-q")
    assert "3 results of 3 exist" in run("decode", "coded", "-o", "back", code=1).stderr
    os.remove("back/a.png")
    os.utime("coded/b.dfc", (2e9, 2e9))
    told = run("decode", "coded", "-o", "back", "--resume")
    assert told.stderr == "decoded 2 of 3 images, 2 lossless; 1 done before\n"


def test_an_input_is_not_written_over(run: Run) -> None:
    shutil.copy("photos/a.png", "photos/x.dfc")  # an image, whatever it is called
    told = run("encode", "photos/x.dfc", "photos/b.ppm", "-f", code=1)
    assert "photos/x.dfc would be written over an input" in told.stderr


def test_permissions_are_not_wider_than_the_inputs(run: Run) -> None:
    os.chmod("photos/a.png", 0o600)
    run("encode", "photos", "-o", "coded", "-q")
    run("encode", "photos/a.png", "one.dfc", "-q")
    run("decode", "coded/a.dfc", "one.png", "-q")
    for name in ("coded/a.dfc", "one.dfc", "one.png"):
        assert os.stat(name).st_mode & 0o777 == 0o600
    assert os.stat("coded/b.dfc").st_mode & 0o777 == os.stat("photos/b.ppm").st_mode & 0o777


# --- what images carry --------------------------------------------------------------------------


def test_the_words_are_complete() -> None:
    assert set(FORMATS) == set(image.FORMATS) and set(SUFFIXES) == set(image.SUFFIXES)
    assert set(WORDS) == {kind.name for kind in Kind}


def test_choices(run: Run) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save("alpha.png")
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 255)]
    frames[0].save("two.tiff", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (8, 8)).save("cmyk.tiff")
    assert "--frame" in run("encode", "two.tiff", code=1).stderr
    assert "--convert rgb" in run("encode", "cmyk.tiff", code=1).stderr
    run("encode", "alpha.png", "--flatten", "#00f")
    run("encode", "two.tiff", "--frame", "1")
    run("encode", "cmyk.tiff", "--convert", "rgb")
    run("decode", "alpha.dfc", "two.dfc", "cmyk.dfc", "-o", "back")
    assert set(map(tuple, image.load("back/alpha.png").reshape(-1, 3))) == {(0, 0, 255)}
    assert set(image.load("back/two.png").reshape(-1)) == {255}
    assert image.load("back/cmyk.png").shape == (8, 8, 3)


def test_info_tells_samples_and_metadata(run: Run, tiny_network: Path) -> None:
    deep: Any = np.arange(128, dtype=np.uint16).reshape(8, 8, 2) * 500
    image.save(deep, Path("deep.png"))
    Image.new("RGBA", (8, 8)).save("alpha.png", icc_profile=bytes(128), dpi=(72, 72))
    invoke("encode", "deep.png", "alpha.png", "-q", "-m", tiny_network)
    told = run("info", "deep.dfc", "alpha.dfc", "none.dfc", code=1)
    assert "deep.dfc: 8 x 8 grey + alpha, 16 bits\n" in told.stdout
    assert "\n\nalpha.dfc: 8 x 8 RGBA\n" in told.stdout
    assert "\nmetadata ICC profile 128 bytes, density 9 bytes\n" in told.stdout
    assert "none.dfc: No such file or directory\n" in told.stderr
    record = json.loads(run("info", "deep.dfc", "alpha.dfc", "--json").stdout)
    assert [(f["channels"], f["depth"]) for f in record["files"]] == [(2, 16), (4, 8)]
    Path("start.dfc").write_bytes(Path("alpha.dfc").read_bytes()[:40])
    assert "RGBA" in run("info", "start.dfc").stdout


def test_losses_and_damage_are_said_to_the_quiet_too(run: Run) -> None:
    Image.fromarray(synthetic_image(8, 8, 3, 1)).save("a.png", dpi=(72, 72))
    Path("b.pgm").write_bytes(b"P5 2 2 100\n1234")
    assert run("encode", "b.pgm", "-q").stderr.endswith(" is not kept\n")
    told = run("encode", "a.png", "b.pgm", "-o", "coded", "-q")
    assert told.stderr.endswith(" is not kept\n") and told.stderr.count("\n") == 1
    data = bytearray(Path("coded/a.dfc").read_bytes())
    data[-3] ^= 1  # of the metadata
    Path("coded/b.dfc").write_bytes(data)
    told = run("decode", "coded", "-o", "back", "--format", "ppm", "-q")
    assert "coded/b.dfc: metadata that follows" in told.stderr and "a.ppm: " in told.stderr
    assert run("decode", "coded/a.dfc", "a.webp", "-q").stderr.endswith(" is not kept\n")


def test_formats_say_what_they_do_not_keep(run: Run) -> None:
    Image.fromarray(synthetic_image(8, 8, 3, 1)).save("a.png", dpi=(72, 72), icc_profile=bytes(128))
    run("encode", "a.png", "-q")
    told = run("decode", "a.dfc", "a.ppm", "--json")
    record = json.loads(told.stdout)
    assert len(record["not_kept"]) == 2 and record["exact"]
    assert told.stderr.count("is not kept\n") == 2
    assert "does not keep" in run("decode", "a.dfc", "b.ppm", "--strict", code=1).stderr
    run("decode", "a.dfc", "b.ppm", "--strict", "--strip")
    run("decode", "a.dfc", "b.png", "--strict")
    assert Image.open("b.png").info["icc_profile"] == bytes(128)
    told = run("decode", "a.dfc", "a.jpg", "--json")
    assert "a.jpg: JPEG comes close to the pixels, but does not keep them\n" in told.stderr
    assert not json.loads(told.stdout)["exact"]
    assert (
        "JPEG does not keep pixels"
        in run("decode", "a.dfc", "-f", "a.jpg", "--strict", code=1).stderr
    )
    Image.new("RGBA", (8, 8)).save("alpha.png")
    run("encode", "alpha.png", "-q")
    told = run("decode", "alpha.dfc", "alpha.jpg", code=1)
    assert told.stderr == "diffcodec: alpha.dfc: JPEG has no alpha; name another format\n"


def test_a_preview_of_a_size(run: Run) -> None:
    image.save(synthetic_image(24, 16, 3, 1), Path("a.png"))
    run("encode", "a.png", "-q")
    run("decode", "a.dfc", "small.png", "--size", "12")
    run("decode", "a.dfc", "large.png", "--size", "100")
    assert image.load("small.png").shape == (12, 8, 3)
    same("large.png", "a.png")
    assert "give one" in run("decode", "a.dfc", "--size", "9", "--scale", "1/2", code=2).stderr


def test_results_larger_than_their_inputs_are_told(run: Run) -> None:
    Image.new("L", (8, 8)).save("flat.png", optimize=True)
    told = run("encode", "flat.png", "photos/a.png", "--json")
    for record in json.loads(told.stdout)["files"]:
        name, size = record["input"], os.path.getsize(record["input"])
        assert (record["input_bytes"], record["input_format"]) == (size, "PNG")
        line = f"{name}: {record['bytes']:,} bytes, larger than its {size:,} of PNG\n"
        assert (line in told.stderr) == (record["bytes"] > size)
    assert "larger than its" in told.stderr


# --- pipes --------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_an_input_is_read_once(run: Run) -> None:
    """A named pipe gives its bytes to one reader, once."""
    run("encode", "photos/a.png", "a.dfc", "-q")
    for source, words in {
        "photos/a.png": ("encode", "pipe", "b.dfc"),
        "a.dfc": ("decode", "pipe", "b.png"),
    }.items():
        os.mkfifo("pipe")
        data = Path(source).read_bytes()
        writer = threading.Thread(target=Path("pipe").write_bytes, args=(data,))
        writer.start()
        run(*words, "-q")
        writer.join()
        os.remove("pipe")
    assert Path("b.dfc").read_bytes() == Path("a.dfc").read_bytes()
    same("b.png", "photos/a.png")


# --- processes and machines ---------------------------------------------------------------------


def test_processes_make_the_same_files(run: Run) -> None:
    Path("photos/bad.png").write_bytes(Path("photos/a.png").read_bytes()[:60])
    run("encode", "photos", "-o", "one", "-q", code=1)
    told = run("encode", "photos", "-o", "two", "-j", "2", code=1)
    assert "diffcodec: 1 file failed: photos/bad.png" in told.stderr
    assert "\nphotos/bad.png " in told.stderr and os.getcwd() not in told.stderr
    assert files("one") == files("two") == ["a.dfc", "b.dfc", "sub/c.dfc"]
    for name in files("one"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    told = run("decode", "two", "-o", "back", "-j", "2")
    assert told.stderr == "decoded 3 of 3 images, 3 lossless\n"


@pytest.mark.slow
def test_an_engine_makes_the_same_files(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("distributed")
    run("encode", "photos", "-o", "one", "-q")
    with engine(tmp_path_factory.mktemp("engine"), 2) as (address, workers):
        workers[0].kill()
        run("encode", "photos", "-o", "two", "--dask", address, "-q")
        run("decode", "two", "-o", "back", "--dask", address, "-q")
    for name in files("one"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert files("back") == ["a.png", "b.png", "sub/c.png"]
