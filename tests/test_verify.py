"""verify: what checksums say of files that are whole, cut and damaged; what comes out of ruins."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import numpy as np
import pytest

from diffcodec import Codec
from diffcodec.archive.contents import contents
from diffcodec.archive.reading import extract_pictures
from diffcodec.bitstream.container import ARCHIVE_MAGIC, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.experiments import bit_rot
from diffcodec.golden import FOLDER, NETWORK, golden_files
from diffcodec.verify import Verdict, verify
from tests.command import invoke
from tests.measured import measured
from tests.synthetic import synthetic_image

NAMES = [golden.name for golden in golden_files()]
IMAGES = [name for name in NAMES if name.endswith(".dfc")]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_pretrained(NETWORK, 1)


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def verdict(data: bytes, *, known: bool = True) -> Verdict:
    return verify(io.BytesIO(data), NETWORK if known else None)


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    return bit_rot.flipped(data, 8 * at + bit)


class TestStates:
    @pytest.mark.parametrize("name", NAMES)
    def test_golden_files(self, name: str) -> None:
        data = golden(name)
        found = verdict(data)
        assert not found.damage and found.bytes == len(data)
        if data[:4] == ARCHIVE_MAGIC:
            assert found.state == "whole"
            return
        total = parse_header(data)[0].total_bytes
        assert found.total_bytes == total and found.guarded is not None
        assert found.state == {None: "open", len(data): "whole"}.get(total, "cut")
        assert (found.guarded == len(data)) == (found.good and name != "polar-step.dfc")

    @pytest.mark.parametrize("name", ["colour.dfc", "alpha.dfc", "metadata.dfc", "polar.dfc"])
    def test_every_prefix_of_an_image_is_cut_or_open(self, name: str) -> None:
        data = golden(name)
        state = "open" if name == "polar.dfc" else "cut"
        head = parse_header(data)[1]
        for length in range(head, len(data), 1 if len(data) < 1000 else 61):
            found = verdict(data[:length])
            assert (found.state, found.damage) == (state, ()), length
            assert found.guarded is not None and found.guarded <= length
        assert verdict(data[: head - 1]).state == "cut" and not verdict(b"").good

    @pytest.mark.parametrize("name", ["archive.dfa", "plain.dfa", "rich.dfa"])
    def test_every_prefix_of_an_archive_is_noticed(self, name: str) -> None:
        data = golden(name)
        for length in range(0, len(data), 7):
            assert not verdict(data[:length]).good
        assert verdict(data[:-10]).state == "cut" and verdict(data + b"\0").state == "damaged"

    def test_without_tables_whole_files_are_verified_by_their_end(self) -> None:
        for name in IMAGES:
            there = verdict(golden(name), known=False)
            expected = verdict(golden(name)).state
            assert there.state == ("unknown" if expected == "open" else expected)
            if expected == "whole":
                assert not verdict(flip(golden(name), len(golden(name)) // 2), known=False).good

    def test_damage_is_where_it_says(self) -> None:
        data = golden("polar.dfc")
        (damage,) = verdict(flip(data, 3000)).damage
        before = verdict(data[: damage.offset])
        assert damage.offset <= 3000 and before.good and before.guarded == damage.offset
        (damage,) = verdict(flip(golden("alpha.dfc"), 60)).damage
        assert damage.offset == parse_header(golden("alpha.dfc"))[1] and "alpha" in damage.reason
        end = verdict(flip(golden("metadata.dfc"), 178)).damage[0]
        assert "metadata" in end.reason and 100 < end.offset < 178

    def test_strips_are_named_one_by_one(self, codec: Codec) -> None:
        data = codec.encode(synthetic_image(4, 1200, 3, 5), switch="none")
        assert verdict(data).state == "whole"
        file = codec.open(data)
        sizes = [len(block.data) for block in file.payload.blocks]
        last = len(data) - 8 - sizes[-1]
        damaged = flip(flip(data, last + 3), last - 4 - sizes[-2] + 3)
        found = verdict(damaged)
        assert [d.reason[:13] for d in found.damage] == ["strip 2 of 3 ", "strip 3 of 3 "]
        assert [d.offset for d in found.damage] == [last - 4 - sizes[-2], last]


class TestFlips:
    def test_every_flip_under_a_checksum_is_noticed(self) -> None:
        rng, states = random.Random(0), {name: verdict(golden(name)) for name in NAMES}
        for _ in range(1500):
            name = rng.choice(NAMES)
            data, before = golden(name), states[name]
            guarded = len(data) if before.guarded is None else before.guarded
            bit = rng.randrange(8 * guarded)
            after = verdict(bit_rot.flipped(data, bit))
            assert not after.good and bit_rot.noticed(before, after), (name, bit)

    def test_16_bits_of_archives_are_guarded(self) -> None:
        """Each way of narrowing, all bits of it: other bytes than these are known ones as well."""
        data = golden("guarded.dfa")
        with open(FOLDER / "guarded.dfa", "rb") as file:
            parts = contents(file).groups[0].plain
        starts = [part.at for part in parts if data[part.at] < 100]  # others begin with a length
        assert len({data[at] for at in starts}) == len(starts) == 3
        for at in starts:
            assert data[at] + data[at + 1] == 255
            for bit in range(16):
                after = verdict(bit_rot.flipped(data, 8 * at + bit))
                assert [damage.offset for damage in after.damage] == [at]

    def test_a_step_that_seems_to_be_cut_in_a_whole_file_is_damage(self, codec: Codec) -> None:
        data = flip(golden("alone.dfc"), 22, 2)  # a step, longer than the file
        assert verdict(data).state == "damaged"
        with pytest.raises(BitstreamError, match="does not end"):
            codec.decode(data)

    def test_the_experiment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        few = [one for one in golden_files() if one.name in ("narrow.dfc", "step.dfc")]
        monkeypatch.setattr(bit_rot, "golden_files", lambda: few)
        result, text = measured(bit_rot.main, "--stride", 97, out=tmp_path / "rot.json")
        assert [row["guarded_flips"] for row in result["files"]] == [
            row["guarded_noticed"] for row in result["files"]
        ]
        assert "not noticed though guarded" in text

    def test_effects(self, codec: Codec) -> None:
        data = golden("colour.dfc")
        assert bit_rot.effect(codec, data, data) == bit_rot.SAME
        assert bit_rot.effect(codec, data, flip(data, 50)) == bit_rot.REFUSED
        assert bit_rot.effect(codec, data, golden("grey.dfc")) == bit_rot.OTHER


class TestRuins:
    @pytest.mark.parametrize("name", ["archive.dfa", "adaptive.dfa", "tiles.dfa"])
    def test_images_above_the_damage_of_a_stack_come_out(self, codec: Codec, name: str) -> None:
        data, rng, out = golden(name), random.Random(1), 0
        truth = {one.image.name: one.found for one in extract_pictures(codec, io.BytesIO(data))}
        group = contents(io.BytesIO(data)).groups[0]
        for _ in range(25):
            at = group.body_at + rng.randrange(group.stack_bytes)
            for one in extract_pictures(codec, io.BytesIO(flip(data, at, rng.randrange(8)))):
                if isinstance(one.found, np.ndarray):
                    known = truth[one.image.name]
                    assert isinstance(known, np.ndarray) and np.array_equal(one.found, known)
                    out += 1
                else:
                    assert "damaged" in str(one.found)
        assert out > 0


class TestCommand:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("good").mkdir()
        for name in ("alone.dfc", "plain.dfa"):
            Path("good", name).write_bytes(golden(name))

    def test_good_ones(self) -> None:
        told = invoke("verify", "good", "good/alone.dfc")
        assert told.stderr == "" and told.stdout.count("whole and intact") == 3
        piped = invoke("verify", "-", "--json", input=golden("plain.dfa"))
        (record,) = json.loads(piped.stdout)["files"]
        assert record["good"] and record["state"] == "whole" and record["kind"] == "archive"

    def test_bad_ones_are_named_and_the_others_verified(self) -> None:
        Path("good/cut.dfc").write_bytes(golden("alone.dfc")[:300])
        Path("good/rotten.dfa").write_bytes(flip(golden("plain.dfa"), 1))  # no mark any more
        Path("good/other.txt").write_text("passed over")
        Path("good/empty.dfc").write_bytes(b"")
        told = invoke("verify", "good", "missing.dfc", code=1)
        assert told.stdout.count("whole and intact") == 2 and "other.txt" not in told.stdout
        assert "cut.dfc: cut at byte 300 of 491" in told.stdout
        assert "rotten.dfa: damaged" in told.stdout and "at byte 0: " in told.stdout
        assert told.stderr.startswith("diffcodec: 4 of 6 files not found whole and intact: good/")
        record = json.loads(invoke("verify", "good", "--json", code=1).stdout)
        assert record["bad"] == 3 and len(record["files"]) == 5

    def test_a_network_that_is_not_at_hand(self) -> None:
        Path("a.dfc").write_bytes(golden("polar.dfc"))
        assert "that takes its network" in invoke("verify", "a.dfc", code=1).stdout
        assert "intact" in invoke("verify", "a.dfc", "-m", NETWORK).stdout

    def test_names_do_not_steer_a_terminal(self) -> None:
        data = golden("rich.dfa")  # its names have line breaks
        group = contents(io.BytesIO(data)).groups[0]
        Path("a.dfa").write_bytes(flip(data, group.plain[0].at + 9))
        lines = invoke("verify", "a.dfa", code=1).stdout.splitlines()
        assert len(lines) == 2 and "1 channels\\n16 bits" in lines[1]

    def test_folders_without_files_of_ours(self) -> None:
        Path("none").mkdir()
        assert "holds no .dfc" in invoke("verify", "none", code=1).stderr
