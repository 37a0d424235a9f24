"""Results that anyone may have written: what cannot be drawn is named by file and field."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from diffcodec.eval.common.results import ResultError, read_result
from diffcodec.eval.common.words import encodable, shown
from diffcodec.eval.figures.checking import check
from diffcodec.eval.publish.readme import RESULTS
from tests.command import invoke
from tests.test_plots import ours, save

pytest.importorskip("matplotlib")
DRAWN = ("bound-*", "nelbo-*", "rd-*", "effort-*", "ddpm-table", "schedule-*")
BOUND = {
    "per_step": [{"t": t, "L_bpd": 0.5, "rate_bpd": 3.0, "rmse_grey": 2.0} for t in (2, 1)],
    "nelbo": {"bpd": 3.5, "standard_error_bpd": None, "images": 1, "T": 1, "schedule": "own"},
    "model": {"name": "x"},
    "dataset": {"name": "set", "images": 1},
}
SCHEDULE = {
    "steps": [{"steps": 12, "even_bpd": 4.0, "total_bpd": 3.0, "steps_bpd": 2.0}],
    "model": {"name": "x"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


def changed(result: Any, place: Sequence[str | int], value: Any) -> Any:
    """A copy with one field changed, or removed by KeyError."""
    made = copy.deepcopy(result)
    part = made
    for key in place[:-1]:
        part = part[key]
    if value is KeyError:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return made


@pytest.mark.parametrize(
    "path",
    [p for name in DRAWN for p in sorted(RESULTS.glob(f"{name}.json"))],
    ids=lambda p: p.stem,
)
def test_committed_results_pass(path: Path) -> None:
    check(path, read_result(path))


CURVE = {"name": "x", "results": {"bpp": [1.0, 2.0], "psnr": [30.0, 35.0]}}
PEER = {"peers": {"jpeg": {"bpp": [1.0, 2.0], "psnr-rgb": [30.0, 35.0]}}}


@pytest.mark.parametrize(
    ("result", "place", "value", "says"),
    [
        (CURVE, ("results", "bpp", 1), 0, "results.bpp[1] is 0, not a number above 0"),
        (CURVE, ("results", "bpp", 0), -0.5, "results.bpp[0] is -0.5, not a number above 0"),
        (CURVE, ("results", "bpp", 0), "1.0", "results.bpp[0] is not a number, but '1.0'"),
        (CURVE, ("results", "bpp", 0), True, "results.bpp[0] is not a number, but True"),
        (CURVE, ("results", "bpp"), "1 2", "results.bpp is not a list of numbers"),
        (CURVE, ("results", "psnr"), [30.0], "results.psnr has 1 entries, and results.bpp 2"),
        (CURVE, ("results", "psnr", 1), -1e9, "results.psnr[1] is -1000000000.0, not a number"),
        (CURVE, ("results", "psnr", 1), [], "results.psnr[1] is not a number, but []"),
        (CURVE, ("results",), [1], "holds no rate-distortion curve"),
        (PEER, ("peers", "jpeg", "bpp", 0), 0, "peers.jpeg.bpp[0] is 0"),
        (PEER, ("peers", "jpeg"), 7, "peers.jpeg is not an object"),
        (PEER, ("peers", "jpeg", "bpp"), KeyError, "peers.jpeg.bpp is missing"),
        (PEER, ("peers",), [7], "peers is not an object"),
        ({**PEER, "codecs": {"jpeg": {}}}, ("name",), "x", "codecs.jpeg.label is missing"),
        (CURVE, ("dataset",), {"name": 7}, "dataset.name is not text"),
        (CURVE, ("dataset",), {"name": "x"}, "dataset.images is missing"),
        (BOUND, ("per_step", 0, "t"), "1", "per_step[0].t is not a number, but '1'"),
        (BOUND, ("per_step", 0), 7, "per_step[0] is not an object"),
        (BOUND, ("per_step",), [], "per_step is empty"),
        (BOUND, ("nelbo", "bpd"), KeyError, "nelbo.bpd is missing"),
        (BOUND, ("model",), KeyError, "model is missing"),
        (SCHEDULE, ("steps", 0, "total_bpd"), 0, "steps[0].total_bpd is 0"),
        (SCHEDULE, ("steps", 0, "steps"), 3, "steps has no row of 10 steps or more"),
    ],
)
def test_what_cannot_be_drawn_is_named(
    result: Any, place: Sequence[str | int], value: Any, says: str
) -> None:
    save("right", result)
    save("wrong", changed(result, place, value))
    if result in (CURVE, PEER, BOUND, SCHEDULE):
        invoke("plot", "right.json", "-o", "right.svg")
    told = invoke("plot", "wrong.json", "-o", "a.svg", code=1)
    assert told.stderr.startswith("diffcodec: wrong.json") and says in told.stderr
    assert told.stderr.count("\n") == 1 and not Path("a.svg").exists()


@pytest.mark.parametrize(
    ("kind", "place", "value", "says"),
    [
        ("rd", ("lossless",), KeyError, "lossless is missing"),
        ("rd", ("lossless", "bpp"), "x", "lossless.bpp is not a number"),
        ("rd", ("theory", "bpp_mi"), [1.0], "theory.bpp_mi has 1 entries"),
        ("rd", ("theory", "bpp"), 0.5, "theory.bpp is not a list"),
        ("rd", ("theory", "bpp"), None, "theory.bpp is not a list"),
        ("overhead", ("overhead_percent", "over_kl"), [], "overhead_percent.over_kl has 0 entries"),
        ("overhead", ("steps", "bpp_file", 0), "x", "steps.bpp_file[0] is not a number"),
        ("lossless", ("lossless", "peers", "png", "bpd"), None, "lossless.peers.png.bpd is not"),
        ("lossless", ("lossless", "bpd_ideal_mi"), KeyError, "lossless.bpd_ideal_mi is missing"),
    ],
)
def test_fields_of_our_own_results_are_named(
    kind: str, place: Sequence[str | int], value: Any, says: str
) -> None:
    save("wrong", changed(ours(), place, value))
    told = invoke("plot", "wrong.json", "--kind", kind, "-o", "a.svg", code=1)
    assert says in told.stderr and told.stderr.count("\n") == 1


def test_a_byte_order_mark_is_no_fault() -> None:
    Path("a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(CURVE).encode())
    invoke("plot", "a.json", "-o", "a.svg")


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{", b"[" * 100_000, b'{"a": ', b"", b'{"results": {"bpp": [Infinity]}}']
)
def test_what_is_no_result_is_refused(data: bytes) -> None:
    Path("a.json").write_bytes(data)
    told = invoke("plot", "a.json", "-o", "a.svg", code=1)
    assert told.stderr.startswith("diffcodec: a.json") and told.stderr.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero here")
def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(ResultError, match="/dev/zero is too large"):
        read_result(Path("/dev/zero"))


def test_names_that_are_no_text_are_drawn(tmp_path: Path) -> None:
    assert shown("a\udcff\n\u202eb") == "a\ufffd\ufffd\ufffdb" and shown("é 字 😀") == "é 字 😀"
    assert encodable("a\udcff\nb") == "a\ufffd\nb"
    name = os.fsdecode(b"\xff $x \x1b.json")
    (tmp_path / name).write_text(json.dumps({"results": {**CURVE["results"]}}))  # type: ignore[dict-item]
    save("a", {**CURVE, "name": "\udcff $y", "dataset": {"name": "$\udcff$$", "images": 2}})
    invoke("plot", name, "a.json", "-o", "a.svg")
    drawing = Path("a.svg").read_text("utf-8")
    assert "\ufffd $x \ufffd" in drawing and "\ufffd $y" in drawing and "$\ufffd$$" in drawing
    told = invoke("plot", name, "-o", "b.svg", "--curves", "none", code=1)
    assert told.stderr.count("\n") == 1


def test_a_report_checks_results_before_it_codes(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    save("wrong", changed(ours(), ("seconds_per_picture", "encode", "total"), "x"))
    save("schedule", SCHEDULE)
    for name, says in (
        ("wrong", "seconds_per_picture.encode.total is not a number"),
        ("schedule", "is of diffcodec schedule"),
    ):
        words = ["nowhere.png", "-o", "a.html", "--results", f"{name}.json"]
        assert says in invoke("report", *words, code=1).stderr
