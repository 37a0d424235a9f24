"""Archives whose bits-back coding ends with the adaptive coder: exact, cheaper, and as they say."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive import account, ending
from diffcodec.archive import archive as archives
from diffcodec.archive.adaptive_pixels import AdaptivePixels
from diffcodec.archive.archive import make_header
from diffcodec.archive.bitsback import pop, push
from diffcodec.archive.contents import contents
from diffcodec.archive.ending import chain_of_tile, few_levels
from diffcodec.archive.groups import Source
from diffcodec.archive.model import Model
from diffcodec.archive.reading import extract
from diffcodec.bitstream.adaptive import KERNEL
from diffcodec.bitstream.ans import Stack, StackEmpty
from diffcodec.bitstream.archive_header import AdaptiveEnd, ArchiveHeader, read_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import OptionError
from diffcodec.image import load, save
from diffcodec.theory.chain import Chain, choose_chain
from tests.adaptive_strips import IMAGES
from tests.command import invoke
from tests.damaged_header import assert_damage_is_noticed
from tests.gaussian import gaussian_codec, gaussian_image, source
from tests.synthetic import synthetic_image

CODEC = gaussian_codec()
CHAIN = choose_chain("25", CODEC.tables)
compiled = pytest.mark.skipif(KERNEL is None, reason="numpy takes a thousand times as long")


def write(target: Path, images: list[Pixels], residual: str = "adaptive", **options: Any) -> Any:
    some = [Source(f"{i:02}.png", pixels) for i, pixels in enumerate(images)]
    chosen: Any = {"network": "always", "residual": residual, **options}
    return archives.write_archive(CODEC, some, target, make_header(CODEC, "25", **chosen))


def read(data: bytes) -> list[Any]:
    return [found for _, found in extract(CODEC, io.BytesIO(data))]


def model(shape: tuple[int, int, int], level: int | None = 2, nodes: int = 14) -> Model:
    chain = Chain("own", CHAIN.v[:nodes], CHAIN.tables)
    return Model(source(), chain, shape, level=level)


def initial(model: Model, n: int) -> Stack:
    stack = Stack(np.random.default_rng(0).bytes(n * model.initial_bits // 8 + 900))
    stack.open()
    return stack


# --- a batch ------------------------------------------------------------------------------------


@compiled
class TestBatch:
    @given(
        st.integers(1, 3),
        st.integers(1, 21),
        st.integers(1, 21),
        st.sampled_from([1, 3]),
        st.integers(0, 2),
        st.integers(2, 25),
    )
    @settings(max_examples=25, deadline=None)
    def test_popping_undoes_pushing(
        self, n: int, height: int, width: int, channels: int, level: int, nodes: int
    ) -> None:
        pixels = np.stack([synthetic_image(height, width, channels, seed) for seed in range(n)])
        known = Chain("own", CHAIN.v[:nodes], CHAIN.tables)
        model = Model(_Flat(), known, (channels, height, width), level=level)
        stack = initial(model, 2 * n + 1)
        before = stack.copy()
        push(model, stack, pixels)
        assert np.array_equal(pop(model, stack, n), pixels)
        assert stack.count == before.count and np.array_equal(stack.states, before.states)
        assert np.array_equal(stack.words[: stack.count], before.words[: before.count])

    def test_every_entry_costs_its_share(self) -> None:
        images = np.stack([gaussian_image(seed) for seed in range(6)])
        here, balance = model((3, 32, 32)), Balance()
        stack = initial(here, 6)
        before = stack.bits
        push(here, stack, images, balance)
        assert balance.spent.sum() == pytest.approx(stack.bits - before, abs=1e-3)
        assert balance.spent[0] == pytest.approx(balance.ideal[0], rel=1e-3)
        assert balance.spent.sum() == pytest.approx(balance.ideal.sum(), rel=0.01)

    def test_it_is_cheaper_than_the_gaussian_where_the_network_knows_little(self) -> None:
        images, costs = np.stack([synthetic_image(24, 24, 3, seed) for seed in range(4)]), []
        for level in (2, None):
            known, balance = Chain("own", CHAIN.v[:8], CHAIN.tables), Balance()
            here = Model(_Flat(), known, (3, 24, 24), level=level)
            push(here, initial(here, 12), images, balance)
            costs.append(balance.spent[0])
        assert costs[0] < 0.8 * costs[1]

    def test_a_tile_starts_with_what_was_learnt_of_the_one_before(self) -> None:
        image = gaussian_image(0)
        y = np.zeros((4, 3, 32, 32), np.float32)
        coder = AdaptivePixels(model((3, 32, 32)).format, 2, 4.0, 3.0)
        bits = coder.bits(np.stack([image] * 4), y, y.astype(np.float64))
        alone = [coder.bits(image[None], y[:1], y[:1].astype(np.float64))[0] for _ in range(4)]
        assert bits[0] == alone[0] and bits[3] < bits[1] < bits[0]

    def test_wide_tiles_are_coded_in_strips(self) -> None:
        pixels = synthetic_image(2, 600, 3, 1)[None]
        here = Model(_Flat(), Chain("own", CHAIN.v[:6], CHAIN.tables), (3, 2, 600), level=1)
        stack = initial(here, 2)
        push(here, stack, pixels)
        assert np.array_equal(pop(here, stack, 1), pixels)

    def test_any_stack_decodes_to_something_or_ends_in_a_sentence(self) -> None:
        here = Model(_Flat(), Chain("own", CHAIN.v[:5], CHAIN.tables), (3, 8, 8), level=2)
        for seed in range(20):
            stack = Stack(np.random.default_rng(seed).bytes(300 + 60 * seed))
            stack.open()
            try:
                assert pop(here, stack, 1).shape == (1, 8, 8, 3)
            except StackEmpty as error:
                assert "damaged" in str(error)


class _Flat:
    """Sees nothing."""

    def batch(self, y: Any, v: Any) -> Any:
        return np.zeros_like(y)


# --- where it ends ------------------------------------------------------------------------------


class TestEnding:
    def test_tiny_tiles_go_further_down_the_chain(self) -> None:
        header = make_header(CODEC, "25", network="always")
        assert header.end is not None and header.end.tiny > header.end.large > 1
        for shape, most in (((32, 32, 3), ending.TINY_SWITCH), ((33, 32, 3), ending.SWITCH)):
            chain = chain_of_tile(header, CHAIN, shape)
            assert chain.v == CHAIN.v[: len(chain.v)]
            greys = 127.5 * np.sqrt(chain.v)
            ends = len(chain.v) == 25 or greys[-1] <= most
            assert ends and (greys[:-1] > most).all()

    def test_the_gaussian_goes_on_to_the_end(self) -> None:
        header = make_header(CODEC, "25", residual="gaussian")
        assert header.end is None and chain_of_tile(header, CHAIN, (64, 64, 3)).v == CHAIN.v

    def test_defaults(self) -> None:
        chains = {r: make_header(CODEC, residual=r).nodes for r in ("adaptive", "gaussian")}  # type: ignore[arg-type]
        assert chains == {"adaptive": 100, "gaussian": 50}
        with pytest.raises(OptionError, match="no residual"):
            make_header(CODEC, residual="laplacian")  # type: ignore[arg-type]

    def test_few_levels_keep_both_ends(self) -> None:
        for nodes in (1, 2, 5, 6, 25):
            chain = Chain("own", CHAIN.v[:nodes], CHAIN.tables)
            few = few_levels(chain, 6)
            assert len(few.v) == min(nodes, 6)
            assert (few.v[0], few.v[-1]) == (chain.v[0], chain.v[-1])


class TestHeader:
    END = AdaptiveEnd(2, 90, 40)

    @pytest.mark.parametrize("plain", [False, True])
    @pytest.mark.parametrize("end", [None, END, AdaptiveEnd(0, 1, 100)])
    def test_what_is_packed_is_read(self, plain: bool, end: AdaptiveEnd | None) -> None:
        header = ArchiveHeader(b"12345678", "own", 100, 2, 128, plain, end)
        file = io.BytesIO(header.pack() + b"rest")
        assert read_header(file) == header and file.read() == b"rest"
        assert header.version == (3 if end else 2 if plain else 1)

    @pytest.mark.parametrize(
        "end", [AdaptiveEnd(3, 9, 9), AdaptiveEnd(2, 0, 9), AdaptiveEnd(2, 9, 101)]
    )
    def test_what_none_knows_is_refused(self, end: AdaptiveEnd) -> None:
        header = ArchiveHeader(b"12345678", "own", 100, 2, 128, False, end)
        with pytest.raises(BitstreamError, match="does not know"):
            read_header(io.BytesIO(header.pack()))

    def test_any_damage_is_noticed(self) -> None:
        data = ArchiveHeader(b"12345678", "own", 100, 2, 128, True, self.END).pack()
        assert_damage_is_noticed(data)


# --- whole archives -----------------------------------------------------------------------------


@compiled
class TestArchive:
    def test_sizes_and_modes(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(6)]
        images += [gaussian_image(6)[:7, :5], gaussian_image(7)[:1, :1], gaussian_image(8)[..., :1]]
        images += [np.tile(gaussian_image(i), (2, 2, 1))[:50, :40] for i in range(3)]
        written = write(tmp_path / "a.dfa", images, tile=48)
        data = (tmp_path / "a.dfa").read_bytes()
        held = contents(io.BytesIO(data), check=True)
        assert not held.damage and held.header.version == 3 and held.header.end
        found = dict(zip((p.name for p in held.images), read(data), strict=True))
        for i, pixels in enumerate(images):
            assert np.array_equal(found[f"{i:02}.png"], pixels)
        assert len(data) == written.file_bytes
        ledger = account.ledger(written, CHAIN)  # checks its sum
        spent, ideal = ledger.kinds()["pixels"]
        assert ideal is not None and spent == pytest.approx(ideal, rel=2e-3)

    def test_bits_back_tiles_of_both_chains_are_in_one_ledger(self, tmp_path: Path) -> None:
        large = [np.tile(gaussian_image(i), (1, 2, 1)) for i in range(4)]
        small = [gaussian_image(10 + i) for i in range(6)]
        written = write(tmp_path / "a.dfa", large + small)
        balance, end = written.spent.balance, make_header(CODEC, "25").end
        assert end is not None and balance.spent.size == end.tiny + 1
        alone = write(tmp_path / "b.dfa", large).spent.balance
        assert 1 < alone.spent.size == end.large + 1 < balance.spent.size
        assert balance.spent.sum() == pytest.approx(written.net_bits)
        assert account.ledger(written, CHAIN).file_bytes == written.file_bytes

    def test_photographs_take_less_than_with_the_gaussian(self, tmp_path: Path) -> None:
        flowers = load(IMAGES / "flowers.png")
        images = [flowers[i : i + 40, j : j + 40] for i in (0, 40) for j in (0, 40, 80)]
        sizes = {
            residual: write(tmp_path / f"{residual}.dfa", images, residual).file_bytes
            for residual in ("adaptive", "gaussian")
        }
        assert sizes["adaptive"] < 0.8 * sizes["gaussian"]
        assert all(map(np.array_equal, read((tmp_path / "adaptive.dfa").read_bytes()), images))

    def test_the_gaussian_makes_files_of_old_versions(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(4)]
        for network, version in (("always", 1), ("auto", 2)):
            write(tmp_path / "a.dfa", images, "gaussian", network=network)
            data = (tmp_path / "a.dfa").read_bytes()
            assert data[4] == version and all(map(np.array_equal, read(data), images))

    def test_auto_has_plain_images_beside_others(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(6)]
        images.insert(2, np.full((32, 32, 3), (9, 200, 30), np.uint8))
        written = write(tmp_path / "a.dfa", images, network="auto")
        data = (tmp_path / "a.dfa").read_bytes()
        held = contents(io.BytesIO(data), check=True)
        assert held.header.version == 3 and held.header.plain and not held.damage
        assert set(held.plain_bytes) == {"02.png"} and written.spent.plain_images == 1
        assert all(map(np.array_equal, read(data), images))

    def test_damage_is_named_and_nothing_raises(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(5)]
        write(tmp_path / "a.dfa", images)
        data = (tmp_path / "a.dfa").read_bytes()
        for at in range(30, len(data), len(data) // 40):
            wrong = bytearray(data)
            wrong[at] ^= 0x51
            held = contents(io.BytesIO(wrong), check=True)
            assert held.damage
            for found, image in zip(read(bytes(wrong)), images, strict=False):
                if isinstance(found, BitstreamError):
                    assert str(found).count("\n") == 0
                else:  # it lies above the damage
                    assert np.array_equal(found, image)

    def test_a_stack_with_right_checksums_and_wrong_bits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from diffcodec.archive import reading

        images = [gaussian_image(i) for i in range(5)]
        write(tmp_path / "a.dfa", images)
        data = (tmp_path / "a.dfa").read_bytes()
        whole = reading.read_stack
        for seed in range(8):
            rng = np.random.default_rng(seed)

            def noise(file: Any, group: Any, rng: Any = rng) -> bytes:
                stack = bytearray(whole(file, group))
                place = int(rng.integers(0, len(stack) - 40))
                stack[place : place + 40] = rng.bytes(40)
                return bytes(stack)

            monkeypatch.setattr(reading, "read_stack", noise)
            found = read(data)
            assert len(found) == 5 and any(isinstance(f, BitstreamError) for f in found)

    def test_resuming_needs_the_same_ending(self, tmp_path: Path) -> None:
        images = [gaussian_image(i) for i in range(3)]
        write(tmp_path / "part.dfa", images, "gaussian")
        (tmp_path / "part.dfa").rename(tmp_path / ".a.dfa.part")
        some = [Source(f"{i:02}.png", pixels) for i, pixels in enumerate(images)]
        header = make_header(CODEC, "25", network="always")
        target = tmp_path / "a.dfa"
        assert archives.write_archive(CODEC, some, target, header, resume=True).resumed == 0
        assert all(map(np.array_equal, read(target.read_bytes()), images))

    def test_commands(self, tmp_path: Path, tiny_network: Path) -> None:
        folder, model = tmp_path / "in", ("-m", tiny_network)
        folder.mkdir()
        for i in range(3):
            save(synthetic_image(16, 16, 3, i), folder / f"{i}.png")
        facts = {}
        for residual in ("adaptive", "gaussian"):
            out = tmp_path / f"{residual}.dfa"
            ask = () if residual == "adaptive" else ("--residual", residual)
            options = ("--chain", "6", "--network", "always", "--ledger", tmp_path / "ledger.json")
            made = invoke("archive", folder, out, *model, *options, *ask, "--json", "-f")
            facts[residual] = json.loads(made.stdout)
            assert json.loads((tmp_path / "ledger.json").read_text())["kinds"]
            listing = json.loads(invoke("list", out, "--json", "--check").stdout)
            assert listing["residual"] == residual
            assert f"ends with the {residual} coder" in invoke("list", out).stdout
            invoke("extract", out, "-o", tmp_path / residual, *model)
        wrong = invoke("archive", folder, out, *model, "--residual", "no", "-f", code=2)
        assert "adaptive" in wrong.stderr


def test_the_estimate_is_near(tmp_path: Path) -> None:
    if KERNEL is None:
        pytest.skip("numpy takes a thousand times as long")
    from diffcodec.archive import choice

    images = [gaussian_image(i) for i in range(40)]
    written = write(tmp_path / "a.dfa", images)
    header = dataclasses.replace(make_header(CODEC, "25"), plain=True)
    bits = choice.Estimate(CODEC, header, Clock()).bits(images)
    balance = written.spent.balance
    assert bits.sum() / sum(p.size for p in images) == pytest.approx(
        written.net_bits / balance.values, rel=0.05
    )


def test_fewer_bits_of_pixels_ask_for_more_on_the_stack() -> None:
    need = [model((3, 32, 32), level, 14).initial_bits for level in (2, None)]
    assert need[1] < need[0] < need[1] + 3 * 3072
