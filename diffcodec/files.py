"""Files appear whole or not at all, and are for nobody's eyes who could not see them before."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

NEW = 0o666  # permissions of a new file, less what the umask takes
PART = 100  # bytes of a name that the name of its part repeats

_parts: set[Path] = set()  # that this process writes


def write_atomic(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside the target, flush, then rename: never a half-written file.

    A file that is replaced passes on its mode; of a new one `mode` says at most whose it is to read
    and write, as `permissions` of what it was made of, and the umask takes from that. A link is
    followed, and what is not a file (a pipe, /dev/null) is written to, not replaced. Raises OSError
    naming `path`; what was there before is then still there.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data, NEW if mode is None else NEW & mode)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    part = target.with_name(f".{_beginning(target.name)}.{secrets.token_hex(8)}.part")
    descriptor = _create(part, target, mode)
    _parts.add(part)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
        _parts.discard(part)


def permissions(path: str | Path) -> int | None:
    """The permission bits of a file; None where there is none, or something else, a pipe say."""
    found = _status(Path(path))
    return None if found is None else stat.S_IMODE(found.st_mode)


def remove_parts() -> None:
    """Remove what `write_atomic` has begun, in a process that ends at once."""
    for part in list(_parts):
        with suppress(OSError):
            part.unlink()


def _beginning(name: str) -> str:
    """So much of a name that a longer one still is a name: file systems count bytes."""
    return os.fsencode(name)[:PART].decode(sys.getfilesystemencoding(), errors="ignore")


def _create(part: Path, target: Path, mode: int) -> int:
    """A descriptor of a new file, `part`, with the mode of `target`, or this one if that is new.

    Raises FileExistsError for whatever is there already, a link that somebody planted too.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    replaced = _status(target)
    if replaced is None:
        return os.open(part, flags, mode)
    descriptor = os.open(part, flags, 0o600)
    with suppress(OSError, AttributeError):  # only root may; and there is no such call on Windows
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    os.chmod(part, stat.S_IMODE(replaced.st_mode))
    return descriptor


def _status(path: Path) -> os.stat_result | None:
    """Of a file; None where there is none, or something else."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
