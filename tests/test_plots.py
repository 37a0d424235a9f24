"""diffcodec plot: which curves are drawn, from whose files, and how far they lie apart."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from diffcodec.cli import plot
from diffcodec.eval.common.coded import Point
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.publish.readme import RESULTS
from diffcodec.eval.rd import curves, mean_curve
from diffcodec.eval.rd.pooling import pool
from tests.command import invoke
from tests.made_up_record import a_record

pytest.importorskip("matplotlib")
BPP, PSNR = [0.1, 0.3, 1.0, 2.0, 4.0], [24.0, 29.0, 34.0, 38.0, 43.0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder: a result of eval, one of bench, one as CompressAI writes it."""
    monkeypatch.chdir(tmp_path)
    save("rd", ours())
    curve = {"bpp": [2.0, 4.0, 8.0], "psnr-rgb": [28.0, 33.0, 39.0]}
    save("bench", {"peers": {"jpegxl": curve, "mine": {**curve, "bpp": [2.2, 4.4, 8.8]}}})
    save("foreign", {"name": "bmshj2018", "results": {"bpp": BPP, "psnr": PSNR}})
    return tmp_path


def ours() -> dict[str, Any]:
    """A result of eval whose 8x8 image needs 2.5, 3.75 and 10 bpp."""
    result: dict[str, Any] = {
        "name": "diffcodec x",
        "dataset": {"name": "set", "images": 1},
        "model": {},
    }
    result |= pool([a_record()])
    result["lossless"]["peers"] = {"png": {"bpd": 9.0, "standard_error": 0.5}}
    return result


def save(name: str, result: Any) -> None:
    Path(f"{name}.json").write_text(json.dumps(result))


run = partial(invoke, "plot")


def test_curves_of_all_kinds_of_files_in_one_figure(folder: Path) -> None:
    run("rd.json", "bench.json", "foreign.json", "-o", "a.svg", "--title", "all of them")
    drawing = Path("a.svg").read_text()
    # Theory has no mean PSNR, which is all that the other files have.
    names = ("diffcodec x, one file cut", "JPEG XL", "mine", "bmshj2018")
    for text in (*names, "mean PSNR", "all of them"):
        assert text in drawing, text
    assert "its theory" not in drawing and "exact at 15.00 bpp" in drawing
    run("rd.json", "-o", "b.svg", "--rate", "bpd")
    drawing = Path("b.svg").read_text()
    for text in ("its theory", "PSNR of the pooled MSE", "bits per dimension", "exact at 5.00 bpd"):
        assert text in drawing, text
    before = Path("a.svg").read_bytes()
    run("rd.json", "bench.json", "foreign.json", "-o", "a.svg", "--title", "all of them", "-f")
    assert Path("a.svg").read_bytes() == before


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("kind", ["overhead", "lossless"])
def test_other_figures_in_all_formats(folder: Path, kind: str, suffix: str) -> None:
    run("rd.json", "bench.json", "--kind", kind, "-o", f"a.{suffix}")
    data = Path(f"a.{suffix}").read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    if suffix == "svg":
        texts = {"overhead": ["over MI", "over KL"], "lossless": ["PNG", "9.000", "5.000"]}
        assert all(text in data.decode() for text in texts[kind])


def test_values_are_those_of_the_files(folder: Path) -> None:
    found = curves.curves_of({Path("rd.json"): ours()})
    mine, theory = found
    assert [curve.kind for curve in found] == ["ours", "theory"]
    rmse = dict(curves.values(mine, "bpp", "rmse", "psnr-rgb-pooled"))
    assert rmse == pytest.approx({2.5: 10.0, 3.75: 50**0.5, 10.0: 3**0.5})
    assert [x for x, _ in curves.values(theory, "bpp", "psnr", "psnr-rgb-pooled")] == [2.0, 3.0]
    table = {"bpp": [1.0, 2.0, 3.0, None], "ms-ssim": [0.9, 0.99, 1.0, 0.5]}
    [other] = curves.curves_of({Path("a.json"): {"name": "a", "results": table}})
    similar = dict(curves.values(other, "bpp", "ms-ssim", "ms-ssim-rgb"))
    assert similar == pytest.approx({1.0: 10.0, 2.0: 20.0})
    assert other.points("bpd", "ms-ssim-rgb")[0] == (1 / 3, 0.9)


