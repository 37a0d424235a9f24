"""diffcodec eval and bench: what they write, what they refuse, how they go on."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from diffcodec import image
from diffcodec.errors import DataError
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import PeerError, Point, finish
from diffcodec.eval.common.images import load_named
from diffcodec.eval.common.similarity import ms_ssim
from diffcodec.eval.peers.command_codec import CommandCodec
from diffcodec.eval.peers.pillow_codecs import coded
from diffcodec.eval.rd import rate_distortion
from tests.command import invoke
from tests.synthetic import synthetic_image

Diffcodec = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder; in set/ two RGB images, a grey one of another size, one that is damaged."""
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    for i in range(2):
        image.save(synthetic_image(16, 16, 3, seed=i), Path(f"set/test-{i}.png"))
    image.save(synthetic_image(20, 24, 1, seed=2), Path("set/wall.png"))
    Path("set/zz.png").write_text("not an image\n")
    return tmp_path


@pytest.fixture
def evaluate(tiny_network: Path) -> Diffcodec:
    """`diffcodec eval` with the tiny network and few steps."""

    def call(*args: str | Path, code: int = 0) -> Result:
        options = ("-m", tiny_network, "--chain", "6", "--threads", "1")
        return invoke("eval", *args, *options, code=code)

    return call


# --- eval ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("steps_pay")
def test_a_result_in_compressais_form_with_theory_and_peers(
    folder: Path, evaluate: Diffcodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["set", "--cuts", "1.5,3,6,80", "--peers", "jpeg,png", "--json", "rd.json"]
    monkeypatch.setattr(sys, "argv", ["diffcodec", "eval", "/my data/set", "--json", "rd.json"])
    told = evaluate(*arguments, "--save-reconstructions", "out")
    assert "left out: set/zz.png is not an image" in told.stderr
    assert "3 images of 2 sizes" in told.stderr and "3 of 3 exact" in told.stdout
    result = json.loads(Path("rd.json").read_text(), parse_constant=pytest.fail)
    curve = result["results"]
    assert {"name", "description", "results"} <= set(result)
    assert curve["bpp"] == [1.5, 3.0, 6.0] and len({len(column) for column in curve.values()}) == 1
    assert curve["psnr-rgb"] == sorted(curve["psnr-rgb"])
    ideal, real = (np.array(result["theory"][key]) for key in ("bpp_mi", "bpp"))
    assert ideal.size and (ideal > 0).all() and (ideal < real).all()
    assert set(result["peers"]) == {"jpeg"} and set(result["lossless"]["peers"]) == {"png"}
    assert result["dataset"]["images"] == 3 and len(result["dataset"]["sha256"]) == 64
    assert result["environment"]["device"] == "cpu" and result["model"]["fingerprint"]
    assert result["command"] == "diffcodec eval set --json rd.json"
    # The reconstructions are what was measured.
    mses = [
        metrics.mse(image.load(Path(f"out/diffcodec/{name}-3bpp.png")), image.load(path))
        for name, path in ((p.stem, p) for p in sorted(Path("set").glob("[tw]*.png")))
    ]
    assert metrics.mean_psnr(mses) == pytest.approx(curve["psnr-rgb"][1])
    assert list(Path("out/jpeg").glob("*.png"))


def test_an_interrupted_run_resumes(
    folder: Path, evaluate: Diffcodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, seen = rate_distortion.measure, []

    def stop(codec: Any, settings: Any, one: Any) -> Any:
        seen.append(one.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return measure(codec, settings, one)

    arguments = ["set", "--cuts", "2,4", "--peers", "png", "--records", "r.jsonl", "--json"]
    monkeypatch.setattr(rate_distortion, "measure", stop)
    assert "resumes from r.jsonl" in evaluate(*arguments, code=130).stderr
    first = evaluate(*arguments).stdout
    assert seen == ["test-0", "test-1", "test-1", "wall"]
    lines = Path("r.jsonl").read_text().splitlines()
    assert len(lines) == 6 and {json.loads(line)["codec"] for line in lines} == {"diffcodec", "png"}
    again = json.loads(evaluate(*arguments).stdout)
    assert again["results"] == json.loads(first)["results"] and len(seen) == 4
    fewer = json.loads(evaluate("set", "--cuts", "2", *arguments[3:]).stdout)
    assert fewer["results"]["bpp"] == [2]
    assert len(seen) == 7  # other cuts are other records


def test_tiny_and_plain_images_leave_valid_json(folder: Path, evaluate: Diffcodec) -> None:
    Path("odd").mkdir()
    image.save(np.full((1, 1, 3), 7, np.uint8), Path("odd/dot.png"))
    image.save(np.full((16, 16, 3), 200, np.uint8), Path("odd/plain.png"))
    told = evaluate("odd", "--peers", "png,webp,jpeg", "--json")
    result = json.loads(told.stdout, parse_constant=pytest.fail)
    assert result["lossless"]["exact"] == 2 and result["too_small"] == ["dot"]
    assert "too small for a cut, and in no curve: dot\n" in told.stderr
    told = evaluate("odd/dot.png", "--no-peers", "--json")
    result = json.loads(told.stdout, parse_constant=pytest.fail)
    assert result["lossless"]["exact"] == 1 and result["results"]["bpp"] == []
    assert "the images are too small for a cut; only whole files count" in told.stderr


@pytest.mark.usefixtures("steps_pay")
def test_a_small_image_is_in_no_curve_and_the_others_are(folder: Path, evaluate: Diffcodec) -> None:
    arguments = ["--peers", "webp,png", "--json"]
    alone = json.loads(evaluate("set", *arguments).stdout)
    assert alone["too_small"] == [] and alone["results"]["bpp"]
    image.save(synthetic_image(4, 4, 3, seed=9), Path("set/icon.png"))
    told = evaluate("set", *arguments)
    beside = json.loads(told.stdout)
    assert "too small for a cut, and in no curve: icon\n" in told.stderr
    assert beside["too_small"] == ["icon"] and beside["lossless"]["exact"] == 4
    times = ("encoding_time", "decoding_time")
    for curves in ("results", "theory"):
        kept = [{k: v for k, v in one[curves].items() if k not in times} for one in (alone, beside)]
        assert kept[0] == kept[1]
    assert beside["peers"]["webp"]["bpp"] == alone["peers"]["webp"]["bpp"]
    # Rates that are asked for: the lowest that an image has room for decides.
    image.save(synthetic_image(64, 64, 3, seed=9), Path("set/wide.png"))
    asked = json.loads(invoke("bench", "set", "--cuts", "0.01,0.1,4", *arguments).stdout)
    assert asked["too_small"] == ["icon", "test-0", "test-1", "wall"]


def test_processes_and_engines_measure_what_one_process_does(
    folder: Path, evaluate: Diffcodec
) -> None:
    distributed = pytest.importorskip("distributed")
    arguments = ["set", "--cuts", "2,6", "--peers", "png", "--json"]
    alone = json.loads(evaluate(*arguments).stdout)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        engine = evaluate(*arguments, "--dask", cluster.scheduler_address)
    two = json.loads(evaluate(*arguments, "-j", "2").stdout)
    assert two["environment"]["processes"] == 2
    for other in (json.loads(engine.stdout), two):
        for key in ("bpp", "psnr-rgb", "psnr-rgb-pooled"):
            assert other["results"][key] == alone["results"][key]
        assert other["lossless"] == alone["lossless"] and other["dataset"] == alone["dataset"]


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["nowhere"], 1, "nowhere does not exist"),
        (["empty"], 1, "empty holds no images"),
        (["set", "--split", "train"], 1, 'holds no images that begin with "train"'),
        (["set", "--split", "zz"], 1, 'holds no images that begin with "zz"'),
        (["torn"], 1, "no readable image in torn"),
        (["torn/torn.png"], 1, "torn/torn.png is cut short or damaged"),
        (["-", "-"], 2, "name it once"),
        (["set", "--cuts", "low"], 2, "give rates in bpp"),
        (["set", "--cuts", "0.5,inf"], 2, "rates are above 0 and finite"),
        (["set", "--peers", "jpeg,bpg"], 1, "there is no codec 'bpg' to compare with"),
        (["set", "--peers", "jpeg", "--no-peers"], 2, "exclude each other"),
        (["set", "--chain", "fast"], 1, "set: "),
        (["set", "--json", "taken.json"], 1, "taken.json exists"),
        (["set", "--records", "taken.json"], 1, "taken.json does not hold records"),
        (["set", "--json", "a", "--records", "a"], 2, "need a file of their own"),
        (["set", "--save-reconstructions", "taken.json"], 1, "taken.json is not a directory"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    folder: Path, tiny_network: Path, args: list[str], code: int, reason: str
) -> None:
    Path("empty").mkdir()
    Path("torn").mkdir()
    Path("torn/torn.png").write_bytes(Path("set/test-0.png").read_bytes()[:99])
    Path("taken.json").write_text("dear diary\n")
    peers = () if "--peers" in args else ("--no-peers",)
    told = invoke("eval", *args, *peers, "-m", tiny_network, "-q", code=code)
    errors = [line for line in told.stderr.splitlines() if line.startswith("diffcodec: ")]
    assert len(errors) == 1 and reason in errors[0] and told.stdout == ""
    assert Path("taken.json").read_text() == "dear diary\n"


def test_images_are_read_exactly_or_left_out(folder: Path) -> None:
    Image.new("RGBA", (4, 4)).save("set/alpha.png")
    Image.fromarray(synthetic_image(16, 16, 3, seed=5)).save("set/test-0.bmp")
    told: list[str] = []
    found = {p.name: p.pixels.shape for p in load_named(Path("set"), warn=told.append)}
    assert found == {
        "test-0.bmp": (16, 16, 3),
        "test-0.png": (16, 16, 3),
        "test-1": (16, 16, 3),
        "wall": (20, 24, 1),
    }
    assert len(told) == 2 and "zz.png is not an image" in told[0]
    assert "alpha.png has an alpha channel" in told[1] and "--flatten" in told[1]
    tiled = load_named(Path("set/wall.png"), tile=10, count=3)
    assert [p.name for p in tiled] == ["wall-00000", "wall-00001", "wall-00002"]
    np.testing.assert_array_equal(tiled[1].pixels, image.load(Path("set/wall.png"))[:10, 10:20])
    with pytest.raises(DataError, match="no readable image"):
        load_named(Path("set"), tile=99)


# --- bench --------------------------------------------------------------------------------------


def test_bench_measures_what_eval_does(folder: Path, evaluate: Diffcodec) -> None:
    arguments = ["set", "--cuts", "4,8", "--peers", "jpeg,webp,png", "--records", "r.jsonl"]
    alone = json.loads(invoke("bench", *arguments, "--json").stdout, parse_constant=pytest.fail)
    assert alone["codecs"]["webp"]["label"] == "WebP" and alone["dataset"]["images"] == 3
    beside = json.loads(evaluate(*arguments, "--json").stdout)
    assert beside["peers"] == alone["peers"]  # from the same records
    assert beside["lossless"]["peers"] == alone["lossless"]["peers"]
    assert set(alone["lossless"]["peers"]) == {"webp", "png"}
    text = invoke("bench", *arguments).stdout
    assert f"{alone['lossless']['peers']['png']['bpd']:.4f}  PNG" in text


ENCODER = 'head -c "$3" "$1" > "$2"'  # the beginning of a PPM
DECODER = '(cat "$1"; head -c 781 /dev/zero) | head -c 781 > "$2"'  # 16 x 16, the rest black


def test_a_codec_given_by_a_template(folder: Path) -> None:
    Path("enc.sh").write_text(ENCODER)
    Path("dec.sh").write_text(DECODER)
    template = "half=sh enc.sh {input.ppm} {output} {q}; sh dec.sh {output} {decoded.ppm}"
    ask = ["bench", "set", "--split", "test", "--no-peers", "--codec", template, "--json"]
    result = json.loads(invoke(*ask, "--qualities", "256,512,781").stdout)
    curve = result["peers"]["half"]
    assert curve["q"] == ["256", "512"] and curve["bpp"] == [8.0, 16.0]
    assert curve["psnr-rgb"][1] > curve["psnr-rgb"][0]
    assert result["lossless"]["peers"]["half"]["bpd"] == 8 * 781 / 768  # the third is exact


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("cp {input} {output}; cp {output} {decoded}", "is not 'NAME=ENCODER"),
        ("x=cp {input} {output}", "is not 'NAME=ENCODER"),
        ("x=cp '{input} {output}; cp {output} {decoded}", "is not 'NAME=ENCODER"),
        ("x=cp {input} a; cp {output} {decoded}", "--codec x: cp does not get {output}"),
        ("x=cp {input.gif} {output}; cp {output} {decoded}", "not as .gif"),
        ("x=false {input} {output}; cp {output} {decoded}", "x: false failed"),
        ("x=true {input} {output}; cp {output} {decoded}", "x: true made no file"),
        ("x=cp {input} {output}; true {output} {decoded}", "x: true made no image"),
        ("x=cp {input} {output}; cp /dev/null {decoded} {output}", "x: "),
    ],
)
def test_templates_that_do_not_work_are_refused(template: str, reason: str) -> None:
    with pytest.raises(PeerError) as refusal:
        CommandCodec.parse(template, ["1"]).files(synthetic_image(8, 8, 3, seed=1))
    assert reason in str(refusal.value)


