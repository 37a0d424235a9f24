"""What measuring and training take: files, folders, pipes; what they leave out, and say of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.types import Pixels
from diffcodec.data import first_few, load_images
from diffcodec.errors import DataError, ImageError
from diffcodec.eval.common.images import load_named, read_set
from diffcodec.image import Choices
from tests.command import invoke
from tests.synthetic import synthetic_image

WHITE = Choices(flatten=(255, 255, 255))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder; in set/ an RGB image, a grey one without suffix, and what is not measured."""
    monkeypatch.chdir(tmp_path)
    Path("set/below").mkdir(parents=True)
    image.save(pixels(0), Path("set/b.png"))
    Path("set/below/grey").write_bytes(image.to_bytes(synthetic_image(16, 12, 1, seed=1)))
    Image.fromarray(transparent()).save("set/alpha.png")
    deep = np.full((16, 16), 40000, np.uint16)
    Image.fromarray(deep).save("set/deep.png")
    Image.new("CMYK", (16, 16), (9, 99, 0, 0)).save("set/ink.jpg")
    Path("set/notes.png").write_text("not an image\n")
    return tmp_path


def pixels(seed: int) -> Pixels:
    return synthetic_image(16, 16, 3, seed)


def transparent() -> Pixels:
    """(16, 16, 4): red, the left half of it fully transparent."""
    found = np.zeros((16, 16, 4), np.uint8)
    found[..., 0] = 200
    found[:, 8:, 3] = 255
    return found


def measure(command: str, network: Path, *words: str | Path, **more: Any) -> Result:
    """nll, eval or bench of the tiny network, at its quickest."""
    options: dict[str, list[object]] = {
        "nll": ["-m", network, "--chain", "6", "--json"],
        "eval": ["-m", network, "--chain", "6", "--cuts", "4", "--no-peers", "--json"],
        "bench": ["--cuts", "4", "--peers", "png", "--json"],
    }
    return invoke(command, *words, *options[command], **more)


COMMANDS = pytest.mark.parametrize("command", ["nll", "eval", "bench"])


@COMMANDS
def test_files_folders_and_pipes_are_measured(
    folder: Path, tiny_network: Path, command: str
) -> None:
    given = image.to_bytes(pixels(7))
    told = measure(command, tiny_network, "-", "set", "set/b.png", input=given)
    dataset = json.loads(told.stdout)["dataset"]
    assert dataset["images"] == 3 and dataset["left_out"] == 4 and dataset["name"] == "images"
    lines = [line for line in told.stderr.splitlines() if line.startswith("left out: ")]
    assert sorted(line.split()[2] for line in lines) == [
        *("set/alpha.png", "set/deep.png", "set/ink.jpg", "set/notes.png")
    ]
    assert all(len(line) < 160 for line in lines)
    alone = json.loads(measure(command, tiny_network, "-", input=given).stdout)["dataset"]
    assert alone["name"] == "standard input" and alone["images"] == 1


@COMMANDS
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("set/alpha.png", "set/alpha.png has an alpha channel, which is not measured; choose"),
        ("set/deep.png", "set/deep.png has more than 8 bits a sample, which are not measured"),
        ("set/ink.jpg", "--convert rgb"),
        ("set/notes.png", "set/notes.png is not an image"),
        ("nowhere", "nowhere does not exist"),
    ],
)
def test_a_file_that_is_named_is_refused(
    folder: Path, tiny_network: Path, command: str, name: str, reason: str
) -> None:
    told = measure(command, tiny_network, "set/b.png", name, code=1)
    assert reason in told.stderr and told.stderr.count("\n") == 1 and told.stdout == ""


def test_choices_are_those_of_the_other_commands(folder: Path, tiny_network: Path) -> None:
    words = ("set/alpha.png", "set/ink.jpg", "--flatten", "white", "--convert", "rgb")
    found = json.loads(measure("bench", tiny_network, *words).stdout)["dataset"]
    flat, ink = (
        i.pixels for i in read_set([*words[:2]], choices=Choices((255, 255, 255), rgb=True)).images
    )
    assert found["images"] == 2 and flat.shape == ink.shape == (16, 16, 3)
    assert flat[0, 0].tolist() == [255, 255, 255] and flat[0, 15].tolist() == [200, 0, 0]


