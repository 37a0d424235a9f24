"""How much work goes into a file: what an effort chooses, and what it may not choose."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.trellis import Trellis
from diffcodec.cli import coding_options
from diffcodec.cli.encoding import encode
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.eval.publish.tables import photographs
from diffcodec.image import load
from diffcodec.progressive.effort import DEFAULT, EFFORTS
from diffcodec.progressive.residual import RESIDUALS
from tests.gaussian import gaussian_codec, gaussian_image

CODEC = gaussian_codec()
IMAGE = gaussian_image()


def header(data: bytes) -> Header:
    return parse_header(data)[0]


def test_small_images_take_few_steps() -> None:
    assert DEFAULT.chain(3) == "6" and DEFAULT.chain(10**6) == "50"
    assert EFFORTS["fast"].chain(10**6) == "25" and EFFORTS["best"].chain(10**6) == "100"
    assert DEFAULT.code(10**6).name == EFFORTS["fast"].code(10**6).name == "polar:32"
    assert EFFORTS["best"].code(10**6).name == "polar:64"
    assert {effort.code(32 * 32 * 3).name for effort in EFFORTS.values()} == {"butterfly:14"}
    for effort in EFFORTS.values():
        lengths = [int(effort.chain(3 * 4**k)) for k in range(9)]
        assert lengths == sorted(lengths) and lengths[0] == 6


def test_efforts_choose_steps_and_states() -> None:
    files = {name: CODEC.encode(IMAGE, effort=name) for name in EFFORTS}
    assert CODEC.encode(IMAGE) == files["default"]
    chosen = {name: (header(data).nodes, header(data).code.name) for name, data in files.items()}
    assert chosen == {
        "fast": (25, "butterfly:14"),
        "default": (50, "butterfly:14"),
        "best": (50, "butterfly:14"),
    }
    for data in files.values():
        assert np.array_equal(CODEC.decode(data).pixels, IMAGE)


def test_more_effort_makes_smaller_files() -> None:
    photo = load(Path(__file__).parent / "images" / "dog.png")[60:156, 60:156]
    codec = Codec.from_pretrained("photo")
    files = {name: codec.encode(photo, effort=name) for name in EFFORTS}
    assert len(files["fast"]) > len(files["default"]) > len(files["best"])


def test_what_is_given_counts() -> None:
    for name in EFFORTS:
        fields = header(
            CODEC.encode(IMAGE, effort=name, chain="12", code="trellis:10", max_steps=1)
        )
        assert (fields.nodes, fields.code) == (12, Trellis(10))


def test_an_effort_that_does_not_exist() -> None:
    with pytest.raises(OptionError, match='no effort "heroic", only fast, default, best'):
        CODEC.encode(IMAGE, effort="heroic")


def test_commands_and_tables_list_them_all() -> None:
    assert coding_options.EFFORTS == photographs.EFFORTS == tuple(EFFORTS)
    assert coding_options.RESIDUALS == RESIDUALS
    (option,) = (o for o in encode.params if isinstance(o, click.Option) and o.name == "effort")
    assert all(effort in (option.help or "") for effort in EFFORTS)


def test_finer_samples_are_left_to_the_adaptive_coder_earlier() -> None:
    for work in EFFORTS.values():
        assert work.switch(10**6, 16) == work.switch(10**6, 12) > work.switch(10**6, 8)
