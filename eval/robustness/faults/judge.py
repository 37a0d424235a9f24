"""What a call left: which files, whether they are whole, and what it said."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffcodec.eval.robustness.faults.calls import Ended
from diffcodec.eval.robustness.faults.cases import OUT, Case

Files = dict[str, bytes]

TIMES = (
    "second",
    "environment",
    "command",
    "hours",
    "memory",
    "ing_time",
)  # differ from call to call
OLDER = b"older"  # what the older results have at their end
KEPT = "what was done is kept in"  # of an archive that can be resumed
# Files that are read before the program is in charge.
BEGINNING = ("diffcodec/__init__.py", "diffcodec/__main__.py", "faults/struck.py")
TRACES = ("Traceback", "Exception ignored", "Fatal Python error")


def files_in(folder: Path) -> Files:
    """All below OUT, and below tmp as "tmp/...", by their paths."""
    found = {}
    for room, prefix in ((folder / OUT, ""), (folder / "tmp", "tmp/")):
        for path in sorted(room.rglob("*")):
            if path.is_file():
                found[prefix + path.relative_to(room).as_posix()] = path.read_bytes()
    return found


# --- what a file says ---------------------------------------------------------------------------


def meaning(name: str, data: bytes) -> Any:
    """What is the same in every file that a command makes of the same: all of it, but for times.

    Raises ValueError for what is not whole.
    """
    if data.endswith(OLDER):
        return data
    suffix = Path(name).suffix
    if suffix == ".json":
        return _timeless(json.loads(data))
    if name == "stats.jsonl":  # means over the steps since the last line, which may be fewer
        return [row["step"] for row in _rows(data)]
    if suffix == ".jsonl":
        return sorted({json.dumps(_timeless(row), sort_keys=True) for row in _rows(data)})
    if suffix == ".safetensors":
        from safetensors.numpy import load

        return {key: hashlib.sha256(x.tobytes()).hexdigest() for key, x in load(data).items()}
    return _state(data) if suffix == ".pt" else data


def _rows(data: bytes) -> list[Any]:
    """All whole lines of JSON: one that was cut short stays, and the records' reader skips it."""
    found = []
    for line in data.split(b"\n")[:-1]:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: x for k, x in value.items() if not any(word in k for word in TIMES)}
        return {k: _timeless(x) for k, x in kept.items()}
    return [_timeless(x) for x in value] if isinstance(value, list) else value


def _state(data: bytes) -> Any:
    """Of a training: every number, but for its seconds."""
    import torch

    try:
        state = torch.load(io.BytesIO(data), weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{error}") from error
    return _plain({k: x for k, x in state.items() if k != "seconds"})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return value.tolist() if hasattr(value, "tolist") else value


# --- judgements ---------------------------------------------------------------------------------


def of_files(case: Case, right: Mapping[str, Any], before: Files, after: Files) -> list[str]:
    """What is wrong with the files that an interrupted call left, in sentences.

    right: what every file of the result means; before: the files when it began. A part file is not
    judged here.
    """
    found = []
    for name in case.makes:
        if name in before and name not in after:
            found.append(f"the older {name} is gone")
        if name not in after or before.get(name) == after[name]:
            continue
        try:
            means = meaning(name, after[name])
        except ValueError:
            found.append(f"{name} is not whole")
            continue
        if name not in case.grows and means != right[name]:
            found.append(f"{name} is neither the older nor the right one")
    return found


def strangers(case: Case, after: Files) -> list[str]:
    """Files that are no result: parts, temporary ones."""
    return [name for name in after if name not in case.makes]


def before_all(ended: Ended) -> bool:
    """Whether Python had not come to the program yet: nobody else can say a sentence then."""
    places = [line for line in ended.lines if line.lstrip().startswith("File ")]
    return ended.lines[-1:] == ["KeyboardInterrupt"] and not any(
        "/diffcodec/" in place and not any(name in place for name in BEGINNING) for place in places
    )


def of_end(ended: Ended, strike: int) -> list[str]:
    """What is wrong with how a call ended that a signal struck, or was to strike."""
    found = [f"{ended.orphans} processes go on"] if ended.orphans else []
    if before_all(ended):
        return found
    if strike == signal.SIGKILL:  # nothing can be said; and workers may be surprised
        return found + ([f"exit code {ended.code}"] if ended.code not in (0, -strike) else [])
    if ended.code in (0, -strike):  # at its end, or before it began
        return found + of_trace(ended)
    if ended.code != 128 + strike:
        found.append(f"exit code {ended.code}")
    return found + of_sentence(ended)


def of_sentence(ended: Ended) -> list[str]:
    """What is wrong with what a call said that could not do its work."""
    count = sum(line.startswith("diffcodec: ") for line in ended.lines)
    return ([] if count == 1 else [f"{count} sentences that say why"]) + of_trace(ended)


def of_trace(ended: Ended) -> list[str]:
    """A traceback, by its last lines."""
    if not any(trace in ended.said for trace in TRACES):
        return []
    return [f"a traceback: {' '.join(' '.join(ended.lines[-4:]).split())}"]


def of_result(case: Case, right: Mapping[str, Any], ended: Ended, after: Files) -> list[str]:
    """What is wrong after a call that went on to its end."""
    if ended.code:
        last = ended.lines[-1] if ended.lines else "nothing"
        return [f"the next call ends with {ended.code}, and says {last}"]
    found = [f"{name} is left" for name in strangers(case, after)]
    for name in case.makes:
        try:
            if name not in after:
                found.append(f"the next call makes no {name}")
            elif meaning(name, after[name]) != right[name]:
                found.append(f"the next call makes another {name}")
        except ValueError:
            found.append(f"the next call leaves {name} damaged")
    return found
