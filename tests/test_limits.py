"""Files that ask for too much: refused by their headers before any work, or stopped in time."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcodec import Codec, api, pillow
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.group import GroupCoder
from diffcodec.archive.reading import extract_pictures
from diffcodec.archive.source import Source
from diffcodec.bitstream.adaptive import KERNEL
from diffcodec.bitstream.archive_group import Entry
from diffcodec.bitstream.archive_header import read_header
from diffcodec.bitstream.container import MAX_NODES, MAX_PIXELS, parse_header
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.types import Float32
from diffcodec.cli import limit_options
from diffcodec.errors import OptionError
from diffcodec.golden import FOLDER, NETWORK
from diffcodec.limits import ANY, USUAL, Deadline, Limits, OverLimit, memory_of
from diffcodec.progressive.stand_alone import decode_alone, encode_alone
from diffcodec.theory.denoiser import Denoiser
from tests.command import invoke
from tests.synthetic import synthetic_image


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_pretrained(NETWORK, 1)


def golden(name: str = "colour.dfc") -> bytes:
    return (FOLDER / name).read_bytes()


def claiming(width: int, height: int, nodes: int = MAX_NODES) -> bytes:
    """A file of 700 bytes whose header claims this much."""
    header, head = parse_header(golden())
    size = {"width": width, "height": height, "nodes": nodes, "chain": "linear"}
    return replace(header, **size, total_bytes=None).pack() + golden()[head:]  # type: ignore[arg-type]


class Slow:
    """A denoiser that takes 20 ms."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser, self.calls = denoiser, 0

    def __call__(self, y: Float32, v: float) -> Float32:
        self.calls += 1
        time.sleep(0.02)
        return self.denoiser(y, v)


@dataclass(frozen=True)
class Patience(Deadline):
    """A deadline that comes with a certain question."""

    which: int = 0
    questions: list[None] = field(default_factory=list)

    def check(self, done: int = 0) -> None:
        self.questions.append(None)
        if self.asked == self.which:
            raise OverLimit("tired")

    @property
    def asked(self) -> int:
        return len(self.questions)


def slow(codec: Codec) -> tuple[Codec, Slow]:
    denoiser = Slow(codec.denoiser)
    name = {"name": "slow", "fingerprint": codec.fingerprint}
    return Codec(denoiser, codec.tables, **name), denoiser  # type: ignore[arg-type]


class TestHeaders:
    @pytest.mark.parametrize("size", [(8192, 8192), (MAX_PIXELS, 1), (1, MAX_PIXELS)])
    def test_a_bomb_is_refused_before_any_work(self, size: tuple[int, int]) -> None:
        data = claiming(*size)
        assert len(data) < 800
        with pytest.raises(OverLimit, match="GiB of memory"):
            api.decode(data, "no such network")

    def test_so_are_cuts_and_steps_and_what_pillow_opens(
        self, codec: Codec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for images in (codec.progressive, lambda data: codec.decode_cuts(data, [100])):
            with pytest.raises(OverLimit):
                next(images(claiming(8192, 8192)))
        monkeypatch.setattr(pillow, "NETWORKS", [NETWORK])
        monkeypatch.setattr(pillow, "LIMITS", Limits(max_pixels=251))
        with pytest.raises(OSError, match="251 pixels"):
            Image.open(io.BytesIO(golden())).load()

    def test_narrow_images_take_more(self) -> None:
        """As measured: 2^18 rows of a pixel took 0.5 GiB with `photo`, a square took 0.16."""
        narrow, square = memory_of((1 << 18, 1), 3, 8), memory_of((512, 512), 3, 8)
        assert narrow - square > 350 << 20
        with pytest.raises(OverLimit, match="GiB of memory"):
            api.decode(claiming(1, 1 << 21), "no such network")

    def test_each_limit_has_its_sentence(self, codec: Codec) -> None:
        with pytest.raises(OverLimit, match=r"18 x 14 pixels has more than the 251 pixels"):
            codec.decode(golden(), limits=Limits(max_pixels=251))
        assert codec.decode(golden(), limits=Limits(max_pixels=252)).lossless
        need = memory_of((14, 18), 3, 8)
        with pytest.raises(OverLimit, match="--max-memory"):
            codec.decode(golden(), limits=Limits(max_memory=need - 1))
        assert codec.decode(golden(), limits=Limits(max_memory=need)).lossless

    def test_info_says_what_decoding_takes_and_refuses_it_if_asked(self) -> None:
        data = claiming(8192, 8192)
        assert api.info(data)["decoding_memory"] > USUAL.max_memory
        with pytest.raises(OverLimit):
            api.info(data, limits=USUAL)

    @pytest.mark.parametrize("name", ["max_pixels", "max_seconds", "max_memory"])
    @pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "4G", True])
    def test_no_limits_are_refused(self, name: str, value: object) -> None:
        with pytest.raises(OptionError, match=name):
            Limits(**{name: value})  # type: ignore[arg-type]


