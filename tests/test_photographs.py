"""What a folder of photographs is before a network is trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from diffcodec.training.photographs import SCALES, main
from tests.synthetic import synthetic_image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name in ("a/one.webp", "a/two.webp", "b/one.avif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(synthetic_image(60, 90, 3, len(name))).save(folder / name, lossless=True)
    lines = ("file\tlicence", "a/one.webp\tCC0", "a/two.webp\tby a Stock site")
    (folder / "CREDITS.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_lossless_ones_stay_and_lossy_ones_shrink(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = CliRunner().invoke(main, [str(source), str(out)])
    assert run.exit_code == 0 and "4 pictures" in run.output
    with Image.open(source / "a/one.webp") as before, Image.open(out / "a-one.bmp") as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
    for i, scale in enumerate(SCALES):
        with Image.open(out / f"b-one-{i}.bmp") as smaller:
            assert smaller.size == (round(90 * scale), round(60 * scale))


def test_what_is_credited_so_is_left_out(source: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(main, [str(source), str(tmp_path / "out"), "--without", "STOCK"])
    assert run.exit_code == 0
    assert not (tmp_path / "out/a-two.bmp").exists() and (tmp_path / "out/a-one.bmp").exists()
