"""Files appear whole or not at all, and are for nobody's eyes who could not see them before."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

NEW = 0o666  # permissions of a new file, less what the umask takes
PART = 100  # bytes of a name that the name of its part repeats

PARTS = 16  # of one target that processes write at a time, under names that are found again

_parts: dict[Path, tuple[int, int] | None] = {}  # of this process: device and inode once they exist


def write_atomic(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside the target, flush, then rename: never a half-written file.

    A file that is replaced passes on its mode; of a new one `mode` says at most whose it is to read
    and write, as `permissions` of what it was made of, and the umask takes from that. A link is
    followed, and what is not a file (a pipe, /dev/null) is written to, not replaced. What a process
    that was killed left beside the target is removed. Raises OSError naming `path`; what was there
    before is then still there.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data, NEW if mode is None else NEW & mode)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    part, descriptor = _begin(target, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if sys.platform != "win32":  # while it is locked, or somebody took it for an old one
                os.replace(part, target)
        if sys.platform == "win32":  # which renames nothing that is open
            os.replace(part, target)
    except BaseException:
        _remove(part)
        raise
    finally:
        _parts.pop(part, None)


def _begin(target: Path, mode: int) -> tuple[Path, int]:
    """A new part and its descriptor, which is locked."""
    for part in _part_names(target):
        if os.path.lexists(part) and not _abandoned(part):
            continue
        _parts[part] = None  # first: whatever happens now, somebody can remove it
        try:
            descriptor = _create(part, target, mode)
        except FileExistsError:  # another process was faster
            _parts.pop(part)
            continue
        except OSError:
            _parts.pop(part)
            raise
        _parts[part] = _identity(os.fstat(descriptor))
        if hold(descriptor) is not False and _is_still(part):
            return part, descriptor
        os.close(descriptor)  # somebody took it for an old one
        _parts.pop(part)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _part_names(target: Path) -> Iterator[Path]:
    """Numbered ones, of which a later call finds again what an earlier one left; then a name that
    nobody can have planted.
    """
    begins = f".{_beginning(target.name)}~"
    for end in [*map(str, range(PARTS)), secrets.token_hex(8)]:
        yield target.with_name(f"{begins}{end}.part")


def hold(descriptor: int) -> bool | None:
    """Lock an open file until it is closed: False if somebody else has it, None where there are no
    locks.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _abandoned(part: Path) -> bool:
    """Remove a part that nobody holds, if it can be known; whether that was so."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(part, flags)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not hold(descriptor):
            return False
        if _identity(os.lstat(part)) == _identity(found):
            part.unlink()
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def permissions(path: str | Path) -> int | None:
    """The permission bits of a file; None where there is none, or something else, a pipe say."""
    found = _status(Path(path))
    return None if found is None else stat.S_IMODE(found.st_mode)


def remove_parts() -> None:
    """Remove what `write_atomic` has begun, in a process that ends at once."""
    for part in list(_parts):
        _remove(part)
        _parts.pop(part, None)


def _remove(part: Path) -> None:
    """A part of this process, unless it has got its name, and somebody else's has that of it."""
    with suppress(OSError):
        if _is_still(part):
            part.unlink()


def _is_still(part: Path) -> bool:
    """Whether a part of this process is where it was made."""
    known = _parts.get(part)
    try:
        return known is None or _identity(os.lstat(part)) == known
    except OSError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


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
