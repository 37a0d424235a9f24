"""Whatever is wrong with the input or the output: one line on stderr, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffcodec import image
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import GREY8, RGB8
from diffcodec.bitstream.step_codes import STEP_CODES, StepCode
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Pixels
from diffcodec.cli.main import main
from tests.synthetic import synthetic_image

if TYPE_CHECKING:
    from diffcodec import Codec

Refuse = Callable[..., str]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command that must fail in one sentence and leave the folder as it is."""
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str | Path, code: int = 1, input: bytes | None = None) -> str:
        before = snapshot(tmp_path)
        result = CliRunner().invoke(main, [str(a) for a in args], input=input)
        assert result.exit_code == code, (result.stderr, result.exception)
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        assert result.stderr.startswith("diffcodec: ") and result.stderr.count("\n") == 1
        assert snapshot(tmp_path) == before
        return result.stderr

    return invoke


@pytest.fixture(scope="session")
def coded(tiny_codec: Codec) -> bytes:
    """A whole file of several layers, each of which must be intact."""
    pixels = synthetic_image(24, 24, 3, seed=3)
    data = tiny_codec.encode(pixels, code="trellis:8", residual="gaussian")
    assert tiny_codec.open(data).payload.layers >= 2
    return data


# --- inputs that are not what they should be ----------------------------------------------------


