"""Plain images of an archive: damage, claims of heads, and interrupted calls."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from diffcodec.archive import archive as archives
from diffcodec.archive import plain
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.groups import Source
from diffcodec.bitstream.archive import Group, pack_group, read_groups, read_plain
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.progressive import stand_alone
from tests.gaussian import gaussian_image
from tests.mixed_archive import PLAIN, check, compiled, drawing, held, mixed, read, write


@compiled
class TestDamage:
    @pytest.mark.parametrize("where", ["first", "last", "stack"])
    def test_it_costs_nothing_else(self, tmp_path: Path, where: str) -> None:
        path = tmp_path / "a.dfa"
        write(path, mixed())
        group, data = held(path).groups[0], bytearray(path.read_bytes())
        parts = {"first": group.plain[0], "last": group.plain[-1]}
        part = parts.get(where)
        data[part.at + part.size // 2 if part else group.body_at + 9] ^= 32
        path.write_bytes(data)
        name = group.images[part.image].name if part else "the group"
        hit = {name} if part else {s.name for s in mixed()} - PLAIN
        damage = held(path).damage
        assert len(damage) == 1 and damage[0].offset == (part.at if part else group.offset)
        assert name in damage[0].reason and "damaged" in damage[0].reason
        got = read(path)
        for source in mixed():
            if source.name in hit:
                assert isinstance(got[source.name], BitstreamError)
            else:
                assert np.array_equal(got[source.name], source.read())

    def test_every_cut_is_noticed(self, tmp_path: Path) -> None:
        write(tmp_path / "a.dfa", mixed())
        data = (tmp_path / "a.dfa").read_bytes()
        for length in [*range(24, len(data), 97), len(data) - 1]:
            assert contents(io.BytesIO(data[:length]), check=True).damage

    def test_a_wrong_computation_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pixels = gaussian_image(1)
        data = plain.encode(pixels).data
        assert np.array_equal(plain.decode(data, pixels.shape), pixels)
        monkeypatch.setattr(stand_alone, "decode_plain", lambda shared, payload, planes: None)
        with pytest.raises(BitstreamError, match="computes something wrong"):
            plain.decode(data, pixels.shape)


class TestFormat:
    def test_claims_of_a_head(self) -> None:
        images = [ImageInfo("a.png", 4, 4, 3), ImageInfo("b.png", 4, 4, 3)]
        file = io.BytesIO(pack_group(images, [], b"", {0: b"1", 1: b"23"}))
        (group,) = (found for found in read_groups(file, True) if isinstance(found, Group))
        assert [read_plain(file, part) for part in group.plain] == [b"1", b"23"]
        assert group.stacked == [] and group.end == len(file.getvalue())
        more = io.BytesIO(pack_group(images, [], b"", {0: b"", 2: b""}))
        (damage,) = read_groups(more, True)
        assert not isinstance(damage, Group) and "more plain images" in damage.reason
        huge = type(group.plain[0])(0, group.plain[0].at, 1 << 41)
        with pytest.raises(BitstreamError, match="cut short"):
            read_plain(file, huge)

    def test_other_versions_are_refused_in_a_sentence(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dfa"
        write_archive(None, [Source("a.png", drawing(1))], path, make_header(None, network="never"))
        data = bytearray(path.read_bytes())
        assert data[4] == 2
        data[4] = 5
        with pytest.raises(BitstreamError, match="format version 5; this diffcodec reads versions"):
            contents(io.BytesIO(data))


@compiled
class TestResume:
    def test_an_interrupted_call_goes_on_to_the_same_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "GROUP_VALUES", 3 * 3072)
        write(tmp_path / "whole.dfa", mixed())
        for changed in (False, True):
            target = tmp_path / f"{changed}.dfa"
            part = tmp_path / f".{target.name}.part"
            part.write_bytes((tmp_path / "whole.dfa").read_bytes()[:-200])
            some = mixed()
            if changed:
                some[4] = Source("4.png", drawing(6))
            assert write(target, some, resume=True).resumed == (1 if changed else 2)
            assert changed or target.read_bytes() == (tmp_path / "whole.dfa").read_bytes()
            check(target, some)