def test_nll_data_measures_what_files_do(folder: Path, tiny_network: Path) -> None:
    one, other = (
        json.loads(measure("nll", tiny_network, *words).stdout)
        for words in (["set"], ["--data", "set"])
    )
    assert one["nelbo"] == other["nelbo"] and one["dataset"] == other["dataset"]
    assert [row["name"] for row in one["per_image"]] == ["b", "below-grey"]


def test_images_come_in_the_order_of_paths(folder: Path) -> None:
    for place in ("a-b.png", "a/b.png", "a/a.png", "Z.png", ".hidden.png"):
        Path("many", place).parent.mkdir(parents=True, exist_ok=True)
        image.save(pixels(1), Path("many", place))
    found = load_named(Path("many"))
    assert [one.name for one in found] == ["Z", "a-a", "a-b.png", "a-b.png-2"]
    places = sorted(Path("many").rglob("[!.]*.png"))
    assert [path.as_posix() for path in places[1:3]] == ["many/a/a.png", "many/a/b.png"]
    assert [one.name for one in load_named(Path("many"), "a", count=1)] == ["a-a"]
    both = read_set(["set/b.png", "many/Z.png", "many"])
    assert [one.name for one in both.images] == ["b", "Z", "a-a", "a-b.png", "a-b.png-2"]


def test_many_that_are_left_out_are_counted(folder: Path, tiny_network: Path) -> None:
    for i in range(12):
        Path(f"set/x{i:02}.txt").write_text("text")
    told = measure("bench", tiny_network, "set")
    assert told.stderr.count("left out: ") == 11 and "left out: 6 more\n" in told.stderr
    assert json.loads(told.stdout)["dataset"]["left_out"] == 16
    assert first_few(["a"] * 10) == ["a"] * 10


def test_training_reads_by_the_same_rules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, grey = load_images(Path("set"))
    assert rgb.shape == (16, 16, 3) and grey.shape == (16, 12, 3)
    assert np.array_equal(grey[..., 0], grey[..., 2])
    told = capsys.readouterr().err
    assert told.count("skipped: ") == 4 and "set/alpha.png has an alpha channel" in told
    assert len(load_images(["set", image.to_bytes(pixels(3))], choices=WHITE)) == 4
    with pytest.raises(ImageError, match=r"alpha.png has an alpha channel"):
        load_images("set/alpha.png")
    with pytest.raises(DataError, match="no readable image in set"):
        load_images("set", minimum=99)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8_are_measured(folder: Path, tiny_network: Path) -> None:
    place = os.fsencode(folder) + b"/caf\xe9 $1\x1b"
    os.mkdir(place)
    with open(place + b"/\xff.png", "wb") as file:
        file.write(image.to_bytes(pixels(4)))
    given = os.fsdecode(place)
    for command in ("nll", "eval", "bench"):
        told = measure(command, tiny_network, given)
        assert json.loads(told.stdout)["dataset"]["name"] == "caf\ufffd $1\ufffd"
    told = invoke("nll", given, "-m", tiny_network, "--chain", "6", "--plot", "a.svg")
    assert "caf\ufffd $1\ufffd" in Path("a.svg").read_text("utf-8")
    pytest.importorskip("jinja2")
    words = ["-o", "a.html", "-m", tiny_network, "--chain", "6", "--no-peers", "--no-samples"]
    invoke("report", given, *words, "--cuts", "4")
    page = Path("a.html").read_text("utf-8")
    assert "diffcodec on caf\ufffd $1\ufffd" in page and page.count("<svg") == 3


@COMMANDS
@pytest.mark.parametrize("kind", ["device", "pipe", "lines"])
def test_records_are_a_file_that_ends(
    folder: Path, tiny_network: Path, command: str, kind: str
) -> None:
    path, reason = Path("r"), "is not a file that can be read again"
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**26)  # zeros, and no end of a line
        reason = "does not hold records"
    told = measure(command, tiny_network, "set/b.png", "--records", path, code=1)
    assert reason in told.stderr and told.stdout == ""