@pytest.mark.parametrize("command", ["encode", "decode", "info", "truncate"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("directory", "directory"),
        (b"", "empty"),
        (b"hello, world\n", "not a"),
        (bytes(range(256)), "not a"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not a"),
    ],
    ids=["missing", "directory", "empty", "text", "random", "jpeg"],
)
def test_inputs_that_are_something_else(
    refuse: Refuse, tiny_network: Path, command: str, content: bytes | str | None, reason: str
) -> None:
    path = Path("in.dfc")
    if content == "directory":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    output = {"info": [], "encode": ["out.dfc"]}.get(command, ["out.png"])
    options = ["--bytes", "50"] if command == "truncate" else []
    message = refuse(command, path, *output, *options, "-m", tiny_network)
    assert "in.dfc" in message
    if not (command == "encode" and content == b"\xff\xd8\xff\xe0\x00\x10JFIF"):
        assert reason in message
    if isinstance(content, bytes):
        piped = refuse(command, "-", *output, *options, "-m", tiny_network, input=content)
        assert "input" in piped


def test_an_unreadable_file(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in.png").write_bytes(b"secret")
    read = open

    def denied(path: Any, *mode: Any, **options: Any) -> Any:
        if str(path) == "in.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path, *mode, **options)

    monkeypatch.setattr("builtins.open", denied)
    monkeypatch.setattr(Path, "read_bytes", lambda path: denied(path, "rb").read())
    assert refuse("encode", "in.png") == "diffcodec: in.png: Permission denied\n"
    assert refuse("decode", "in.png", "out.png") == "diffcodec: in.png: Permission denied\n"


@pytest.mark.parametrize(
    "args", [["encode", "."], ["decode", "."], ["info", ".."], ["decode", ""], ["encode", "a", ""]]
)
def test_odd_paths(refuse: Refuse, args: list[str]) -> None:
    refuse(*args)


def test_images_that_would_lose_something(refuse: Refuse, tiny_network: Path) -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 255)]
    frames[0].save("two.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (8, 8)).save("cmyk.jpg")
    for name, choice in [("two.gif", "--frame"), ("cmyk.jpg", "--convert rgb")]:
        assert choice in refuse("encode", name, "out.dfc", "-m", tiny_network)


# --- networks -----------------------------------------------------------------------------------


def test_networks_that_are_not_there_or_not_right(
    refuse: Refuse, coded: bytes, tiny_network: Path, small_rgb: Pixels
) -> None:
    Path("a.dfc").write_bytes(coded)
    image.save(small_rgb, Path("a.png"))
    good = tiny_network.read_bytes()
    altered = bytearray(good)
    altered[-1] ^= 1
    contents = {
        "altered": (bytes(altered), "was altered"),
        "cut": (good[:-100], "not a network file"),
        "text": (b"hello", "not a network file"),
        "empty": (b"", "not a network file"),
    }
    for name, (content, reason) in contents.items():
        Path(f"{name}.safetensors").write_bytes(content)
        for args in (["encode", "a.png", "out.dfc"], ["decode", "a.dfc", "out.png"]):
            assert reason in refuse(*args, "-m", f"{name}.safetensors")
    for model in ("nonesuch", "missing.safetensors", "."):
        refuse("encode", "a.png", "out.dfc", "-m", model)
        refuse("decode", "a.dfc", "out.png", "-m", model)


def test_another_network(
    refuse: Refuse, coded: bytes, tiny_network: Path, small_rgb: Pixels
) -> None:
    from dataclasses import replace

    from diffcodec.exact.stored import load_integers

    tiny = load_integers(tiny_network)
    replace(tiny, sigma_data=0.25).save(Path("other.safetensors"))
    replace(tiny, facts={**tiny.facts, "tables": {}}).save(Path("fresh.safetensors"))
    Path("a.dfc").write_bytes(coded)
    image.save(small_rgb, Path("a.png"))
    for args in (["decode", "-f"], ["info"], ["truncate", "b.dfc", "--steps", "1"]):
        message = refuse(args[0], "a.dfc", *args[1:], "-m", "other.safetensors")
        assert "made with network" in message and tiny.fingerprint.hex() in message
    assert "calibrate" in refuse("encode", "a.png", "-f", "-m", "fresh.safetensors")
    unknown = refuse("decode", "a.dfc", "out.png")  # no shipped network has this fingerprint
    assert tiny.fingerprint.hex() in unknown and "--model" in unknown


def test_a_float_network(
    refuse: Refuse, coded: bytes, tiny_network: Path, tiny_float: Path, small_rgb: Pixels
) -> None:
    Path("a.dfc").write_bytes(coded)
    image.save(small_rgb, Path("a.png"))
    Path("set").mkdir()
    image.save(small_rgb, Path("set/a.png"))
    for args in (
        ["decode", "a.dfc", "b.png"],
        ["info", "a.dfc"],
        ["truncate", "a.dfc", "b.dfc", "--steps", "1"],
    ):
        assert "was made with network" in refuse(*args, "-m", tiny_float)
    assert refuse("archive", "set", "b.dfa", "-m", tiny_float) == (
        "diffcodec: bits-back coding needs every bit of what a network says, and tiny is made of "
        "floats: run diffcodec export on it, encode images one by one, or leave the network out "
        "(--network never)\n"
    )
    told = refuse("encode", "a.png", "b.dfc", "-m", tiny_float, "--backend", "compiled")
    assert "tiny is a float network" in told and "cpu or cuda" in told
    told = refuse("encode", "a.png", "b.dfc", "-m", tiny_float, "--class", "3")
    assert "tiny knows no classes" in told
    told = refuse("calibrate", tiny_network, "--data", "a.png")
    assert "is an integer network" in told and "float one" in told
    told = refuse("nll", "a.png", "-m", tiny_network, "--device", "cuda")
    assert "CUDA" in told or "CPU only" in told


def test_a_network_of_a_newer_program(
    refuse: Refuse, coded: bytes, tiny_network: Path, small_rgb: Pixels
) -> None:
    data = tiny_network.read_bytes()
    size = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + size].replace(rb"\"structure\":{", rb"\"structure\":{\"version\":99,")
    assert text.count(rb"\"version\":99") == 1
    text += b" " * (-len(text) % 8)
    Path("new.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    Path("a.dfc").write_bytes(coded)
    image.save(small_rgb, Path("a.png"))
    for args in (["encode", "a.png", "b.dfc"], ["decode", "a.dfc", "b.png"]):
        assert refuse(*args, "-m", "new.safetensors") == (
            "diffcodec: new.safetensors is an integer network of version 99, which this program "
            "does not know; get a newer diffcodec\n"
        )


def test_an_altered_integer_network(refuse: Refuse, coded: bytes, tiny_network: Path) -> None:
    """Every kind of number in it counts: weights, tables, structure."""
    data = tiny_network.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    texts = [data[:start].replace(rb"\"shift\":3", rb"\"shift\":4")]
    texts.append(re.sub(rb'(prior_variance\\":0\.\d*)\d', rb"\g<1>7", data[:start]))
    contents = [text + data[start:] for text in texts]
    contents += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in (start, start + 9999)]
    Path("a.dfc").write_bytes(coded)
    for i, content in enumerate(contents):
        assert len(content) == len(data) and content != data, i
        Path("altered.safetensors").write_bytes(content)
        for args in (["decode", "a.dfc", "-f"], ["info", "a.dfc"]):
            assert "was altered" in refuse(*args, "-m", "altered.safetensors")


