"""What a user meets on the command line: names, pipes, JSON, exit codes, help."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from click.testing import Result

from diffcodec import __version__, image, networks
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.main import main
from diffcodec.cli.options import BACKENDS, DEVICES
from diffcodec.cli.output import Output
from diffcodec.exact import backends
from tests.command import invoke

if TYPE_CHECKING:
    from diffcodec import Codec

Run = Callable[..., Result]

INFO_KEYS = {
    "decoding_memory",
    "format",
    "width",
    "height",
    "channels",
    "depth",
    "alpha",
    "metadata",
    "metadata_unknown",
    "model",
    "fingerprint",
    "chain",
    "code",
    "seed",
    "label",
    "promised",
    "exact_anywhere",
    "bytes",
    "total_bytes",
    "complete",
    "header_bytes",
    "bpp",
    "steps_available",
    "steps_total",
    "pixels",
    "layers_verified",
    "damage",
    "bytes_verified",
}
ENCODE_KEYS = INFO_KEYS | {
    *("input", "output", "input_bytes", "input_format", "not_kept", "encoding_seconds")
}
# Of files for which it does not matter how they are made, as long as they have steps.
FAST = ("--code", "trellis:8", "--residual", "gaussian")
DECODE_KEYS = {
    "input",
    "output",
    "format",
    "width",
    "height",
    "channels",
    "depth",
    "model",
    "fingerprint",
    "bytes_used",
    "total_bytes",
    "bpp",
    "steps",
    "steps_total",
    "lossless",
    "exact",
    "not_kept",
    "damage",
    "reconstruction",
    "decoding_seconds",
}


@pytest.fixture
def run(tmp_path: Path, tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `diffcodec ARGS` in an empty folder, where tiny is the network that ships."""
    from diffcodec import api, zoo

    for module in (networks, zoo):
        monkeypatch.setattr(module, "shipped_networks", lambda: [("tiny", tiny_network)])
    for module in (networks, api):
        monkeypatch.setattr(module, "default_model", lambda pixels: "tiny")
    monkeypatch.chdir(tmp_path)

    return invoke


@pytest.fixture
def photo(run: Run, small_rgb: Pixels) -> Path:
    """photo.png and photo.dfc in the working folder."""
    image.save(small_rgb, Path("photo.png"))
    run("encode", "photo.png", "-q", *FAST)
    return Path("photo.dfc")


# --- encode and decode --------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["small_rgb", "small_grey"])
def test_encode_then_decode_gives_every_pixel(
    run: Run, which: str, request: pytest.FixtureRequest
) -> None:
    pixels = request.getfixturevalue(which)
    image.save(pixels, Path("a.png"))
    told = run("encode", "a.png")
    assert told.stdout == "" and "lossless" in told.stderr
    told = run("decode", "a.dfc", "b.ppm")
    size = os.stat("a.dfc").st_size
    assert told.stdout == "" and told.stderr == f"decoded {size:,} of {size:,} bytes, lossless\n"
    np.testing.assert_array_equal(image.load(Path("b.ppm")), pixels)
    assert sorted(os.listdir()) == ["a.dfc", "a.png", "b.ppm"]


def test_default_names_swap_the_suffix(run: Run, photo: Path) -> None:
    os.rename("photo.png", "original.png")
    run("decode", "photo.dfc")
    run("decode", "photo.dfc", "--format", "ppm")
    assert sorted(os.listdir()) == ["original.png", "photo.dfc", "photo.png", "photo.ppm"]
    assert Path("photo.ppm").read_bytes()[:2] == b"P6"


def test_a_cut_file_is_normal_input(run: Run, photo: Path) -> None:
    data = photo.read_bytes()
    Path("cut.dfc").write_bytes(data[:200])
    told = run("decode", "cut.dfc")
    assert told.stderr.startswith(f"decoded 200 of {len(data):,} bytes, step ")
    assert image.load(Path("cut.png")).shape == (16, 16, 3)
    told = run("decode", "--strict", "cut.dfc", "strict.png", code=1)
    assert "cut.dfc is cut short, step" in told.stderr and not os.path.exists("strict.png")
    run("decode", "--strict", "photo.dfc", "strict.png")


