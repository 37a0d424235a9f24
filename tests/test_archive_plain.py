"""Archives with images that need no network: which they are, and that they need none."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcodec.accounting.trace import Clock
from diffcodec.archive import account, choice
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.groups import Source
from diffcodec.archive.reading import extract
from diffcodec.bitstream.archive import Group, pack_end, read_groups
from diffcodec.bitstream.archive_header import read_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.codec import Codec
from diffcodec.eval.robustness.fuzz.dfa_parts import GroupParts
from diffcodec.image import load, save
from diffcodec.theory.chain import choose_chain
from tests.command import invoke
from tests.gaussian import gaussian_image
from tests.mixed_archive import CODEC, PLAIN, check, compiled, held, mixed, read, write
from tests.synthetic import synthetic_image

DOG = Path(__file__).parent / "images" / "dog.png"


class NoDenoiser:
    """Fails when it is asked."""

    def __call__(self, y: Float32, v: float) -> Float32:
        raise AssertionError("the network was run")

    def batch(self, y: Float32, v: float) -> Float32:
        raise AssertionError("the network was run")


WITHOUT = Codec(NoDenoiser(), CODEC.tables, name="gaussian", fingerprint=CODEC.fingerprint)


def on_a_grid(pixels: Pixels) -> Pixels:
    """A photograph as JPEG leaves its colours."""
    return np.array(Image.fromarray(pixels).convert("YCbCr").convert("RGB"))


@compiled
class TestChoice:
    def test_a_photograph_on_a_colour_grid(self, tmp_path: Path) -> None:
        codec, path = Codec.from_pretrained("photo", 1), tmp_path / "a.dfa"
        photograph = on_a_grid(load(DOG)[64:192, 64:192])
        header = make_header(codec, "25")
        written = write_archive(codec, [Source("a.png", photograph)], path, header)
        assert (written.spent.plain_images, written.spent.plain_values) == (1, photograph.size)
        assert np.array_equal(read(path, None)["a.png"], photograph)
        always = make_header(codec, "25", network="always", residual="gaussian")
        other = write_archive(codec, [Source("a.png", photograph)], tmp_path / "b.dfa", always)
        assert written.file_bytes < 0.9 * other.file_bytes

    def test_small_images_that_the_network_knows(self, tmp_path: Path) -> None:
        some = [Source(f"{i}.png", gaussian_image(i)) for i in range(8)]
        assert write(tmp_path / "a.dfa", some).spent.plain_images == 0
        check(tmp_path / "a.dfa", some)

    def test_each_image_of_a_group(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dfa"
        written = write(path, mixed())
        assert written.groups == 1 and set(held(path).plain_bytes) == PLAIN
        check(path, mixed())
        ledger = account.ledger(written, choose_chain("25", CODEC.tables))  # checks its sum
        assert ledger.file_bytes == path.stat().st_size
        assert ledger.kinds()["plain"][0] == 8 * sum(held(path).plain_bytes.values())
        assert path.stat().st_size < write(tmp_path / "b.dfa", mixed(), "always").file_bytes

    def test_always_is_the_network_for_all(self, tmp_path: Path) -> None:
        written = write(tmp_path / "a.dfa", mixed(), "always")
        header = held(tmp_path / "a.dfa").header
        assert written.spent.plain_images == 0 and not header.plain and header.version == 3
        check(tmp_path / "a.dfa", mixed())

    def test_the_estimate_is_near(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(40)]
        some = [Source(f"{i:02}.png", pixels) for i, pixels in enumerate(images)]
        written = write(tmp_path / "a.dfa", some, "always")
        header = make_header(CODEC, "25")
        bits = choice.Estimate(CODEC, header, Clock()).bits(images)
        balance = written.spent.balance
        assert bits.sum() / sum(p.size for p in images) == pytest.approx(
            written.net_bits / balance.values, rel=0.05
        )

    def test_processes_do_not_change_a_bit(self, tmp_path: Path, tiny_network: Path) -> None:
        codec = Codec.from_pretrained(tiny_network)
        some = [Source(f"{i}.png", synthetic_image(16, 16, 3, i)) for i in range(3)]
        for network in ("auto", "never"):
            header = make_header(codec, "6", network=network)
            for n in (1, 2):
                target = tmp_path / f"{network}{n}.dfa"
                write_archive(codec, some, target, header, processes=n, model=str(tiny_network))
            one, two = ((tmp_path / f"{network}{n}.dfa").read_bytes() for n in (1, 2))
            assert one == two


class TestWithoutNetwork:
    def test_never(self, tmp_path: Path) -> None:
        some = [Source(f"{i}.png", gaussian_image(i)[:6, :8].copy()) for i in range(3)]
        some.append(Source("grey.png", gaussian_image(3)[:5, :7, :1].copy()))
        path = tmp_path / "a.dfa"
        write_archive(WITHOUT, some, path, make_header(None, network="never"))
        data = path.read_bytes()
        written = write_archive(None, some, path, make_header(WITHOUT, network="never"))
        assert path.read_bytes() == data and written.spent.plain_images == 4
        assert not held(path).header.nodes and not held(path).needs_network()
        check(path, some, None)
        check(path, some, WITHOUT)
        assert account.ledger(written, None).file_bytes == len(data)  # checks its sum

    @compiled
    def test_plain_images_are_extracted_without(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dfa"
        write(path, mixed())
        assert held(path).needs_network() and not held(path).needs_network(PLAIN)
        for codec in (None, WITHOUT):
            got = read(path, codec, sorted(PLAIN))
            assert all(np.array_equal(got[s.name], s.read()) for s in mixed() if s.name in PLAIN)
        with pytest.raises(BitstreamError, match="need the network"):
            read(path, None)
        got = read(path, names=["2.png"])
        assert np.array_equal(got["2.png"], gaussian_image(2))

    @compiled
    def test_one_name_for_all(self, tmp_path: Path) -> None:
        """No writer makes that: an image on the stack that is called as a plain one is."""
        write(tmp_path / "a.dfa", mixed())
        file = io.BytesIO((tmp_path / "a.dfa").read_bytes())
        header = read_header(file)
        start = file.tell()
        (group,) = read_groups(file, header.listed, header.rich)
        assert isinstance(group, Group)
        parts = GroupParts.of(file, header, group)
        parts.lists[1] = 9 * ["1.png"]
        same = io.BytesIO(file.getvalue()[:start] + parts.pack() + pack_end(1, 9))
        assert contents(same).needs_network() and contents(same).needs_network(["1.png"])
        for names in (None, ["1.png"]):
            with pytest.raises(BitstreamError, match="need the network"):
                list(extract(None, same, names))
            assert len(list(extract(CODEC, same, names))) == 9

    def test_commands(self, tmp_path: Path) -> None:
        folder, out = tmp_path / "in", tmp_path / "a.dfa"
        folder.mkdir()
        save(synthetic_image(8, 9, 3, 1), folder / "a.png")
        save(synthetic_image(7, 5, 1, 2), folder / "b.png")
        ledger = tmp_path / "ledger.json"
        made = invoke("archive", folder, out, "--network", "never", "--json", "--ledger", ledger)
        facts = json.loads(made.stdout)
        assert facts["model"] is None and facts["plain_images"] == 2
        assert facts["plain_bits"] + 8 * facts["head_bytes"] == 8 * facts["bytes"]
        assert json.loads(ledger.read_text())["kinds"]["plain"]["spent_bits"] == facts["plain_bits"]
        listing = json.loads(invoke("list", out, "--json", "--check").stdout)
        assert [p["coding"] for p in listing["images"]] == ["plain", "plain"]
        assert sum(8 * p["bytes"] for p in listing["images"]) == facts["plain_bits"]
        assert invoke("list", out).stdout.count(" plain ") == 2
        invoke("extract", out, "-o", tmp_path / "back")
        for name in ("a.png", "b.png"):
            assert np.array_equal(load(folder / name), load(tmp_path / "back" / name))
        never = ("--network", "never", "-m", "photo", "-f")
        assert "leave out --model" in invoke("archive", folder, out, *never, code=2).stderr
