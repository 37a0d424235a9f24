"""Files of every kind that people have, through the commands; many small ones, by an engine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.eval.experiments import many_machines, odd_inputs
from diffcodec.eval.experiments.odd_inputs import png_bytes, webp_bytes
from diffcodec.eval.inputs.kinds import inputs
from diffcodec.eval.publish.tables import inputs as tables
from diffcodec.image import load, read_picture, save, to_bytes
from tests.measured import measured
from tests.synthetic import synthetic_image

DOG = Path(__file__).parent / "images" / "dog.png"


def test_files_are_what_they_are_called() -> None:
    """Pillow's view of some of them."""
    found = {one.name: one for one in inputs(synthetic_image(32, 32, 3, seed=1))}
    assert len(found) > 80 and len({(one.group, one.name) for one in found.values()}) == len(found)
    modes = {
        "PNG: RGB, 8 bits, interlaced": ("RGB", "interlace"),
        "PNG: black and white, 1 bit": ("1", None),
        "PNG: palette of 16 colours, 4 bits": ("P", None),
        "JPEG, CMYK": ("CMYK", None),
        "TIFF, LAB": ("LAB", None),
        "TIFF, floats": ("F", None),
        "AVIF": ("RGB", None),
        "JPEG 2000": ("RGB", None),
    }
    for name, (mode, key) in modes.items():
        image = Image.open(io.BytesIO(found[name].data))
        assert image.mode == mode and (key is None or image.info[key])
    names = [one.file for one in found.values() if one.group == "names"]
    assert max(map(len, names)) == 250 and b"caf\xe9.png" in names
    plain = load(found["PNG: RGB, 8 bits"].data)
    assert np.array_equal(load(found["PNG: RGB, 8 bits, interlaced"].data), plain)
    for bits in (2, 4):
        grey = load(found[f"PNG: grey, {bits} bits"].data)
        expected = load(found["PNG: grey, 8 bits"].data) >> (8 - bits)
        assert np.array_equal(grey, expected * (255 // ((1 << bits) - 1)))


@pytest.mark.slow
def test_everything_comes_back_or_is_refused(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "odd-inputs.json"
    result, said = measured(odd_inputs.main, DOG, "--side", 16, "-m", tiny_network, out=out)
    rows = {row["name"]: row for row in result["odd_inputs"]}
    assert all(row["as_it_should"] for row in rows.values())
    assert "--convert rgb" in rows["JPEG, CMYK"]["refused"] and "exact" not in rows["JPEG, CMYK"]
    everything = rows["JPEG: EXIF, profile, XMP"]
    assert everything["metadata"] == ["ICC", "ORIENTATION", "EXIF", "XMP"]
    assert everything["exact"] and everything["kept"] and everything["shape"] == [16, 16, 3]
    assert rows["PNG: RGB, 16 bits"]["peers_bytes"]["webp"] is None
    assert rows["PNG: RGB, 16 bits"]["depth"] == 16 and "NOT EXACT" not in said
    text = tables.kinds(tmp_path)
    assert "| PNG: RGBA, 8 bits | yes | none | " in text
    assert "| JPEG: density | yes | DENSITY: yes | " in text and "| refused: is empty |" in text


def test_what_does_not_come_back_is_an_error(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good: dict[str, Any] = {"name": "a", "refused": None, "exact": True, "kept": True, "bytes": 3}
    good |= {"peers_bytes": {"png": 4, "webp": None}, "as_it_should": True}
    bad = good | {"name": "b", "kept": False, "as_it_should": False}
    monkeypatch.setattr(odd_inputs, "survey", lambda *_: [good, bad])
    done = CliRunner().invoke(odd_inputs.main, [str(DOG), "-m", str(tiny_network)])
    assert done.exit_code == 1 and "not as it should be: b" in done.output
    save(synthetic_image(8, 8, 1, seed=0), tmp_path / "a.png")
    done = CliRunner().invoke(odd_inputs.main, [str(tmp_path / "a.png"), "-m", str(tiny_network)])
    assert done.exit_code == 1 and "is not RGB of 8 bits with 64 pixels" in done.output


def test_bytes_of_others_hold_the_same() -> None:
    files = {one.name: one for one in inputs(synthetic_image(16, 16, 3, seed=1))}
    one = files["PNG: sRGB profile"]
    picture = read_picture(one.data)
    bare, whole = (png_bytes(one, picture.pixels, m) for m in ((), picture.metadata))
    assert bare < whole <= len(one.data)
    webp = webp_bytes(picture.pixels, picture.metadata)
    assert webp is not None and webp <= len(to_bytes(picture.pixels, "webp", picture.metadata))
    assert webp_bytes(picture.pixels, (Item(Kind.GAMA, bytes(4)),)) is None


def test_crops_are_as_large_as_asked_for() -> None:
    images = [synthetic_image(side, side + 1, 3, seed=side) for side in (8, 12, 4)]
    made = list(many_machines.crops(images, 8, 5))
    assert [part.shape for part in made] == [(8, 8, 3)] * 5
    assert np.array_equal(made[0], images[0][:, :8]) or np.array_equal(made[0], images[0][:, 1:])
    with pytest.raises(click.ClickException, match="at least 13 x 13"):
        list(many_machines.crops(images, 13, 1))


def test_folders_are_equal_or_not(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a.dfc").write_bytes(b"same")
    assert many_machines.equal(one, other)
    (other / "a.dfc").write_bytes(b"else")
    assert not many_machines.equal(one, other)
    (other / "a.dfc").write_bytes(b"same")
    (other / "b.dfc").write_bytes(b"more")
    assert not many_machines.equal(one, other)


@pytest.mark.slow
def test_an_engine_that_loses_a_worker_does_it_all(tiny_network: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    out = tmp_path / "many-machines.json"
    ask = [DOG.parent, "--count", 6, "--side", 8, "-m", tiny_network]
    result, said = measured(many_machines.main, *ask, out=out)
    assert [run["how"] for run in result["runs"]] == ["-j 1", "-j 2", "two dask workers"]
    assert all(run["images_per_second"] > 0 < run["first_seconds"] for run in result["runs"])
    assert result["killed"]["equal"] and result["killed"]["done"] >= 3
    assert result["images"] == 6 and result["bytes"] > 0 and "one of two killed" in said
    assert "all 6 files are whole and the same: yes" in tables.machines(tmp_path)
