"""One command measures everything anew: what it measures, what is stale, how a run resumes."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from diffcodec.api import list_models
from diffcodec.cli.main import main as diffcodec
from diffcodec.eval.common.results import command_of, read_result
from diffcodec.eval.publish import __main__ as publish
from diffcodec.eval.publish import measure, state
from diffcodec.eval.publish.measure import due, measure_all, workplace
from diffcodec.eval.publish.measurements import MEASUREMENTS, Measurement
from diffcodec.eval.publish.probes import PEERS, PROBES, digest
from diffcodec.eval.publish.readme import documents
from diffcodec.eval.publish.state import Place, Record, accepted, load, present, save, stale
from diffcodec.eval.publish.tables.markdown import machine
from diffcodec.zoo import shipped_networks

BY_NAME = {name: one for one in MEASUREMENTS for name in one.files}
RENAMED = (  # options and inputs, since results were measured with them
    ("--steps own:", "--chain "),
    ("--steps chosen:", "--chain chosen:"),
    ("--steps 50 -o", "--chain 50 -o"),
    (" nll.json ", " nelbo-cifar10.json "),
    ("portability.__main__ ", "portability "),
)


# --- the list -----------------------------------------------------------------------------------


def test_the_list_has_every_result_once() -> None:
    names = [name for one in MEASUREMENTS for name in one.files]
    assert sorted(names) == sorted(path.name for path in Place().results.iterdir())
    assert set(load(Place())) == {one.name for one in MEASUREMENTS}


@pytest.mark.parametrize("one", MEASUREMENTS, ids=lambda one: one.name)
def test_a_measurement_can_be_typed(one: Measurement) -> None:
    program, *words = one.words
    assert program in ("diffcodec", "python") and one.minutes > 0
    if program == "diffcodec":
        command: click.Command = diffcodec.commands[words[0]]
        words = words[1:]
    else:
        assert words[0] == "-m"
        module = importlib.import_module(words[1])
        if hasattr(module, "__path__"):  # a package that can be run
            module = importlib.import_module(f"{words[1]}.__main__")
        command, words = module.main, words[2:]
    context = click.Context(command)
    given, rest, _ = command.make_parser(context).parse_args(words)
    assert not rest
    for parameter in command.params:
        value = given.get(parameter.name or "")
        is_typed = isinstance(value, str | list | tuple)
        assert is_typed or not parameter.required, parameter.name
        if is_typed and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


@pytest.mark.parametrize("one", MEASUREMENTS, ids=lambda one: one.name)
def test_a_measurement_names_what_there_is(one: Measurement) -> None:
    assert set(one.networks) <= {name for name, _ in shipped_networks()}
    assert set(one.probes) <= set(PROBES)
    before = MEASUREMENTS[: MEASUREMENTS.index(one)]
    for word in one.inputs:
        if not word.startswith(("data/", "runs/")):
            assert (state.ROOT / word).is_file()
        if word.startswith("eval/results/"):
            assert any(Path(word).name in other.files for other in before)


@pytest.mark.parametrize("path", sorted(Place().results.glob("*.json")), ids=lambda p: p.stem)
def test_a_result_states_the_command_of_the_list(path: Path) -> None:
    one = BY_NAME[path.name]
    typed = shlex.join(Path(word).name if "/" in word else word for word in one.words)
    stated = command_of(read_result(path))
    for old, new in RENAMED:
        stated = stated.replace(old, new)
    assert stated == typed or load(Place())[one.name].older


def test_probes_have_digests() -> None:
    assert {name for one in MEASUREMENTS for name in one.probes} == set(PROBES)
    for name in ("network", "coder", "stack", *PEERS):
        assert re.fullmatch("[0-9a-f]{16}", digest(name))


@pytest.mark.parametrize("one", MEASUREMENTS, ids=lambda one: one.name)
def test_results_depend_on_the_codecs_that_they_compare_with(one: Measurement) -> None:
    if "--peers" in one.words:
        names = one.words[one.words.index("--peers") + 1].split(",")
        assert {name for name in names if not name.startswith("jpegxl")} == {*one.probes} & {*PEERS}
        assert bool(one.tools) == any(name.startswith("jpegxl") for name in names)


def test_documents_with_tables_are_found() -> None:
    assert {path.name for path in documents(state.ROOT)} == {"README.md", "RESULTS.md"}


# --- stale --------------------------------------------------------------------------------------

WRITE = 'open(\'{0}\', \'w\').write(\'{{"environment": {{"cpu": "c", "cpus": 2}}}}\')'


def python(code: str) -> str:
    return shlex.join(["python", "-c", code])


FIRST = Measurement("a.json", python(WRITE.format("a.json")), 3, ("photo",), ("files", "rates"))
SECOND = Measurement(
    "b.json", python(WRITE.format("b.json")) + " eval/results/a.json", 5, probes=("coder",)
)
Marks = dict[str, str]


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Marks:
    """What probes and fingerprints find, to be changed."""
    found = {"files": "1", "rates": "2", "coder": "3", "photo": "4"}
    monkeypatch.setattr(state, "digest", found.__getitem__)
    monkeypatch.setattr(state, "fingerprint", found.__getitem__)
    return found


@pytest.fixture
def place(tmp_path: Path, marks: Marks) -> Place:
    """A repository with both results, accepted."""
    place = Place(tmp_path / "repository", tmp_path / "data")
    place.results.mkdir(parents=True)
    place.state.parent.mkdir()
    for one in (FIRST, SECOND):
        (place.results / one.name).write_text('{"model": {"fingerprint": "4"}}')
    save(place, {one.name: accepted(one, None, place, None) for one in (FIRST, SECOND)})
    return place


def reasons(one: Measurement, place: Place) -> list[str]:
    return stale(one, load(place).get(one.name), place)


def test_what_was_accepted_is_fresh(place: Place) -> None:
    assert not reasons(FIRST, place) and not due(place, (FIRST, SECOND))


def test_other_code_and_networks_make_stale_what_depends_on_them(
    place: Place, marks: Marks
) -> None:
    marks["rates"] = "other"
    assert reasons(FIRST, place) == ["code does otherwise: rates"]
    marks["photo"] = "other"
    assert reasons(FIRST, place)[0] == "another network: photo"
    assert not reasons(SECOND, place)
    save(place, {FIRST.name: accepted(FIRST, None, place, None)})
    assert reasons(FIRST, place) == ["another network: photo"]  # the result itself says so


def test_other_commands_inputs_and_files_are_stale(place: Place) -> None:
    more = replace(SECOND, command=f"{SECOND.command} --more")
    assert reasons(more, place) == ["another command"]
    (place.results / "a.json").write_text("{}")
    assert reasons(FIRST, place) == ["changed by hand: a.json"]
    assert reasons(SECOND, place) == ["another input: a.json"]
    assert due(place, (FIRST, SECOND)) == [FIRST, SECOND]
    (place.results / "b.json").unlink()
    assert reasons(SECOND, place) == ["b.json missing"]
    save(place, {})
    assert reasons(FIRST, place) == ["no record of it"]


def test_what_reads_a_stale_result_is_due(place: Place, marks: Marks) -> None:
    marks["files"] = "other"
    assert not reasons(SECOND, place) and due(place, (FIRST, SECOND)) == [FIRST, SECOND]


def test_jpeg_xl_counts_by_its_version(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(FIRST, tools=("cjxl",))
    (place.results / "a.json").write_text('{"environment": {"cjxl": "v1", "cpu": "", "cpus": 1}}')
    save(place, {one.name: accepted(one, None, place, None)})
    for version, expected in (("v1", []), ("v2", ["v1 then, v2 now"]), (None, [])):
        monkeypatch.setattr(state.jpegxl, "version", lambda version=version: version)
        assert reasons(one, place) == expected


# --- measuring ----------------------------------------------------------------------------------


def test_a_run_replaces_and_records(place: Place, marks: Marks) -> None:
    marks["files"] = "other"
    said: list[str] = []
    assert measure_all(due(place, (FIRST, SECOND)), place, said.append) == []
    record = load(place)[FIRST.name]
    assert record.probes["files"] == "other" and record.measured and record.machine == "c, 2 cores"
    assert record.minutes is not None and not reasons(FIRST, place) and not reasons(SECOND, place)
    assert "[1/2] a.json: about 3 min" in said and said[1].endswith("5 min left")
    assert not list((place.root / "runs" / "publish").iterdir())


def test_what_is_printed_and_what_has_another_name(place: Place) -> None:
    printed = Measurement("c.json", f"{python('print(17)')} > c.json", 1)
    named = Measurement("d.png", python(WRITE.format("x.png")), 1, writes="x.png")
    for one in (printed, named):
        measure.run(one, place, present(one, place))
    assert (place.results / "c.json").read_text() == "17\n"
    assert (place.results / "d.png").is_file()


def failing(code: str) -> Measurement:
    return replace(FIRST, command=python(f"{WRITE.format('a.json')}; {code}"))


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.remove('a.json')"])
def test_a_failure_leaves_the_old_result(place: Place, code: str) -> None:
    one, before = failing(code), (place.results / "a.json").read_text()
    said: list[str] = []
    assert measure_all([one, SECOND], place, said.append) == ["a.json"]
    assert (place.results / "a.json").read_text() == before
    assert load(place)[FIRST.name].command == FIRST.command
    assert any("exit code 3" in line or "not written" in line for line in said)


STOPPED = """
import pathlib
records = pathlib.Path('records')
records.open('a').write('.')
if len(records.read_text()) < 3: raise KeyboardInterrupt
pathlib.Path('a.json').write_text('{{}}')
"""


def test_an_interrupted_run_resumes_with_the_same_code_only(place: Place, marks: Marks) -> None:
    one = replace(FIRST, command=python(STOPPED.format()))
    say: Callable[[str], None] = [].append
    assert measure_all([one], place, say) and measure_all([one], place, say)
    folder = workplace(one, place, present(one, place))
    assert (folder / "records").read_text() == ".."
    marks["rates"] = "other"
    assert workplace(one, place, present(one, place)) != folder
    marks["rates"] = "2"
    assert not measure_all([one], place, say) and not folder.exists()


def test_what_is_missing_here_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.shutil, "which", lambda tool: None)
    data = replace(FIRST, command=f"{FIRST.command} data/kodak")
    lacking = partial(measure.lacking, place=place)
    assert lacking(FIRST) is None
    assert "data/kodak" in (lacking(data) or "")
    assert "--data" in (measure.lacking(data, Place(place.root)) or "")
    assert "program cjxl" in (lacking(replace(FIRST, tools=("cjxl",))) or "")
    assert "then look" in (lacking(replace(FIRST, by_hand="look")) or "")


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The command in the repository of `place`."""
    monkeypatch.setattr(publish, "MEASUREMENTS", (FIRST, SECOND))
    monkeypatch.setattr(publish, "Place", partial(Place, place.root))
    return place