def test_info_needs_no_network(
    coded: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.dfc").write_bytes(coded)
    facts = json.loads(CliRunner().invoke(main, ["info", "a.dfc", "--json"]).stdout)
    assert facts["model"] is None and (facts["width"], facts["height"]) == (24, 24)


# --- damage -------------------------------------------------------------------------------------


def test_a_flipped_byte_of_a_whole_file_never_goes_unnoticed(
    coded: bytes, tiny_codec: Codec
) -> None:
    for at in range(len(coded)):
        for flip in (0x01, 0x80):
            damaged = bytearray(coded)
            damaged[at] ^= flip
            with pytest.raises(BitstreamError) as damage:
                tiny_codec.decode(bytes(damaged))
            assert "\n" not in str(damage.value), at


def test_a_flipped_byte_of_a_cut_file_is_noticed_in_its_verified_layers(
    coded: bytes, tiny_codec: Codec, tiny_network: Path
) -> None:
    from diffcodec import info

    verified = info(coded[:-300], tiny_network)["bytes_verified"]
    assert verified > 100
    cut = coded[: verified + 40]
    assert info(cut, tiny_network)["bytes_verified"] == verified
    for at in range(len(cut)):
        damaged = bytearray(cut)
        damaged[at] ^= 0x10
        if at < verified:
            with pytest.raises(BitstreamError):
                tiny_codec.decode(bytes(damaged))
        else:
            try:
                decoded = tiny_codec.decode(bytes(damaged))
            except BitstreamError:
                continue
            assert decoded.pixels.shape == (24, 24, 3) and not decoded.lossless


def test_damage_in_one_sentence(refuse: Refuse, coded: bytes, tiny_network: Path) -> None:
    _, start = parse_header(coded)
    version = coded[:4] + bytes([99]) + coded[5:]
    cases = {
        "version 99": version,
        "header is damaged": coded[:10] + b"?" + coded[11:],
        "checksum": coded[: start + 9] + bytes([coded[start + 9] ^ 1]) + coded[start + 10 :],
        "damaged": coded + b"more",
        "cut inside its header": coded[: start - 1],
        "cut": coded[:5],
    }
    for reason, data in cases.items():
        Path("bad.dfc").write_bytes(data)
        for args in (["decode", "bad.dfc", "out.png"], ["info", "bad.dfc"]):
            message = refuse(*args, "-m", tiny_network)
            assert reason in message and "bad.dfc" in message
    Path("good.dfc").write_bytes(coded)
    for command in ("decode", "truncate"):
        assert "header" in refuse(command, "good.dfc", "o.png", "--bytes", "9", "-m", tiny_network)


def test_every_prefix_is_a_image_or_says_that_its_header_is_cut(
    coded: bytes, tiny_codec: Codec
) -> None:
    _, start = parse_header(coded)
    for length in range(0, start):
        with pytest.raises(BitstreamError, match=r"cut|empty"):
            tiny_codec.decode(coded[:length])
    for length in [*range(start, start + 12), *range(start + 12, len(coded), 101)]:
        decoded = tiny_codec.decode(coded[:length])
        assert decoded.bytes_used == length and not decoded.lossless


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"width": 2**26 + 1, "height": 1}, "limits"),
        ({"width": 2**20, "height": 2**20}, "limits"),
        ({"width": 0}, "limits"),
        ({"nodes": 1001}, "limits"),
        ({"nodes": 7}, "chain"),
        ({"nodes": 0}, "chain"),
    ],
)
def test_hostile_headers(
    refuse: Refuse, tiny_codec: Codec, tiny_network: Path, fields: dict[str, int], reason: str
) -> None:
    fair: dict[str, Any] = {"width": 8, "height": 8, "nodes": 6, **fields}
    header = Header(
        format=RGB8, fingerprint=tiny_codec.fingerprint, code=Trellis(8), chain="own", **fair
    )
    data = header.pack() + bytes(100)
    assert reason in refuse("decode", "-", "out.png", "-m", tiny_network, input=data)
    refuse("info", "-", "-m", tiny_network, input=data)