def test_what_is_not_installed_is_named_and_left_out(folder: Path) -> None:
    template = "x=no-such-encoder {input} {output}; cp {output} {decoded}"
    told = invoke("bench", "set", "--codec", template, "--peers", "png")
    assert "x is left out: it needs no-such-encoder" in told.stderr and "PNG" in told.stdout
    told = invoke("bench", "set", "--no-peers", "--codec", template, code=1)
    assert "diffcodec: there is no codec to measure" in told.stderr
    assert shutil.which("no-such-encoder") is None


# --- MS-SSIM ------------------------------------------------------------------------------------


def test_similarity() -> None:
    pytest.importorskip("pytorch_msssim")
    pixels = synthetic_image(161, 170, 3, seed=3)
    noisy = np.asarray((pixels + np.random.default_rng(0).normal(0, 20, pixels.shape)).clip(0, 255))
    assert ms_ssim(pixels, pixels) == pytest.approx(1.0, abs=1e-6)
    value = ms_ssim(pixels, noisy.astype(np.uint8))
    assert value is not None and 0.5 < value < 0.99
    assert ms_ssim(pixels[:160], pixels[:160]) is None
    file = coded(pixels, format="JPEG", quality=30)
    point = finish(file, pixels)
    assert isinstance(point, Point) and point.mse == file.point.mse
    assert point.ms_ssim == ms_ssim(pixels, file.decode(file.data))
