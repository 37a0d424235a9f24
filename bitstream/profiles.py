"""Colour profiles that most images have, by number: one byte in a file instead of some hundreds.

They lie in the folder `icc`, listed in its index. A number stays once it was in a file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "icc"
# Many programs make the same profile whenever they need one, but for its date; and the intent.
OWN = (*range(24, 36), 67)


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    """The files by number."""
    return tuple((FOLDER / "index.txt").read_text("ascii").split())


@lru_cache(maxsize=8)
def _profile(number: int) -> bytes:
    return (FOLDER / _names()[number]).read_bytes()


@lru_cache(maxsize=1)
def _numbers() -> dict[bytes, int]:
    """The number of each, by what it is besides what may differ."""
    return {_shared(_profile(number)): number for number in range(len(_names()))}


def _own(profile: bytes) -> bytes:
    return bytes(profile[i] for i in OWN)


def _shared(profile: bytes) -> bytes:
    return _with(profile, bytes(len(OWN)))


def _with(profile: bytes, own: bytes) -> bytes:
    changed = bytearray(profile)
    for i, byte in zip(OWN, own, strict=True):
        changed[i] = byte
    return bytes(changed)


def known_profile(profile: bytes) -> bytes | None:
    """What stands for a profile: its number, and then its date and intent unless they are those
    of the file of that number; None if it is not known."""
    if len(profile) <= OWN[-1] or (number := _numbers().get(_shared(profile))) is None:
        return None
    return bytes([number]) + (b"" if profile == _profile(number) else _own(profile))


def profile_of(data: bytes) -> bytes | None:
    """The profile that such bytes stand for; None if this program does not know it."""
    if len(data) not in (1, 1 + len(OWN)) or data[0] >= len(_names()):
        return None
    profile = _profile(data[0])
    return profile if len(data) == 1 else _with(profile, data[1:])