def typed(*words: str) -> click.testing.Result:
    return CliRunner().invoke(publish.main, words)


def test_status_accept_and_all(here: Place, marks: Marks) -> None:
    assert typed("status").output.count("fresh") == 2
    marks["coder"] = "other"
    assert "code does otherwise: coder" in typed("status", "b").output
    assert "b.json: 5 min" in typed("all", "--dry-run").output
    assert typed("accept", "b.json").exit_code == 0 and typed("status").output.count("fresh") == 2
    assert typed("accept", "b", "--older", "slower").exit_code == 0
    assert typed("accept", "all").exit_code == 0
    assert "older code: slower" in typed("status").output
    done = typed("all")
    assert done.exit_code == 0 and "0 min left" in done.output
    assert load(here)["b.json"].older is None


def test_what_could_not_be_measured_ends_in_exit_code_1(
    here: Place, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks["files"] = "other"
    lost = replace(FIRST, command=f"{FIRST.command} data/kodak")
    monkeypatch.setattr(publish, "MEASUREMENTS", (lost, SECOND))
    done = typed("all")
    assert done.exit_code == 1 and "not measured: a.json" in done.output
    assert "b.json: still fresh" in done.output
    drawing = Measurement("a.png", "diffcodec plot nothing.json -o a.png -f", 1)
    monkeypatch.setattr(publish, "MEASUREMENTS", (drawing,))
    done = typed("tables")
    assert done.exit_code == 1 and "Error: a.png: its command ended with exit code" in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    unknown = typed("status", "nothing")
    assert unknown.exit_code == 1 and "there is no result nothing" in unknown.output


def test_records_have_every_field(place: Place) -> None:
    record = Record("", {}, {}, {}, {}, "2026-01-01", 1.5, "c", "slower")
    save(place, {"x": record})
    assert load(place) == {"x": record}


def test_a_result_of_an_earlier_network_says_so() -> None:
    facts = {"cpu": "one", "cpus": 1, "processes": 1, "threads_per_process": 1}
    result = {"environment": {**facts, "torch": "2", "pillow": "3"}, "command": "made"}
    (now,) = (m["fingerprint"] for m in list_models() if m["name"] == "photo")
    for name, fingerprint, said in (
        ("photo", now, False),
        ("photo", "0" * 16, True),
        ("mine", "0" * 16, False),
    ):
        text = machine({**result, "model": {"name": name, "fingerprint": fingerprint}})
        assert ("before the present one" in text) is said
