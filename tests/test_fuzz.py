"""The harness of fuzzing: a short run of every target, and that it notices what it looks for."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from diffcodec.bitstream.archive import Group, read_groups
from diffcodec.bitstream.archive_header import read_header
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.__main__ import main
from diffcodec.eval.robustness.fuzz.again import main as again
from diffcodec.eval.robustness.fuzz.dfa_parts import GroupParts, varied_archive
from diffcodec.eval.robustness.fuzz.dfc_parts import Parts, varied_file, varied_header
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.networks import TARGETS as NETWORKS
from diffcodec.eval.robustness.fuzz.png_parts import varied_png
from diffcodec.eval.robustness.fuzz.registry import TARGETS, shares
from diffcodec.eval.robustness.fuzz.runner import Piece, pieces, run
from diffcodec.file import File
from diffcodec.image.png_chunks import chunks
from diffcodec.verify import verify

SLOW = {"polar": 4, "slow-images": 20, "checkpoint": 20, "folder": 10, "extract": 60, "decode": 150}
USUAL = 200  # inputs of a target
CHECKSUM = "checksum"


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    """Inputs that succeed or are refused; any other error is raised here."""
    target, verdicts = TARGETS[name], Counter[str]()
    seeds = target.seeds()
    taken = sum(target.verdict(seed) == "accepted" for seed in seeds)
    assert taken > len(seeds) / 2
    for number in range(SLOW.get(name, USUAL)):
        verdicts[target.verdict(target.input(seeds, 0, number))] += 1
    assert verdicts["accepted"] or name == "polar"
    assert verdicts["refused"] or name in ("residual", "sections", "folder", "polar")


def test_an_input_depends_on_seed_and_number_alone() -> None:
    target = TARGETS["file"]
    seeds = target.seeds()
    some = [target.input(seeds, 3, number) for number in (5, 6, 5)]
    assert some[0] == some[2] != some[1] and target.input(target.seeds(), 3, 5) == some[0]
    assert target.input(seeds, 4, 5) != some[0]


def test_every_input_has_its_piece_whatever_the_processes() -> None:
    chosen = shares(1000, list(TARGETS.values()))
    assert min(chosen.values()) >= 1 and 900 < sum(chosen.values()) <= 1000 + len(chosen)
    parts = pieces(chosen, 7)
    for name, inputs in chosen.items():
        numbers = [n for p in parts if p.target == name for n in range(p.start, p.stop)]
        assert numbers == list(range(inputs))


def test_archives_whose_groups_say_that_they_have_no_metadata() -> None:
    """Input 41,115 of seed 0: where lengths are made up, right ones may come to less than none."""
    target = TARGETS["list"]
    assert target.input(target.seeds(), 0, 41_115)


# --- behind the checksums -----------------------------------------------------------------------


def test_files_are_put_together_as_they_were() -> None:
    for data in corpus.golden(".dfc") + corpus.files():
        if parse_header(data)[0].total_bytes in (None, len(data)):
            assert Parts.of(data).pack() == data
    for data in corpus.golden(".dfa") + corpus.archives():
        file = io.BytesIO(data)
        header = read_header(file)
        for group in read_groups(file, header.listed, header.rich):
            assert isinstance(group, Group)
            packed = GroupParts.of(file, header, group).pack()
            again = next(read_groups(io.BytesIO(packed), header.listed, header.rich))
            assert isinstance(again, Group) and again.images == group.images


def test_changed_headers_and_payloads_have_checksums_that_match() -> None:
    seeds, tables, dice = corpus.golden(".dfc"), corpus.codec().tables, Random(1)
    refusals = Counter[str]()
    for _ in range(300):
        data = varied_file(dice.choice(seeds), dice, seeds, tables)
        try:
            File.parse(data, tables)
        except BitstreamError as error:
            refusals["checksum" if CHECKSUM in str(error) else "other"] += 1
    assert refusals["checksum"] < 30 and refusals["other"] > 30
    assert refusals.total() < 200
    refused = 0
    for _ in range(100):
        try:
            parse_header(varied_header(dice.choice(seeds), dice, seeds))
        except BitstreamError as error:
            refused += CHECKSUM in str(error)
    assert refused == 0
    plain = sum(_refused(mutated(dice.choice(seeds), dice, seeds)) for _ in range(100))
    assert plain > 50  # without that, changes get no further


def _refused(data: bytes) -> bool:
    try:
        File.parse(data, corpus.codec().tables)
    except BitstreamError:
        return True
    return False


def test_changed_archives_have_heads_that_match() -> None:
    seeds, dice, whole = corpus.archives(), Random(2), 0
    for _ in range(60):
        data = varied_archive(dice.choice(seeds), dice, seeds)
        whole += "damaged or cut short" not in repr(verify(io.BytesIO(data)).damage)
    assert whole > 40


def test_changed_networks_and_chunks_have_checksums_that_match() -> None:
    target, dice = next(one for one in NETWORKS if one.name == "classifier"), Random(3)
    seeds, verdicts = target.seeds(), Counter[str]()
    for _ in range(100):
        verdicts[target.verdict(target.mutate(seeds[0], dice, seeds))] += 1
    assert verdicts["accepted"] > 25
    seeds, sound = TARGETS["png"].seeds(), 0
    for _ in range(100):
        try:
            sound += bool(list(chunks(varied_png(dice.choice(seeds), dice, seeds))))
        except ValueError:
            continue
    assert sound > 30


# --- what it has to notice ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "says"),
    [("error", "KeyError"), ("hang", "hang at"), ("crash", "Segmentation fault")],
)
def test_it_notices_and_goes_on(kind: str, says: str) -> None:
    inputs = {"error": 60, "hang": 3, "crash": 6}[kind]
    outcome = run([Piece(f"planted-{kind}", 5, 0, inputs)], 1, seconds=1.0)[f"planted-{kind}"]
    assert outcome.inputs == inputs and outcome.findings
    assert outcome.accepted + outcome.refused + len(outcome.findings) == inputs
    for found in outcome.findings:
        assert found.kind == kind and len(found.data) == 1
        assert says in found.where + found.report


def test_it_notices_memory() -> None:
    outcome = run([Piece("planted-memory", 0, 0, 6)], 1)["planted-memory"]
    assert outcome.inputs == 6 and outcome.memory > 90 << 20
    assert {found.kind for found in outcome.findings} == {"memory"}


def test_the_command_and_an_input_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--inputs", "300", "--target", "header", "--target", "records", "--json", "f.json"]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 0, told.stderr
    result = json.loads(Path("f.json").read_text())
    assert result["inputs"] == sum(row["inputs"] for row in result["fuzzing"]) == 299
    assert [row["target"] for row in result["fuzzing"]] == ["header", "records"]
    assert not result["findings"] and not Path("findings").exists()
    Path("header-7.bin").write_bytes(corpus.golden(".dfc")[0])
    assert CliRunner().invoke(again, ["header-7.bin"]).stdout == "accepted\n"
    Path("header-8.bin").write_bytes(b"no")
    assert CliRunner().invoke(again, ["header-8.bin"]).stdout == "refused\n"
    Path("planted-error-1.bin").write_bytes(b"\2")
    assert CliRunner().invoke(again, ["planted-error-1.bin"]).exit_code == 2