@settings(max_examples=60, deadline=None)
@given(
    payload=st.binary(max_size=400),
    total=st.none() | st.integers(0, 2000),
    code=st.sampled_from(STEP_CODES),
)
def test_any_payload_is_an_image_or_one_sentence(
    tiny_codec: Codec, payload: bytes, total: int | None, code: StepCode
) -> None:
    header = Header(
        width=9,
        height=7,
        format=GREY8,
        fingerprint=tiny_codec.fingerprint,
        code=code,
        chain="own",
        nodes=6,
        total_bytes=total,
    )
    try:
        decoded = tiny_codec.decode(header.pack() + payload)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert decoded.pixels.shape == (7, 9, 1)


# --- outputs ------------------------------------------------------------------------------------


def test_outputs_that_cannot_be_written(
    refuse: Refuse, coded: bytes, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.dfc").write_bytes(coded)
    Path("folder").mkdir()
    decode = ["decode", "a.dfc", "-m", tiny_network]
    assert "missing is not a directory" in refuse(*decode, "missing/a.png")
    assert "a.dfc is not a directory" in refuse(*decode, "a.dfc/a.png")
    assert "name a folder for results with -o" in refuse(*decode, "folder")
    assert "name a folder for results with -o" in refuse(*decode, "folder", "-f")
    assert "a.gif does not exist; name a result with -o" in refuse(*decode, "a.gif")
    assert "written over itself" in refuse("truncate", "a.dfc", "./a.dfc", "--bytes", "99", "-f")
    os.link("a.dfc", "b.dfc")
    assert "written over itself" in refuse("truncate", "a.dfc", "b.dfc", "--bytes", "99", "-f")
    Path("a.png").write_bytes(b"precious")
    assert "a.png exists" in refuse(*decode)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        assert "Permission denied" in refuse(*decode, "new.png")


def test_no_room(
    refuse: Refuse, coded: bytes, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.dfc").write_bytes(coded)
    Path("a.png").write_bytes(b"precious")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for target in ("new.png", "a.png"):
        message = refuse("decode", "a.dfc", target, "-f", "-q", "-m", tiny_network)
        assert message == f"diffcodec: {target}: No space left on device\n"


@pytest.mark.parametrize("chain", ["13", "ddpm:0", "ddpm:many", "euler:50", "ddpm:9999", "own"])
def test_chains_that_do_not_exist(
    refuse: Refuse, small_rgb: Pixels, tiny_network: Path, chain: str
) -> None:
    image.save(small_rgb, Path("a.png"))
    refuse("encode", "a.png", "--chain", chain, "-m", tiny_network)
    if chain == "13":
        assert "at least" in refuse("encode", "a.png", "--bytes", "5", "-m", tiny_network)


@pytest.mark.parametrize("chain", ["quadratic:50", "sigmoid:50"])
def test_chains_that_no_header_can_name(
    refuse: Refuse, small_rgb: Pixels, tiny_network: Path, chain: str
) -> None:
    image.save(small_rgb, Path("a.png"))
    told = refuse("encode", "a.png", "--chain", chain, "-m", tiny_network)
    assert f"no header can name the {chain[:-3]} schedule: " in told
    assert f"diffcodec nll --chain {chain} measures" in told
