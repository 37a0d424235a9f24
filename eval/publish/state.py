"""What the committed results were made with, and so which of them are stale.

`eval/publish/state.json` keeps a record for each measurement: its command, the fingerprints of its
networks, the digests of its probes, of what it reads in the repository and of the result itself,
when and where it was measured, and how long that took.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from diffcodec.eval.common.results import to_json
from diffcodec.eval.peers import jpegxl
from diffcodec.eval.publish.measurements import Measurement
from diffcodec.eval.publish.probes import digest
from diffcodec.files import write_atomic
from diffcodec.zoo import load_graph

ROOT = Path(__file__).resolve().parents[2]
OURS = ("eval/", "recipes/", "tests/")  # whose files are inputs by their bytes


@dataclass(frozen=True)
class Place:
    """The repository at `root`, and the folder of data sets, if there is one."""

    root: Path = ROOT
    data: Path | None = None

    @property
    def results(self) -> Path:
        """Where the results are."""
        return self.root / "eval" / "results"

    @property
    def state(self) -> Path:
        """The file of the records."""
        return self.root / "eval" / "publish" / "state.json"

    def path(self, word: str) -> Path | None:
        """What a word of a command stands for; None for a data set where there are none."""
        folder, _, rest = word.partition("/")
        if folder != "data":
            return self.root / word
        return None if self.data is None else self.data / rest


@dataclass(frozen=True)
class Record:
    """What a result was made with. older: how the code was another, where it is known to be."""

    command: str
    networks: dict[str, str]  # fingerprints
    probes: dict[str, str]  # digests, as those of `inputs` and `files`
    inputs: dict[str, str]  # below OURS
    files: dict[str, str]  # the results themselves
    measured: str | None = None  # the day; None: before there were records
    minutes: float | None = None
    machine: str | None = None
    older: str | None = None


State = dict[str, Record]  # by the measurement's name


def load(place: Place) -> State:
    """All records; none where the file is not there yet."""
    if not place.state.exists():
        return {}
    found: dict[str, Any] = json.loads(place.state.read_text(encoding="utf-8"))
    return {name: Record(**fields) for name, fields in found.items()}


def save(place: Place, state: State) -> None:
    """Write all records at once."""
    fields = {name: asdict(record) for name, record in sorted(state.items())}
    write_atomic(place.state, to_json(fields).encode())


# --- the present --------------------------------------------------------------------------------


def present(one: Measurement, place: Place) -> Record:
    """What the result would be made with now."""
    inputs = [word for word in one.inputs if word.startswith(OURS)]
    return Record(
        command=one.command,
        networks={name: fingerprint(name) for name in one.networks},
        probes={name: digest(name) for name in one.probes},
        inputs={word: file_digest(place.root / word) for word in inputs},
        files={name: file_digest(place.results / name) for name in one.files},
    )


@cache
def fingerprint(network: str) -> str:
    """Of a shipped network, in hex."""
    return load_graph(network).fingerprint.hex()


def file_digest(path: Path) -> str:
    """Of a file's bytes, 16 hex digits; "" where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


# --- stale or not -------------------------------------------------------------------------------


def stale(one: Measurement, record: Record | None, place: Place) -> list[str]:
    """Why the result is stale, a phrase each; nothing if it is fresh."""
    now = present(one, place)
    if missing := [name for name, found in now.files.items() if not found]:
        return [f"{' and '.join(missing)} missing"]
    other = _other_networks(one, place)
    if record is None:
        return ["no record of it", *other]
    reasons = [f"older code: {record.older}"] if record.older else []
    if record.command != now.command:
        reasons.append("another command")
    reasons += other or _differences("another network", record.networks, now.networks)
    reasons += _differences("code does otherwise", record.probes, now.probes)
    reasons += _differences("another input", record.inputs, now.inputs)
    reasons += _differences("changed by hand", record.files, now.files)
    return reasons + _other_tools(one, place)


def _differences(what: str, then: dict[str, str], now: dict[str, str]) -> list[str]:
    names = [Path(name).name for name in now if then.get(name) != now[name]]
    return [f"{what}: {', '.join(names)}"] if names else []


def _other_networks(one: Measurement, place: Place) -> list[str]:
    """Whatever is recorded: a result of another network than the shipped one says so itself."""
    model = _stated(one, place).get("model")
    stated = model.get("fingerprint") if isinstance(model, dict) else None  # old ones: a name
    if not one.networks or stated in (None, *map(fingerprint, one.networks)):
        return []
    return [f"another network: {', '.join(one.networks)}"]


def _other_tools(one: Measurement, place: Place) -> list[str]:
    """JPEG XL by its version, which results state, where its programs are installed."""
    then = _stated(one, place).get("environment", {}).get("cjxl")
    now = jpegxl.version() if one.tools else None
    return [f"{then} then, {now} now"] if then and now and then != now else []


def _stated(one: Measurement, place: Place) -> dict[str, Any]:
    """The result, if it is JSON."""
    path = place.results / one.name
    if path.suffix != ".json":
        return {}
    stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stated


# --- recording ----------------------------------------------------------------------------------


def measured(one: Measurement, place: Place, made_with: Record, minutes: float) -> Record:
    """The record of a result that was just made; made_with: the present before its command ran."""
    return replace(
        made_with,
        files={name: file_digest(place.results / name) for name in one.files},
        measured=datetime.date.today().isoformat(),
        minutes=round(minutes, 1),
        machine=_machine(one, place),
    )


def accepted(one: Measurement, record: Record | None, place: Place, older: str | None) -> Record:
    """The record of a result that is as the present code would make it, or that `older` made."""
    known = record or Record("", {}, {}, {}, {}, machine=_machine(one, place))
    when = {key: getattr(known, key) for key in ("measured", "minutes", "machine")}
    return replace(present(one, place), **when, older=older)


def _machine(one: Measurement, place: Place) -> str | None:
    environment = _stated(one, place).get("environment")
    return environment and f"{environment['cpu']}, {environment['cpus']} cores"
