"""Archives: what goes in comes out; damage hits what it hits, and interruptions cost nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from diffcodec.archive import account as archive_account
from diffcodec.archive import archive as archives
from diffcodec.archive import group
from diffcodec.archive.account import Written
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import Contents, contents
from diffcodec.archive.groups import Source
from diffcodec.archive.reading import extract
from diffcodec.bitstream.directory import (
    ImageInfo,
    is_safe,
    next_name,
    pack_directory,
    parse_directory,
)
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.errors import ImageError, OptionError
from diffcodec.image import load, save
from diffcodec.progressive.plain import graphics_bytes
from diffcodec.theory.chain import choose_chain
from tests.command import invoke
from tests.gaussian import gaussian_codec, gaussian_image
from tests.synthetic import synthetic_image

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Float32

CODEC = gaussian_codec()


def small(number: int, *, grey: bool = False) -> Source:
    pixels = np.ascontiguousarray(gaussian_image(number)[:12, :9, : 1 if grey else 3])
    return Source(f"{'grey' if grey else 'small'}/{number}.png", pixels)


def drawing(number: int) -> Pixels:
    """(32, 32, 3): a bar on a ground."""
    pixels = np.full((32, 32, 3), 20 * number, np.uint8)
    pixels[number : 2 * number + 2, 5:20] = (200, 30, 10 * number)
    return pixels


def sources(n: int = 8) -> list[Source]:
    whole = [Source(f"set/{i:04}.png", gaussian_image(i)) for i in range(n)]
    return [small(0), *whole[: n // 2], small(1, grey=True), *whole[n // 2 :], small(2)]


def write(target: Path, some: Sequence[Source], chain: str = "6", **options: Any) -> Written:
    return write_archive(
        CODEC, some, target, make_header(CODEC, chain, network="always"), **options
    )


def read(path: Path, codec: Codec = CODEC, names: list[str] | None = None) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {p.name: pixels for p, pixels in extract(codec, file, names)}


def held(path: Path) -> Contents:
    with open(path, "rb") as file:
        return contents(file, check=True)


def check(path: Path, some: Sequence[Source]) -> None:
    got = read(path)
    assert sorted(got) == sorted(s.name for s in some)
    for source in some:
        assert np.array_equal(got[source.name], source.read())


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "GROUP_VALUES", 3 * 3072)


class TestRoundTrip:
    def test_mixed_sizes_and_modes(self, tmp_path: Path) -> None:
        written = write(tmp_path / "a.dfa", sources())
        check(tmp_path / "a.dfa", sources())
        assert written.images == 11 and written.groups == 1
        assert (tmp_path / "a.dfa").stat().st_size == written.file_bytes
        assert [p.name for p in tmp_path.iterdir()] == ["a.dfa"]

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_few_and_tiny_images(self, tmp_path: Path, n: int) -> None:
        tiny = [Source(f"{i}.png", gaussian_image(i)[i : i + 1, :1].copy()) for i in range(n)]
        write(tmp_path / "a.dfa", tiny)
        check(tmp_path / "a.dfa", tiny)

    @pytest.mark.parametrize(
        "drawings", [[0, 1], [3, 4, 7], range(9)], ids=["first", "some", "all"]
    )
    def test_drawings_take_no_more_than_as_webp(
        self, tmp_path: Path, drawings: Sequence[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some = [
            Source(f"{i}.png", drawing(i) if i in drawings else gaussian_image(i)) for i in range(9)
        ]
        written = write(tmp_path / "a.dfa", some)
        check(tmp_path / "a.dfa", some)
        for name in ("2.png", "7.png"):
            assert np.array_equal(
                read(tmp_path / "a.dfa", names=[name])[name], some[int(name[0])].read()
            )
        strips = sum(graphics_bytes(drawing(i).transpose(2, 0, 1)) for i in drawings)
        assert 0 < written.spent.graphics_bits < 8 * (strips + 24 * len(drawings))
        assert written.spent.graphics_values == 3072 * len(drawings)
        ledger = archive_account.ledger(written, choose_chain("6", CODEC.tables))  # checks its sum
        assert ledger.kinds()["graphics"][0] == written.spent.graphics_bits
        monkeypatch.setattr(group, "GRAPHICS_BPD", 0)
        without = write(tmp_path / "b.dfa", some).file_bytes
        if drawings == [3, 4, 7]:
            assert without > 1.02 * written.file_bytes
        else:  # while the stack has no bits yet, it makes no difference
            assert without == written.file_bytes

    def test_an_image_larger_than_its_tiles(self, tmp_path: Path) -> None:
        pixels = np.tile(gaussian_image(1), (2, 3, 1))[:50, :70]
        header = make_header(CODEC, "12", tile=32, network="always")
        written = write_archive(CODEC, [Source("a.png", pixels)], tmp_path / "a.dfa", header)
        assert (tmp_path / "a.dfa").stat().st_size == written.file_bytes
        assert np.array_equal(read(tmp_path / "a.dfa")["a.png"], pixels)

    def test_several_groups_and_one_image_of_them(
        self, tmp_path: Path, small_groups: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some = sources()
        write(tmp_path / "a.dfa", some)
        assert len(held(tmp_path / "a.dfa").groups) >= 3
        check(tmp_path / "a.dfa", some)
        calls = []
        batch = CODEC.denoiser.batch  # type: ignore[attr-defined]

        def counted(y: Float32, v: float) -> Float32:
            calls.append(len(y))
            return np.asarray(batch(y, v))

        monkeypatch.setattr(CODEC.denoiser, "batch", counted)
        top = held(tmp_path / "a.dfa").groups[-1].images[-1].name
        assert list(read(tmp_path / "a.dfa", names=[top])) == [top]
        one = sum(calls)
        read(tmp_path / "a.dfa")
        assert one < (sum(calls) - one) / 2

    def test_processes_do_not_change_a_bit(
        self, tmp_path: Path, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "GROUP_VALUES", 3 * 768)
        codec = Codec.from_pretrained(tiny_network)
        some = [Source(f"{i}.png", synthetic_image(16, 16, 3, i)) for i in range(7)]
        header = make_header(codec, "6", network="always")
        for processes in (1, 2):
            write_archive(
                codec,
                some,
                tmp_path / f"{processes}.dfa",
                header,
                processes=processes,
                model=str(tiny_network),
            )
        assert (tmp_path / "1.dfa").read_bytes() == (tmp_path / "2.dfa").read_bytes()

    def test_the_ledger_adds_up(self, tmp_path: Path) -> None:
        written = write(tmp_path / "a.dfa", sources(16), "25")
        ledger = archive_account.ledger(written, choose_chain("25", CODEC.tables))  # checks its sum
        assert ledger.file_bytes == (tmp_path / "a.dfa").stat().st_size
        kinds = ledger.kinds()
        spent, ideal = kinds["latent"]
        assert ideal is not None and spent == pytest.approx(ideal, rel=0.03)
        assert kinds["initial"][0] == written.spent.progressive_bits > 0
        assert ledger.ideal_bits is not None
        assert 8 * ledger.file_bytes < 1.02 * ledger.ideal_bits


class TestResume:
    def test_an_interrupted_call_goes_on_to_the_same_bytes(
        self, tmp_path: Path, small_groups: None
    ) -> None:
        some, target = sources(), tmp_path / "a.dfa"
        write(tmp_path / "whole.dfa", some)

        def interrupt(done: int, total: int) -> None:
            if done >= total // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write(target, some, progress=interrupt)
        assert not target.exists()
        with open(tmp_path / ".a.dfa.part", "ab") as part:
            part.write(b"half a group")
        written = write(target, some, resume=True)
        assert written.resumed >= 1
        assert target.read_bytes() == (tmp_path / "whole.dfa").read_bytes()
        assert not (tmp_path / ".a.dfa.part").exists()

    def test_changed_images_are_coded_again(self, tmp_path: Path, small_groups: None) -> None:
        some, target = sources(), tmp_path / "a.dfa"
        write(tmp_path / "part.dfa", some)
        (tmp_path / "part.dfa").rename(tmp_path / ".a.dfa.part")
        changed = [Source(s.name, 255 - s.read()) if s.name == "set/0007.png" else s for s in some]
        assert 0 < write(target, changed, resume=True).resumed < len(held(target).groups)
        check(target, changed)

    def test_another_chain_starts_afresh(self, tmp_path: Path, small_groups: None) -> None:
        write(tmp_path / "part.dfa", sources(6), chain="12")
        (tmp_path / "part.dfa").rename(tmp_path / ".a.dfa.part")
        assert write(tmp_path / "a.dfa", sources(6), resume=True).resumed == 0
        check(tmp_path / "a.dfa", sources(6))


class TestDamage:
    @pytest.mark.parametrize("where", ["mark", "head", "body"])
    def test_it_hits_one_group(self, tmp_path: Path, small_groups: None, where: str) -> None:
        some, path = sources(), tmp_path / "a.dfa"
        write(path, some)
        group = held(path).groups[1]
        data = bytearray(path.read_bytes())
        data[
            {"mark": group.offset, "head": group.offset + 12, "body": group.body_at + 99}[where]
        ] ^= 4
        path.write_bytes(data)
        damage = held(path).damage
        assert damage and damage[0].offset == group.offset
        got = read(path)
        lost = {p.name for p in group.images}
        for source in some:
            if source.name in lost:
                assert not isinstance(got.get(source.name), np.ndarray)
            else:
                assert np.array_equal(got[source.name], source.read())

    def test_every_cut_is_noticed(self, tmp_path: Path, small_groups: None) -> None:
        path = tmp_path / "a.dfa"
        write(path, sources(6))
        data = path.read_bytes()
        for length in [*range(24), *range(24, len(data), 97), len(data) - 1]:
            try:
                cut = contents(io.BytesIO(data[:length]), check=True)
            except BitstreamError:
                assert length < 24
            else:
                assert cut.damage

    def test_missing_groups_are_noticed(self, tmp_path: Path, small_groups: None) -> None:
        path = tmp_path / "a.dfa"
        write(path, sources(6))
        data, group = path.read_bytes(), held(path).groups[0]
        path.write_bytes(data[: group.offset] + data[group.end :])
        assert "missing" in held(path).damage[0].reason

    def test_another_network_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "a.dfa", sources(2))
        other = Codec(CODEC.denoiser, CODEC.tables, fingerprint=b"stranger")
        with pytest.raises(BitstreamError, match="made with network"):
            read(tmp_path / "a.dfa", other)

    def test_a_wrong_computation_is_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "a.dfa", sources())
        batch = CODEC.denoiser.batch  # type: ignore[attr-defined]
        monkeypatch.setattr(CODEC.denoiser, "batch", lambda y, v: batch(y, v) * np.float32(1.0001))
        found = read(tmp_path / "a.dfa")
        assert all(isinstance(f, BitstreamError) for f in found.values())

    def test_names_that_lead_elsewhere_are_refused(self) -> None:
        for name in ("../a.png", "/a.png", "a//b.png", "a/../b.png", "a\0.png", ".", ""):
            assert not is_safe(name)
            data = pack_directory([ImageInfo(name or "..", 1, 1, 3)])
            with pytest.raises(BitstreamError, match="leads elsewhere"):
                parse_directory(data)
        assert is_safe("a/b..c.png")

    def test_lists_of_nonsense_are_refused(self) -> None:
        import zlib

        texts = (b"", b"[]", b"[[[1,2,3,4]],[]]", b'[[[0,1,3,1]],["a"]]', b'[[[1,1,3,1]],[""]]')
        for text in (*texts, b'[[[1,1,2,1]],["a"]]', b'[[[1,1,3,1e99]],["a"]]', b"[" * 5000):
            with pytest.raises(BitstreamError):
                parse_directory(zlib.compress(text))


class TestSets:
    def test_empty_sets_and_names_twice_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="no image"):
            write(tmp_path / "a.dfa", [])
        with pytest.raises(OptionError, match="same name"):
            write(tmp_path / "a.dfa", [small(1), small(1)])
        assert not list(tmp_path.iterdir())

    def test_a_image_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "bad.png").write_bytes(b"no image")
        some = [small(1), Source("bad.png", tmp_path / "bad.png"), small(2)]
        with pytest.raises(ImageError):
            write(tmp_path / "a.dfa", some, stop_on_error=True)
        assert not (tmp_path / "a.dfa").exists()
        written = write(tmp_path / "a.dfa", some)
        assert [name for name, _ in written.skipped] == ["bad.png"]
        check(tmp_path / "a.dfa", [small(1), small(2)])

    @pytest.mark.parametrize(
        "name,after",
        [("a9.png", "a10.png"), ("007", "008"), ("x1/99.b2", "x1/99.b3"), ("none", "")],
    )
    def test_names_count_up(self, name: str, after: str) -> None:
        assert next_name(name) == after


class TestCommands:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "in"
        (folder / "deep").mkdir(parents=True)
        for i in range(5):
            save(synthetic_image(16, 16, 3, i), folder / f"{i}.png")
        save(synthetic_image(8, 20, 1, 7), folder / "deep" / "grey.pgm")
        return folder

    def test_archive_list_extract(self, folder: Path, tiny_network: Path, tmp_path: Path) -> None:
        out, back = tmp_path / "a.dfa", tmp_path / "back"
        model = ("-m", tiny_network)
        ledger = tmp_path / "ledger.json"
        options = ("--chain", "6", "--network", "always", "--json", "--ledger", ledger)
        made = invoke("archive", folder, out, *model, *options)
        facts = json.loads(made.stdout)
        assert facts["images"] == 6 and facts["bytes"] == out.stat().st_size
        assert json.loads(ledger.read_text())["file_bytes"] == out.stat().st_size
        listing = json.loads(invoke("list", out, "--json", "--check").stdout)
        assert {p["name"] for p in listing["images"]} >= {"3.png", "deep/grey.pgm"}
        assert "6 images" in invoke("list", out).stdout
        invoke("extract", out, "-o", back, *model)
        for path in folder.rglob("*.p?m"):
            assert np.array_equal(load(path), load(back / path.relative_to(folder)))
        assert "exists" in invoke("extract", out, "-o", back, *model, code=1).stderr
        one = tmp_path / "one"
        invoke("extract", out, "deep/grey.pgm", "-o", one, *model)
        assert [p.name for p in one.rglob("*.p*m")] == ["grey.pgm"]
        assert "no image called" in invoke("extract", out, "x", "-o", one, *model, code=1).stderr

    def test_bad_images_stop_or_are_skipped(
        self, folder: Path, tiny_network: Path, tmp_path: Path
    ) -> None:
        (folder / "2b.png").write_bytes((folder / "2.png").read_bytes()[:60])
        out, model = tmp_path / "a.dfa", ("-m", tiny_network)
        options = (*model, "--chain", "6", "--network", "always")
        stopped = invoke("archive", folder, out, *options, code=1).stderr
        assert "2b.png" in stopped and "--on-error skip" in stopped
        assert not out.exists()
        skipped = invoke("archive", folder, out, *options, "--on-error", "skip")
        assert "2b.png was left out" in skipped.stderr and "6 images" in skipped.stderr
        out.write_bytes(out.read_bytes()[:-30])
        assert "damaged" in invoke("list", out, "--check", code=1).stderr
        assert "damaged" in invoke("extract", out, "-o", tmp_path / "x", *model, code=1).stderr

    def test_one_large_image(self, tiny_network: Path, tmp_path: Path) -> None:
        source, out, back = (tmp_path / n for n in ("a.png", "a.dfa", "back"))
        save(synthetic_image(40, 70, 3, 1), source)
        model = ("-m", tiny_network)
        options = ("--tile", "16", "--chain", "6", "--network", "always", "--json")
        facts = json.loads(invoke("archive", source, out, *model, *options).stdout)
        assert facts["bytes"] == out.stat().st_size
        assert facts["images"] == 1 and facts["net_bits"] > 0
        invoke("extract", out, "-o", back, *model)
        assert np.array_equal(load(source), load(back / "a.png"))
        for wrong in (
            ("--bytes", "99"),
            ("--code", "trellis:8"),
            ("--steps", "2"),
            ("--effort", "best"),
        ):
            invoke("archive", source, out, *model, *wrong, "-f", code=2)
        for told in (
            invoke("decode", out, tmp_path / "b.png", *model, "-f", "--bytes", "99", code=1),
            invoke("decode", out, tmp_path / "c.png", *model, code=1),
            invoke("info", out, code=1),
        ):
            assert told.stderr.count("\n") == 1
        assert "diffcodec list and extract" in told.stderr

    def test_what_is_not_kept_is_reported(self, folder: Path, tmp_path: Path) -> None:
        from PIL import Image

        for name in ("first", "second"):
            some = [Image.fromarray(synthetic_image(16, 16, 3, i)) for i in range(2)]
            some[0].save(folder / f"{name}.mpo", save_all=True, append_images=some[1:])
        never = ("--network", "never")
        alone = invoke("archive", folder / "first.mpo", tmp_path / "a.dfa", *never)
        assert "first.mpo: its further images is not kept" in alone.stderr.replace(" are ", " is ")
        several = invoke("archive", folder, tmp_path / "b.dfa", *never, "--json")
        assert "1 more image with what is not kept" in several.stderr
        lost = json.loads(several.stdout)["lost"]
        assert [name for name, _ in lost] == ["first.mpo", "second.mpo"]
        quiet = invoke("archive", folder, tmp_path / "c.dfa", *never, "-q")
        assert quiet.stderr.startswith("first.mpo: ") and quiet.stderr.count("\n") == 1
        strict = invoke("archive", folder, tmp_path / "d.dfa", *never, "--strict", code=1)
        assert "first.mpo" in strict.stderr and "cannot be kept" in strict.stderr
        assert not (tmp_path / "d.dfa").exists()