def test_bd_rate_on_the_command_line(folder: Path) -> None:
    told = run("bench.json", "foreign.json", "--bd", "jpegxl")
    assert "against JPEG XL" in told.stdout and "+10.00" in told.stdout
    rows = json.loads(run("bench.json", "foreign.json", "--bd", "jpegxl", "--json").stdout)["bd"]
    assert rows[0]["name"] == "mine" and rows[0]["bd_rate_percent"] == pytest.approx(10)
    assert rows[1]["bd_rate_percent"] < 0 < rows[1]["bd_quality_db"]
    far = {"name": "far", "results": {"bpp": [50, 60], "psnr-rgb": [90, 91]}}
    save("far", far)
    told = run("bench.json", "far.json", "--bd", "far", code=1)
    assert "diffcodec: JPEG XL and far cannot be compared: the curves overlap" in told.stderr


def test_two_files_with_a_curve_of_one_name(folder: Path) -> None:
    save("again", json.loads(Path("bench.json").read_text()))
    rows = json.loads(run("bench.json", "again.json", "--bd", "mine", "--json").stdout)["bd"]
    assert [row["name"] for row in rows] == ["jpegxl", "jpegxl (again)", "mine (again)"]
    assert rows[2]["bd_rate_percent"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["rd.json"], 2, "say where the figure goes with -o OUT, or what to report with --bd"),
        (["rd.json", "-o", "a.gif"], 2, "-o a.gif has no suffix of .png, .svg, .pdf"),
        (["rd.json", "-o", "rd.svg", "--metric", "ms-ssim"], 1, "none of the curves has ms-ssim"),
        (["rd.json", "-o", "a.svg", "--curves", "webp"], 1, "there is no curve 'webp'; choose of"),
        (["rd.json", "--bd", "webp"], 1, "there is no curve 'webp'; choose of diffcodec x"),
        (["notes.json", "-o", "a.svg"], 1, "notes.json is not JSON"),
        (["list.json", "-o", "a.svg"], 1, "list.json does not hold results"),
        (["empty.json", "-o", "a.svg"], 1, "empty.json holds no rate-distortion curve"),
        (["foreign.json", "-o", "a.svg", "--kind", "overhead"], 1, "overhead is known for results"),
        (["foreign.json", "-o", "a.svg", "--kind", "lossless"], 1, "no lossless sizes"),
        (["rd.json", "-o", "a.svg", "--kind", "terms"], 2, "about a result of diffcodec nll"),
        (["nll.json", "rd.json", "-o", "a.svg"], 2, "results of nll are plotted one by one"),
        (
            ["rd.json", "--kind", "lossless", "--bd", "png"],
            2,
            "about rate-distortion, not lossless",
        ),
        (["none.json", "-o", "a.svg"], 1, "none.json: No such file"),
        (["rd.json", "-o", "foreign.json"], 2, "has no suffix"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, args: list[str], code: int, reason: str
) -> None:
    Path("notes.json").write_text("dear diary")
    save("list", [1, 2])
    save("empty", {})
    save("nll", {"per_step": [], "nelbo": {}})
    told = run(*args, code=code)
    assert reason in told.stderr and told.stderr.count("\n") == 1 and told.stdout == ""
    assert not Path("a.svg").exists()


@pytest.mark.parametrize("name", ["rd-cifar10", "rd-kodak", "rd-gb82"])
def test_committed_results_are_drawn(folder: Path, name: str) -> None:
    run(RESULTS / f"{name}.json", "-o", "a.svg")
    assert "diffcodec" in Path("a.svg").read_text()


def test_every_measure_of_similarity_can_be_plotted() -> None:
    assert set(plot.METRICS) == {"psnr", "rmse", *SIMILARITIES}
    fields = {field.name for field in dataclasses.fields(Point)}
    for one in SIMILARITIES.values():
        assert one.field in fields and one.columns[0] in mean_curve.COLUMNS