def test_the_cut_is_the_same_word_everywhere(run: Run, photo: Path) -> None:
    run("decode", "photo.dfc", "a.png", "--bytes", "200")
    run("truncate", "photo.dfc", "cut.dfc", "--bytes", "200")
    assert Path("cut.dfc").read_bytes() == photo.read_bytes()[:200]
    run("decode", "cut.dfc", "b.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    run("truncate", "photo.dfc", "bpp.dfc", "--bpp", "4.5")
    assert os.stat("bpp.dfc").st_size == 4.5 * 256 / 8
    run("encode", "photo.png", "small.dfc", "--bytes", "200", "--code", "trellis:8")
    assert os.stat("small.dfc").st_size <= 200
    run("truncate", "photo.dfc", "steps.dfc", "--steps", "3")
    assert json.loads(run("info", "steps.dfc", "--json").stdout)["steps_available"] == 3
    assert "step 3 of" in run("decode", "photo.dfc", "c.png", "--steps", "3").stderr
    assert "step 2 of" in run("encode", "photo.png", "two.dfc", "--steps", "2").stderr


def test_a_psnr_and_a_preview(run: Run, photo: Path) -> None:
    told = json.loads(run("encode", "photo.png", "a.dfc", "--psnr", "9", "--json").stdout)
    assert not told["complete"] and told["bytes"] < os.stat("photo.dfc").st_size
    told = json.loads(run("decode", "photo.dfc", "b.png", "--scale", "1/4", "--json").stdout)
    assert (told["width"], told["height"]) == (4, 4) and not told["lossless"]
    assert told["bpp"] == 8 * os.stat("photo.dfc").st_size / 256
    assert image.load(Path("b.png")).shape == (4, 4, 3)


@pytest.mark.parametrize("chain", ["ddpm:10", "6", "cosine:8"])
def test_chains(run: Run, photo: Path, chain: str) -> None:
    run("encode", "photo.png", "chain.dfc", "--code", "trellis:8", "--seed", "7", "--chain", chain)
    facts = json.loads(run("info", "chain.dfc", "--json").stdout)
    assert facts["chain"] == chain
    assert (facts["code"], facts["seed"]) == ("trellis:8", 7)
    assert "lossless" in run("decode", "chain.dfc").stderr


def test_effort(run: Run, photo: Path) -> None:
    facts = {}
    for name, options in {
        "fast": [],
        "best": ["--code", "trellis:8"],
        "default": ["--chain", "6"],
    }.items():
        run("encode", "photo.png", f"{name}.dfc", "--effort", name, *options)
        facts[name] = json.loads(run("info", f"{name}.dfc", "--json").stdout)
        assert "lossless" in run("decode", f"{name}.dfc").stderr
    assert {name: (told["chain"], told["code"]) for name, told in facts.items()} == {
        "fast": ("12", "butterfly:14"),
        "best": ("12", "trellis:8"),
        "default": ("6", "butterfly:14"),
    }


def test_pipes(run: Run, photo: Path, small_rgb: Pixels) -> None:
    png = Path("photo.png").read_bytes()
    coded = run("encode", "-", *FAST, input=png)
    assert coded.stdout_bytes == photo.read_bytes()
    run("encode", "-", "named.dfc", *FAST, input=png)
    assert Path("named.dfc").read_bytes() == coded.stdout_bytes
    back = run("decode", "-", "--format", "ppm", input=coded.stdout_bytes)
    np.testing.assert_array_equal(image.load(back.stdout_bytes), small_rgb)
    cut = run("truncate", "-", "-", "--bytes", "99", "-q", input=coded.stdout_bytes)
    assert cut.stdout_bytes == coded.stdout_bytes[:99] and cut.stderr == ""
    assert "standard input: 16 x 16 RGB" in run("info", "-", input=cut.stdout_bytes).stdout


def test_what_is_not_kept_is_told(run: Run, small_rgb: Pixels) -> None:
    from PIL import Image

    Image.fromarray(small_rgb).save("tagged.png", pnginfo=_text("Author", "somebody"))
    told = run("encode", "tagged.png", "a.dfc", "--bytes", "150", "--code", "trellis:8")
    assert told.stderr.startswith('tagged.png: its text "Author" is not kept\n')
    told = run("encode", "tagged.png", "b.dfc", "--bytes", "150", "-q", "--json")
    assert told.stderr == 'tagged.png: its text "Author" is not kept\n'
    assert json.loads(told.stdout)["not_kept"] == ['its text "Author"']
    told = run("encode", "tagged.png", "c.dfc", "--bytes", "150", "--strict", code=1)
    assert 'tagged.png: its text "Author" would not be kept' in told.stderr and not os.path.exists(
        "c.dfc"
    )
    run("encode", "tagged.png", "c.dfc", "--strict", *FAST)
    run("encode", "tagged.png", "d.dfc", "--strip", *FAST)
    assert [item["kind"] for item in _facts(run, "c.dfc")["metadata"]] == ["text"]
    assert _facts(run, "d.dfc")["metadata"] == []


def _text(keyword: str, text: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(keyword, text)
    return info


def _facts(run: Run, name: str) -> dict[str, Any]:
    found = json.loads(run("info", name, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_threads(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcodec.exact import denoiser

    monkeypatch.setattr(denoiser, "usable_cores", lambda: 7)
    asked: list[int] = []
    create = denoiser.ExactDenoiser.__init__

    def spy(self: denoiser.ExactDenoiser, *args: Any) -> None:
        create(self, *args)
        asked.append(self.threads)

    monkeypatch.setattr(denoiser.ExactDenoiser, "__init__", spy)
    run("encode", "photo.png", "a.dfc", "--code", "trellis:8", "--threads", "3")
    networks._codec.cache_clear()
    run("decode", "a.dfc", "a.png")
    assert asked == [3, 7]


def test_backends_give_the_same_bytes(run: Run, photo: Path, tiny_network: Path) -> None:
    assert (*BACKENDS, *DEVICES) == (*backends.BACKENDS, *backends.PREFERRED)
    for backend in ("numpy", "integers", "cpu"):
        told = run("encode", "photo.png", "-", *FAST, "-q", "--backend", backend)
        assert told.stdout_bytes == photo.read_bytes()
    run("decode", "photo.dfc", "a.ppm", "--backend", "numpy")
    assert Path("a.ppm").read_bytes() == image.to_bytes(image.load(Path("photo.png")), "ppm")
    bound = ["nll", "photo.png", "-m", str(tiny_network), "--chain", "ddpm:5", "--json"]
    bounds = [json.loads(run(*bound, "--backend", name).stdout) for name in ("numpy", "compiled")]
    assert bounds[0]["nelbo"] == bounds[1]["nelbo"]


@pytest.mark.parametrize(
    "args",
    [
        ["encode", "photo.png", "a.dfc"],
        ["decode", "photo.dfc", "a.ppm"],
        ["archive", "photo.png", "a.dfa"],
        ["extract", "a.dfa", "-o", "out"],
        ["nll", "photo.png"],
        ["eval", "photo.png", "--no-peers"],
    ],
)
def test_a_backend_that_is_not_here_is_reported_in_one_sentence(
    run: Run, photo: Path, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(graph: Any, threads: int) -> Any:
        raise backends.Unavailable("there is no CUDA device")

    if args[0] == "extract":
        run("archive", "photo.png", "a.dfa", "--chain", "6", "--network", "always")
    known = {**backends.BACKENDS, "cuda32": backends.Backend("cuda32", missing)}
    monkeypatch.setattr(backends, "BACKENDS", known)
    told = run(*args, "--backend", "cuda32", "-q", code=1)
    reason = "the backend cuda32 cannot be used here: there is no CUDA device"
    assert told.stderr == f"diffcodec: {reason}\n"


# --- JSON, info, models -------------------------------------------------------------------------


def test_json_is_one_object_with_stable_keys(run: Run, photo: Path) -> None:
    def record(*args: str) -> dict[str, Any]:
        found = json.loads(run(*args, "--json").stdout)
        assert isinstance(found, dict)
        return found

    names = {"input", "output"}
    encoded = record("encode", "photo.png", "a.dfc")
    assert set(encoded) == ENCODE_KEYS
    assert encoded["bytes"] == encoded["total_bytes"] == os.stat("a.dfc").st_size
    assert encoded["bpp"] == encoded["bytes"] * 8 / 256
    decoded = record("decode", "a.dfc", "a.png")
    assert set(decoded) == DECODE_KEYS and decoded["lossless"] is True
    assert (decoded["model"], decoded["fingerprint"]) == ("tiny", encoded["fingerprint"])
    assert set(record("truncate", "a.dfc", "b.dfc", "--bytes", "150")) == INFO_KEYS | names
    facts = record("info", "b.dfc")
    assert set(facts) == INFO_KEYS | {"input"}
    assert (facts["bytes"], facts["complete"]) == (150, False)


def test_ledger(run: Run, photo: Path) -> None:
    told = run("encode", "photo.png", "a.dfc", "--ledger", "a.json", "--json")
    assert set(json.loads(told.stdout)) == ENCODE_KEYS
    size = os.stat("a.dfc").st_size
    full = json.loads(Path("a.json").read_text())
    assert full["file_bytes"] == size and full["ideal_bits"] < 8 * size
    assert sum(entry["spent_bits"] for entry in full["entries"]) == 8 * size
    alone = json.loads(run("info", "a.dfc", "--ledger", "--json").stdout)
    assert set(alone) == INFO_KEYS | {"input", "ledger"}
    assert set(alone["ledger"]) == set(full) and alone["ledger"]["ideal_bits"] is None
    spent = [[e["spent_bits"] for e in ledger["entries"]] for ledger in (full, alone["ledger"])]
    assert spent[0] == spent[1]
    run("encode", "photo.png", "b.dfc", "--bytes", "150", "--ledger", "b.txt", "-q")
    assert "step code" in Path("b.txt").read_text()
    assert "messages of the steps" in run("info", "b.dfc", "--ledger").stdout


def test_a_ledger_does_not_take_another_file(run: Run, photo: Path) -> None:
    Path("old.json").write_bytes(b"old")
    told = run("encode", "photo.png", "a.dfc", "--ledger", "old.json", code=1)
    assert "old.json exists" in told.stderr and not os.path.exists("a.dfc")
    told = run("encode", "photo.png", "a.dfc", "--ledger", "photo.png", "-f", code=1)
    assert "written over itself" in told.stderr
    run("encode", "photo.png", "a.dfc", "--ledger", "a.dfc", code=2)
    run("encode", "photo.png", "a.dfc", "--ledger", "-", code=2)


def test_info_for_people(run: Run, photo: Path) -> None:
    text = run("info", "photo.dfc").stdout
    size = photo.stat().st_size
    assert f"bytes    {size} of {size}" in text and "image    lossless" in text
    assert "network  tiny (" in text


def test_models(run: Run, tiny_network: Path) -> None:
    assert run("models").stdout.startswith("tiny ")
    (model,) = json.loads(run("models", "--json").stdout)["models"]
    assert json.loads(run("models", "tiny", "--json").stdout) == model
    assert model["bytes"] == tiny_network.stat().st_size
    assert model["fingerprint"] in run("models", "tiny").stdout
    assert 'no network is called "big"' in run("models", "big", code=1).stderr


# --- outputs ------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_forced(run: Run, photo: Path) -> None:
    Path("old.dfc").write_bytes(b"old")
    told = run("encode", "photo.png", "old.dfc", code=1)
    assert told.stderr.startswith("diffcodec: old.dfc exists; overwrite it with -f")
    assert Path("old.dfc").read_bytes() == b"old"
    run("truncate", "photo.dfc", "old.dfc", "--bytes", "99", "-f")
    assert Path("old.dfc").read_bytes() == photo.read_bytes()[:99]


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcodec import api as module

    def encode(*args: Any, **options: Any) -> bytes:
        Path("new.dfc").write_bytes(b"somebody else's")
        return photo.read_bytes()

    monkeypatch.setattr(module, "encode", encode)
    assert "new.dfc exists by now" in run("encode", "photo.png", "new.dfc", code=1).stderr
    assert Path("new.dfc").read_bytes() == b"somebody else's"


def test_devices_and_links_are_written_through(run: Run, photo: Path) -> None:
    run("truncate", "photo.dfc", os.devnull, "--bytes", "99")
    assert not os.path.isfile(os.devnull)
    os.symlink("target.dfc", "link.dfc")
    run("truncate", "photo.dfc", "link.dfc", "--bytes", "99")
    assert os.path.islink("link.dfc") and os.stat("target.dfc").st_size == 99


def test_interrupted(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcodec import api as module

    def encode(*args: Any, **options: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "encode", encode)
    told = run("encode", "photo.png", "new.dfc", code=130)
    assert told.stderr.strip() == "diffcodec: interrupted" and not os.path.exists("new.dfc")


def test_bugs_keep_their_traceback(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcodec import api as module

    def info(*args: Any, **options: Any) -> dict[str, Any]:
        raise KeyError("a bug")

    monkeypatch.setattr(module, "info", info)
    assert isinstance(run("info", "photo.dfc", code=1).exception, KeyError)


def test_progress_bar_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with Output().progress("encoding") as show:
        assert show is None
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Output(quiet=True).progress("encoding") as show:
        assert show is None
    with Output().progress("encoding") as show:
        assert show is not None
        for done in range(11):
            show(done, 10)
    assert "encoding" in terminal.getvalue() and "10/10" in terminal.getvalue()


# --- usage and help -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ["encode"],
        ["encode", "a", "-", "c"],
        ["frobnicate"],
        ["encode", "a.png", "--frob"],
        ["encode", "a.png", "--bytes", "9", "--bpp", "1"],
        ["decode", "a.dfc", "--bytes", "9", "--steps", "1"],
        ["truncate", "a.dfc", "b.dfc"],
        ["truncate", "a.dfc", "b.dfc", "--bpp", "1", "--steps", "2"],
        ["encode", "a.png", "--bytes", "0"],
        ["encode", "a.png", "--bytes", "many"],
        ["encode", "a.png", "--bpp", "nan"],
        ["encode", "a.png", "--bpp", "inf"],
        ["encode", "a.png", "--steps", "0"],
        ["encode", "a.png", "--steps", "fast"],
        ["encode", "a.png", "--steps", "ddpm:50"],
        ["encode", "a.png", "--psnr", "nan"],
        ["encode", "a.png", "--psnr", "40", "--bpp", "1"],
        ["decode", "a.dfc", "--scale", "1/3"],
        ["encode", "a.png", "--code", "trellis:9"],
        ["encode", "a.png", "--effort", "heroic"],
        ["encode", "a.png", "--mode", "bitsback"],
        ["encode", "a.png", "--tile", "32"],
        ["encode", "a.png", "--backend", "abacus"],
        ["encode", "a.png", "--seed", "-1"],
        ["encode", "a.png", "-", "--json"],
        ["decode", "a.dfc", "--format", "gif"],
    ],
)
def test_usage_errors_are_one_line_and_exit_2(run: Run, args: list[str]) -> None:
    told = run(*args, code=2)
    assert told.stdout == "" and told.stderr.count("\n") == 1
    assert told.stderr.startswith("diffcodec: ") and "--help" in told.stderr


def test_help_has_two_examples_everywhere(run: Run) -> None:
    assert "encode" in run().stdout and "encode" in run("-h").stdout
    for name, command in main.commands.items():
        text = run(name, "--help").stdout
        assert text == run(name, "-h").stdout
        examples = text.partition("Examples:\n")[2].partition("\n\n")[0]
        assert len([e for e in examples.splitlines() if f"diffcodec {name}" in e]) >= 2, name
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (name, option.name)
    assert run("-V").stdout == run("--version").stdout == f"diffcodec, version {__version__}\n"


def test_public_names_exist() -> None:
    import diffcodec

    for name in diffcodec.__all__:
        assert getattr(diffcodec, name) is not None and name in dir(diffcodec)
    with pytest.raises(AttributeError):
        diffcodec.nonesuch  # noqa: B018


def test_help_loads_nothing_heavy() -> None:
    """`import torch` takes seconds; who asks for help should not wait for it."""
    script = (
        "import sys, contextlib\n"
        "from diffcodec.cli.main import main\n"
        "for args in [['-V'], ['-h'], *([name, '-h'] for name in main.commands)]:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main(args)\n"
        "heavy = {'torch', 'numpy', 'scipy', 'PIL', 'constriction', 'safetensors'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the real thing -----------------------------------------------------------------------------


def test_a_process_in_a_pipe(
    tmp_path: Path, tiny_network: Path, tiny_codec: Codec, small_rgb: Pixels
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "diffcodec", "decode", "-", "-", "-m", tiny_network],
        input=tiny_codec.encode(small_rgb, code="trellis:8"),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0 and b"lossless" in done.stderr, done.stderr
    np.testing.assert_array_equal(image.load(done.stdout), small_rgb)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_standard_output_is_full() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "diffcodec", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"diffcodec: standard output: No space left on device\n"


def test_a_signal_is_told_in_one_line(tmp_path: Path) -> None:
    script = (
        "from diffcodec.cli.main import main\nprint('ready', flush=True)\nmain(['info', '-'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,  # never ends: the command waits for it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == b"diffcodec: interrupted"


# --- training -----------------------------------------------------------------------------------

RECIPE = """
name = "small"
[network]
channels = 8
multipliers = [1, 2]
blocks = 1
attention = []
norm = "none"
window = 8
[train]
objective = "edm"
batch = 4
steps = 3
lr = 1e-3
warmup = 1
cooldown = 0.5
ema = 0.9
crop = 16
"""


def test_train_then_calibrate(run: Run, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcodec.cli.training_set.PIXELS", 2**10)
    Path("recipe.toml").write_text(RECIPE)
    image.save(small_rgb, Path("images.png"))
    network = "runs/small/model.safetensors"
    told = run("train", "recipe.toml", "--data", "images.png", "--set", "train.steps=2")
    assert told.stdout == "" and f"{network}: step 2 of 2" in told.stderr
    assert "step 3 of 3" in run("train", "recipe.toml", "--data", "images.png").stderr
    told = run("encode", "images.png", "a.dfc", "-m", network)
    assert "lossless on every machine" in told.stderr  # its steps are no help
    before = Path(network).read_bytes()
    run("calibrate", network, "--data", "images.png", "-q")
    assert Path(network).read_bytes() == before


def test_fine_tuning_tells_the_bound_before_and_after(
    run: Run, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcodec.eval.likelihood import validation
    from diffcodec.eval.likelihood.plan import Settings
    from diffcodec.network.config import Recipe
    from diffcodec.zoo import load_checkpoint, load_weights
    from tests.exported import exported
    from tests.mini_recipe import to_toml

    monkeypatch.setattr("diffcodec.cli.training_set.PIXELS", 2**10)
    monkeypatch.setattr(validation, "STRIDE", 400)
    monkeypatch.setattr(validation, "Settings", partial(Settings, steps=10))
    exported().save(Path("first.safetensors"))  # an integer network
    first = load_weights("first.safetensors")
    Path("recipe.toml").write_text(to_toml({**first.recipe.to_dict(), "name": "tuned"}))
    assert Recipe.load(Path("recipe.toml")).network == first.recipe.network
    for i in range(3):
        image.save(np.roll(small_rgb, i, axis=0), Path(f"{i}.png"))
    ask = ["train", "recipe.toml", "--data", "0.png", "--validate", ".", "--set", "train.steps=1"]
    told = run(*ask, "--from", "first.safetensors")
    assert told.stdout == ""
    before, after = re.findall(r"(?:before|after) training: ([0-9.]+)", told.stderr)
    card = load_checkpoint("runs/tuned/model.safetensors").card["validation"]
    assert card["before"]["images"] == card["after"]["images"] == 3
    assert (f"{card['before']['bpd']:.4f}", f"{card['after']['bpd']:.4f}") == (before, after)
    held_out = validation.HeldOut.load(Path("."), first.recipe.train)
    assert held_out.bound(first) == card["before"] != card["after"]


def test_a_full_disk_is_told_in_one_sentence(
    run: Run, small_rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("recipe.toml").write_text(RECIPE)
    image.save(small_rgb, Path("images.png"))
    monkeypatch.setattr(os, "fsync", full)
    told = run("train", "recipe.toml", "--data", "images.png", "-q", code=1)
    assert told.stderr == ("diffcodec: runs/small/model.safetensors: No space left on device\n")


def test_interrupted_training_says_how_to_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcodec.training import train as training

    def train(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    Path("recipe.toml").write_text(RECIPE)
    told = run("train", "recipe.toml", "--data", ".", code=130)
    assert "the same command resumes" in told.stderr and "interrupted" in told.stderr


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["missing.toml", "--data", "."], "cannot read the recipe missing.toml: No such file"),
        ([".", "--data", "."], "cannot read the recipe .: Is a directory"),
        (["recipe.toml", "--data", "nowhere"], "nowhere does not exist"),
        (["recipe.toml", "--data", "empty"], "empty holds no images"),
        (["recipe.toml", "--data", ".", "--set", "train.speed=9"], '"train.speed" is not a field'),
        (["recipe.toml", "--data", ".", "--set", "train.steps=often"], "train.steps must be int"),
        (["recipe.toml", "--data", "a.png", "--set", "train.crop=998"], "no readable image"),
    ],
)
def test_training_errors_are_one_sentence(
    run: Run, small_rgb: Pixels, args: list[str], reason: str
) -> None:
    Path("recipe.toml").write_text(RECIPE)
    image.save(small_rgb, Path("a.png"))
    os.mkdir("empty")
    told = run("train", *args, "-q", code=1)
    assert reason in told.stderr and told.stdout == ""
