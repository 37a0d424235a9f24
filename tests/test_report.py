"""The report: what its page holds, and that its slider moves in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.main import main
from diffcodec.codec import Codec
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.report import views as report_views
from diffcodec.eval.report.figures import inside
from tests.trusting import trust_steps

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def made(tiny_network: Path, small_rgb: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about one small image, all of it measured."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("report")
    image.save(small_rgb, folder / "a <b> & c.png")
    words = ["report", str(folder / "a <b> & c.png"), "-o", str(folder / "report.html"), "-q"]
    words += ["-m", str(tiny_network), "--chain", "6", "--peers", "png", "--cuts", "2,4,8"]
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        patch.setattr("sys.argv", ["diffcodec", *words])  # the page states its command
        done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder / "report.html"


def facts(page: Path) -> dict[str, Any]:
    """What the page's script knows of its first image."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    views: list[dict[str, Any]] = json.loads(found[1])
    return views[0]


def pixels_of(address: str) -> Pixels:
    data = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_page_stands_alone(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "{{" not in text
    assert not re.search(r"https?://|(?:src|href)=\"(?!data:|#)", text)
    assert "a &lt;b&gt; &amp; c" in text and "<b>" not in text
    assert text.count("<svg") == 3 and "<code>diffcodec report " in text and "the file" in text
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.usefixtures("steps_pay")
def test_the_cuts_are_the_codecs(made: Path, tiny_codec: Codec, small_rgb: Pixels) -> None:
    view = facts(made)
    data = tiny_codec.encode(small_rgb, chain="6")
    assert view["bytes"] == [64, 128, 256, len(data)] and view["shown"] == [16, 16]
    mean = next(layer for layer in view["layers"] if layer["key"] == "mean")
    for size, cut in zip(view["bytes"], mean["cuts"], strict=True):
        expected = tiny_codec.decode(data, max_bytes=size).pixels
        np.testing.assert_array_equal(pixels_of(view["sources"][cut["source"]]), expected)
    assert mean["cuts"][-1]["psnr"] is None and mean["cuts"][-1]["source"] == view["original"]
    peer = next(layer for layer in view["layers"] if layer["key"] == "jpeg2000")
    for size, cut in zip(view["bytes"], peer["cuts"], strict=True):
        assert cut is None or cut["bytes"] <= size


def test_samples_can_be_left_out_and_large_images_are_cropped(
    tiny_codec: Codec, small_grey: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_views, "SIDE", 10)
    monkeypatch.setattr(report_views, "BESIDE", ())
    one = NamedImage("grey", small_grey)
    view = report_views.view(tiny_codec, one, chain="6", rates_bpp=(3.0,), samples=False).facts
    assert [layer["key"] for layer in view["layers"]] == ["mean"] and view["shown"] == [10, 10]
    shown = pixels_of(view["sources"][view["original"]])
    np.testing.assert_array_equal(shown[..., :1], small_grey[3:13, 3:13])


def test_figures_share_a_page_without_clashes() -> None:
    svg = (
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="8pt">'
        b'<metadata>http://a</metadata><g id="m" style="fill: #ffffff"/><use xlink:href="#m" '
        b'clip-path="url(#m)"/></svg>'
    )
    text = inside(svg, 3, 'a "b"').svg
    assert "http" not in text and "9pt" not in text and 'aria-label="a &#34;b&#34;"' in text
    assert 'id="f3-m"' in text and 'href="#f3-m"' in text and "url(#f3-m)" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "r.txt"], "no suffix of .html"),
        (["-o", "there.html"], "exists"),
        (["-o", "nowhere/r.html"], "nowhere is not a directory"),
        (["-o", "r.html", "--results", "bad.json"], "is not JSON"),
        (["-o", "r.html", "--results", "bad.json", "--records", "r.jsonl"], "--records"),
        (["-o", "r.html", "--peers", "gif"], "there is no codec 'gif'"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_sentence(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("kept")
    Path("bad.json").write_text("{")
    image.save(np.zeros((16, 16, 3), np.uint8), Path("a.png"))
    done = CliRunner().invoke(main, ["report", "a.png", *words])
    assert done.exit_code in (1, 2) and says in done.output
    assert Path("there.html").read_text() == "kept" and not Path("r.html").exists()


def test_small_images_have_a_page_too(tiny_network: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "set").mkdir()
    image.save(np.zeros((4, 4, 3), np.uint8), tmp_path / "set/dot.png")
    words = ["report", str(tmp_path / "set"), "-m", str(tiny_network), "--chain", "6"]
    for peers, name in ((["--no-peers"], "a.html"), (["--peers", "png,jpeg"], "b.html")):
        done = CliRunner().invoke(main, [*words, *peers, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "too small for a cut" in done.stderr
        assert "Exact files" in (tmp_path / name).read_text(encoding="utf-8")
    image.save(np.zeros((16, 16, 3), np.uint8), tmp_path / "set/plain.png")
    done = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "c.html"), "--no-peers"])
    assert done.exit_code == 0 and "in no curve: dot\n" in done.stderr


# --- in a browser -------------------------------------------------------------------------------


def visit(page: Path, fragment: str, profile: Path) -> dict[str, str]:
    """What the page says of itself after it was drawn: errors, bytes, sums of both sides."""
    assert BROWSER is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [
            BROWSER,
            *options,
            f"--user-data-dir={profile}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{page.as_uri()}#{fragment}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    sums = re.findall(r'data-sum="(\d+)"', done.stdout)
    root = re.search(r"<html[^>]*>", done.stdout)
    told = re.search(r'<output id="bytes"[^>]*>([^<]*)<', done.stdout)
    assert root is not None and told is not None and len(sums) == 2
    assert 'data-ready="1"' in root[0] and 'data-errors="0"' in root[0]
    return {"bytes": told[1], "left": sums[0], "right": sums[1]}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no browser here")
def test_the_slider_moves_and_the_image_changes(made: Path, tmp_path: Path) -> None:
    view = facts(made)
    mean = next(layer for layer in view["layers"] if layer["key"] == "mean")
    seen = []
    for i, size in ((0, view["bytes"][0]), (2, view["bytes"][2] + 1)):
        fragment = f"bytes={size}&left=mean&right=original"
        found = visit(made, fragment, tmp_path)
        assert found["bytes"].startswith(f"{view['bytes'][i]:,} (")
        shown = pixels_of(view["sources"][mean["cuts"][i]["source"]])
        assert int(found["left"]) == int(shown.sum(dtype=np.int64))
        seen.append(found)
    assert seen[0]["left"] != seen[1]["left"] and seen[0]["right"] == seen[1]["right"]
    found = visit(made, "bytes=999999&left=mean&right=original&difference=1", tmp_path)
    assert found["left"] == found["right"] == "0"  # the whole file: no difference is left