class TestSeconds:
    def test_steps_stop_at_the_deadline(self, codec: Codec) -> None:
        lazy, denoiser = slow(codec)
        began = time.monotonic()
        with pytest.raises(OverLimit, match=r"0\.05 seconds that are allowed, \d of 11 steps done"):
            lazy.decode(golden(), limits=Limits(max_seconds=0.05))
        assert denoiser.calls <= 4 and time.monotonic() - began < 5
        assert lazy.decode(golden(), limits=ANY).lossless and denoiser.calls > 10

    @pytest.mark.parametrize("name", ["alpha.dfc", "alone.dfc", "narrow.dfc", "pixels.dfc"])
    def test_so_do_strips_blocks_and_alpha(self, codec: Codec, name: str) -> None:
        with pytest.raises(OverLimit, match="longer than"):
            codec.decode(golden(name), limits=Limits(max_seconds=1e-9))

    @pytest.mark.parametrize("workers", [1, 2])
    def test_they_stop_within_a_strip(self, workers: int) -> None:
        pixels = synthetic_image(*((600, 64) if KERNEL else (6, 8)), 3, seed=0)
        data = encode_alone(pixels, RGB8, level=0).data
        short, long = Patience(which=3), Patience()
        with pytest.raises(OverLimit, match="tired"):
            decode_alone(data, pixels.shape[:2], RGB8, workers, short)
        assert short.asked == 3
        assert np.array_equal(decode_alone(data, pixels.shape[:2], RGB8, workers, long), pixels)
        assert long.asked >= 6

    def test_hours_ahead_are_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        monkeypatch.setattr("diffcodec.limits.time.monotonic", lambda: now[0])
        deadline = Deadline(3600, 1000, began=0.0)
        now[0] = 30.0
        with pytest.raises(OverLimit, match="would take about 30,000 seconds"):
            deadline.check(1)
        deadline.check(20)
        now[0] = 1.0
        deadline.check(0)


class TestArchives:
    def test_large_images_are_named_and_the_others_come_out(self) -> None:
        stream = io.BytesIO()
        sizes = {"small.png": 6, "large.png": 40, "last.png": 7}
        sources = [Source(n, synthetic_image(s, s, 3, s)) for n, s in sizes.items()]
        write_archive(None, sources, stream, make_header(None, network="never"))
        found = {
            one.image.name: one.found
            for one in extract_pictures(None, stream, limits=Limits(max_pixels=100))
        }
        assert isinstance(found["large.png"], OverLimit)
        for source in sources[::2]:
            pixels = found[source.name]
            assert isinstance(pixels, np.ndarray) and np.array_equal(pixels, source.read())
        with pytest.raises(OverLimit, match="the list of 3 images"):
            contents(stream, limits=Limits(max_memory=1000))

    def test_so_do_those_of_a_stack(self, codec: Codec) -> None:
        most = Limits(max_pixels=8 * 8)
        found = [*extract_pictures(codec, io.BytesIO(golden("adaptive.dfa")), limits=most)]
        beyond = [one.image.shape[:2] for one in found if isinstance(one.found, OverLimit)]
        assert beyond == [(11, 7)] and len(found) == 9
        assert all(isinstance(one.found, np.ndarray) for one in found[:-1])

    def test_tiny_tiles_count_as_a_network_pads_them(self, codec: Codec) -> None:
        with io.BytesIO(golden("adaptive.dfa")) as file:
            coder = GroupCoder(codec, read_header(file))
        many = coder._memory(10_000 * [(1, 1, 3)], [Entry(10_000, 0)])
        assert many > 10_000 * 32 * 32 * 300

    @pytest.mark.parametrize(
        "some", [Limits(max_memory=1 << 20), Limits(max_seconds=1e-9), Limits(max_pixels=10)]
    )
    def test_stacks_have_limits_too(self, codec: Codec, some: Limits) -> None:
        for name in ("archive.dfa", "adaptive.dfa", "tiles.dfa"):
            for one in extract_pictures(codec, io.BytesIO(golden(name)), limits=some):
                assert isinstance(one.found, OverLimit)


class TestCommands:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("a.dfc").write_bytes(golden())
        Path("a.dfa").write_bytes(golden("plain.dfa"))

    @pytest.mark.parametrize(
        "option", [("--max-pixels", 251), ("--max-seconds", "0.0001"), ("--max-memory", "640M")]
    )
    def test_decode_refuses_in_a_sentence_and_writes_nothing(
        self, option: tuple[str, object]
    ) -> None:
        said = invoke("decode", "a.dfc", "a.png", "-m", NETWORK, *option, code=1)
        assert said.stderr.count("\n") == 1 and option[0] in said.stderr
        assert not Path("a.png").exists()

    def test_any_lifts_a_limit(self) -> None:
        Path("b.dfc").write_bytes(claiming(8192, 8192))
        assert "--max-memory" in invoke("decode", "b.dfc", "-m", NETWORK, code=1).stderr
        lifted = ("--max-memory", "any", "--max-pixels", "1k")
        assert "--max-pixels" in invoke("decode", "b.dfc", "-m", NETWORK, *lifted, code=1).stderr
        invoke("decode", "a.dfc", "-m", NETWORK, "--max-seconds", "any", *lifted)

    def test_extract_names_what_it_refuses(self) -> None:
        told = invoke("extract", "a.dfa", "-o", "out", "--json", "--max-pixels", 250, code=1)
        record = json.loads(told.stdout)
        assert record["images"] == ["1.png"] and "0.png" in record["refused"][0]
        assert not record["lost"] and "--max-pixels" in told.stderr

    def test_info_has_none_unless_asked(self) -> None:
        Path("b.dfc").write_bytes(claiming(8192, 8192))
        invoke("info", "b.dfc")
        assert "--max-memory" in invoke("info", "b.dfc", "--max-memory", "1G", code=1).stderr

    @pytest.mark.parametrize("value", ["0", "-3", "x", "nan", "", "1T"])
    def test_other_amounts_are_usage_errors(self, value: str) -> None:
        said = invoke("decode", "a.dfc", f"--max-memory={value}", code=2)
        assert said.stderr.count("\n") == 1

    def test_the_defaults_are_those_of_the_api(self) -> None:
        amounts = [
            limit_options.Amount(True).convert(limit_options.PIXELS, None, None),
            limit_options.Amount(False).convert(limit_options.SECONDS, None, None),
            limit_options.Amount(True).convert(limit_options.MEMORY, None, None),
        ]
        assert Limits(*amounts) == USUAL
