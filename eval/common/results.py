"""Results files: one JSON object each, with the command and the machine that made it.

Tables, figures and reports are made of these files and of nothing else.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

from diffcodec.eval.common.environment import command, environment
from diffcodec.eval.common.words import encodable
from diffcodec.files import write_atomic

Result = dict[str, Any]

LARGEST = 2**26  # bytes of a results file, and far more than any has

# Measurements were modules of diffcodec.eval itself; one had another name, too.
RENAMED = {"large_picture": "large_image"}


class ResultError(ValueError):
    """A file that holds no results, or not the ones that are asked for."""


def provenance(program: str, threads: int, processes: int, **libraries: str | None) -> Result:
    """ "environment" and "command", which end every result.

    program: as in `environment.command`; threads: of each process; libraries: what else the
    measurement depends on, by name.
    """
    about = {**environment(threads, processes), **libraries}
    return {"environment": about, "command": command(program)}


def command_of(result: Result) -> str:
    """The command that made a result, its module where it is now."""
    return re.sub(
        r"(?<=-m diffcodec\.eval\.)\w+(?= )",
        lambda name: f"experiments.{RENAMED.get(name[0], name[0])}",
        result["command"],
    )


def read_result(path: Path) -> Result:
    """A results file, with or without a byte order mark; raises ResultError if it is none.

    Its texts are such that UTF-8 can hold them (words.encodable). Fields are not looked at.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ResultError(f"{path} is too large; name what eval, bench or nll wrote")
    try:
        result = _readable(json.loads(data.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON; name what eval, bench or nll wrote") from error
    if not isinstance(result, dict):
        raise ResultError(f"{path} does not hold results; name what eval, bench or nll wrote")
    return result


def _readable(value: Any) -> Any:
    """A value of JSON whose texts can be written."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_readable(entry) for entry in value]
    if isinstance(value, dict):
        return {encodable(key): _readable(entry) for key, entry in value.items()}
    return value


def to_json(result: Result) -> str:
    """As files hold it. Raises ValueError for infinities and NaN, which are no JSON."""
    pieces = json.JSONEncoder(indent=1, allow_nan=False).iterencode(result)
    # Joined a few thousand at a time: of a long list all of them would take ten times the text.
    return "".join(iter(lambda: "".join(islice(pieces, 1 << 12)), "")) + "\n"


def write_result(path: Path | None, result: Result) -> None:
    """Write the whole file at once, in a folder that is made; nothing without a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, to_json(result).encode())
