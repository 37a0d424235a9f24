"""Commands around the exact pixels: what codes them, where steps end, how damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffcodec import image
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from tests.command import invoke
from tests.synthetic import synthetic_image


@pytest.fixture
def wide(tmp_path: Path, steps_pay: None, monkeypatch: pytest.MonkeyPatch) -> Pixels:
    """wide.png in the working folder: two strips, of 310 columns each."""
    monkeypatch.chdir(tmp_path)
    pixels = synthetic_image(12, 620, 3, seed=5)
    image.save(pixels, Path("wide.png"))
    return pixels


def encode(network: Path, *options: str) -> bytes:
    options = ("--code", "trellis:8", "--chain", "6", *options)
    invoke("encode", "wide.png", "wide.dfc", "-f", "-q", "-m", network, *options)
    return Path("wide.dfc").read_bytes()


def test_switch_and_residual(wide: Pixels, tiny_network: Path) -> None:
    files = {
        options: encode(tiny_network, *options.split())
        for options in (
            "--residual adaptive",
            "--residual adaptive --switch 20",
            "--residual adaptive --switch none",
            "--residual gaussian",
        )
    }
    assert len(set(files.values())) == 4
    for options, data in files.items():
        Path("a.dfc").write_bytes(data)
        invoke("decode", "a.dfc", "a.png", "-f", "-q", "-m", tiny_network)
        assert np.array_equal(image.load(Path("a.png")), wide), options
        told = invoke("info", "a.dfc", "-m", tiny_network).stdout
        assert "lossless" in told
        if "none" not in options:
            assert ("pixels   gaussian" in told) == ("gaussian" in options)
            assert ("pixels   adaptive, default\n" in told) == ("adaptive" in options)


def test_a_cut_without_steps_is_a_part_of_the_pixels(wide: Pixels, tiny_network: Path) -> None:
    data = encode(tiny_network, "--residual", "adaptive", "--switch", "none")
    Path("cut.dfc").write_bytes(data[: 3 * len(data) // 4])
    for command in (["decode", "cut.dfc"], ["truncate", "cut.dfc", "a.dfc", "--bytes", "99"]):
        told = invoke(*command, "-m", tiny_network)
        assert told.stderr.endswith(", part of the exact pixels\n")
    told = invoke("info", "cut.dfc", "-m", tiny_network)
    assert "image    part of the exact pixels\n" in told.stdout


@pytest.mark.parametrize("switch", ["0", "-3", "nan", "inf", "soon"])
def test_what_is_no_switch(wide: Pixels, tiny_network: Path, switch: str) -> None:
    told = invoke("encode", "wide.png", "-m", tiny_network, "--switch", switch, code=2)
    assert "is no number above 0, nor none" in told.stderr


def test_a_damaged_strip_is_named_and_the_rest_is_shown(
    wide: Pixels, tiny_network: Path, tiny_codec: Codec
) -> None:
    data = encode(tiny_network, "--residual", "adaptive", "--switch", "20")
    block = tiny_codec.open(data).payload.blocks[1]
    at = data.index(block.data) + 5
    Path("bad.dfc").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    named = "exact pixels of columns 310 to 619 (strip 2 of 2) are damaged"

    told = invoke("decode", "bad.dfc", "bad.png", "-m", tiny_network)
    assert told.stderr.splitlines() == [
        f"bad.dfc: the {named}",
        f"decoded {len(data):,} of {len(data):,} bytes, damaged",
    ]
    exact = (image.load(Path("bad.png")) == wide).all(axis=2)
    assert exact[:, :310].all() and not exact[:, 310:].all()
    assert named in invoke("decode", "bad.dfc", "b.png", "-q", "-m", tiny_network).stderr

    told = invoke("decode", "--strict", "bad.dfc", "c.png", "-m", tiny_network, code=1)
    assert told.stderr == f"diffcodec: bad.dfc: the {named}\n" and not Path("c.png").exists()

    told = invoke("info", "bad.dfc", "-m", tiny_network)
    assert f"damage   the {named}\n" in told.stdout and "image    damaged\n" in told.stdout
    facts = json.loads(invoke("info", "bad.dfc", "--json", "-m", tiny_network).stdout)
    assert facts["complete"] and facts["damage"] == [f"the {named}"]
    facts = json.loads(invoke("decode", "bad.dfc", "-f", "--json", "-m", tiny_network).stdout)
    assert not facts["lossless"] and facts["damage"] == [f"the {named}"]
