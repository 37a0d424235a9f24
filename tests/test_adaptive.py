"""The adaptive coder: its kernel and numpy do the same, bit for bit, and both undo what they do."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from diffcodec.bitstream import adaptive
from diffcodec.bitstream.adaptive.code import code_strip
from diffcodec.bitstream.adaptive.level import LEVELS
from diffcodec.bitstream.sample_format import RGB8
from tests.adaptive_strips import Case, Coder, Outcome, code, samples_of
from tests.gaussian import gaussian_codec, gaussian_image

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "bitstream" / "adaptive"
HEADERS = sorted(path.stem for path in SOURCES.glob("*.h") if path.stem != "learnt")

KERNEL = adaptive.KERNEL
FASTEST: Coder = code_strip if KERNEL is None else KERNEL.code
needs_kernel = pytest.mark.skipif(KERNEL is None, reason="the kernel is not built")


def same(a: Outcome, b: Outcome) -> bool:
    """Bitwise; the logarithms of two libraries may differ a little."""
    return (
        (a.done, a.size, a.data) == (b.done, b.size, b.data)
        and np.array_equal(a.samples, b.samples)
        and a.learnt.tobytes() == b.learnt.tobytes()
        and abs(a.bits - b.bits) <= 1e-9 * max(1.0, a.bits)
    )


# --- the kernel and numpy -----------------------------------------------------------------------

CASES = [
    *(Case(level, (10, 20, 3), "flowers", period=level + 1, grid=level) for level in range(3)),
    *(Case(level, (8, 20, 3), "flowers", 3.0, grid=1 + level) for level in range(3)),
    *(Case(level, (12, 20, 1), "city", sigma) for level in range(3) for sigma in (0, 3.0)),
    Case(2, (14, 16, 1), "flat"),  # long enough in a class for its fit
    Case(1, (2, 70, 1), "waves", 0.5),  # more segments than a window
    Case(1, (3, 17, 4), "waves", 10.0, shift=8, period=7),
    Case(2, (3, 17, 4), "waves"),
    Case(2, (4, 17, 2), "waves", 0.5),
    Case(0, (4, 17, 2), "waves", shift=8),
    Case(1, (5, 9, 3), "waves", 10.0, shift=4),
    Case(2, (3, 17, 3), "noise", 10.0, shift=8, grid=4),  # as damaged data may say
    *(Case(2, (5, 6, 3), content) for content in ("noise", "board", "flat")),
    *(Case(1, (5, 6, 1), content, 0.5) for content in ("noise", "board", "flat")),
    *(Case(1, size, "waves") for size in ((1, 18, 1), (18, 1, 1), (1, 1, 1), (1, 1, 3))),
    *(Case(2, size, "waves", 3.0) for size in ((1, 18, 1), (18, 1, 1), (1, 1, 1))),
]


@needs_kernel
@pytest.mark.parametrize("case", CASES, ids=str)
def test_numpy_does_the_same_as_the_kernel(case: Case) -> None:
    fast = code(FASTEST, case)
    assert same(fast, code(code_strip, case))
    decoded = code(FASTEST, case, fast.data)
    assert np.array_equal(decoded.samples, samples_of(case))
    assert decoded.learnt.tobytes() == fast.learnt.tobytes()


@needs_kernel
@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("shift", [0, 8])
def test_they_decode_the_same_from_any_bytes(level: int, shift: int) -> None:
    case = Case(level, (3, 5, 3), sigma=3.0 * (level == 1), shift=shift, period=32, grid=1)
    for count in (0, 6, 100):
        data = np.random.default_rng(count).bytes(count)
        for cut in (False, True):
            assert same(code(FASTEST, case, data, cut=cut), code(code_strip, case, data, cut=cut))


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("sigma", [0, 3.0])
def test_numpy_decodes_what_it_encodes(level: int, sigma: float) -> None:
    case = Case(level, (4, 7, 3), sigma=sigma)
    coded = code(code_strip, case)
    decoded = code(code_strip, case, coded.data)
    assert np.array_equal(decoded.samples, samples_of(case)) and decoded.done == 28
    assert decoded.learnt.tobytes() == coded.learnt.tobytes()
    assert 8 * coded.size == pytest.approx(coded.bits, abs=16)


@pytest.mark.parametrize("sigma", [0, 3.0])
def test_a_cut_leaves_only_what_is_sure(sigma: float) -> None:
    case = Case(1, (5, 8, 3) if KERNEL else (2, 3, 3), sigma=sigma)
    coded, samples = code(FASTEST, case), samples_of(case)
    pixels, before = samples.reshape(-1, 3), 0
    for size in range(coded.size + 1):
        decoded = code(FASTEST, case, coded.data[:size], cut=True)
        assert before <= decoded.done
        before = decoded.done
        assert np.array_equal(decoded.samples.reshape(-1, 3)[:before], pixels[:before])
        if size % 16 == 0 and KERNEL:
            assert same(decoded, code(code_strip, case, coded.data[:size], cut=True))
    assert before >= len(pixels) - 5  # the last bytes' zeros may be left out


def test_bytes_beyond_the_room_are_counted() -> None:
    case = Case(0, (2, 4, 1), "noise")
    whole = code(code_strip, case)
    for coder in (code_strip, FASTEST):
        small = code(coder, case, room=3)
        assert small.size == whole.size > 3 and small.data == whole.data[:3]


@pytest.mark.parametrize("kernel", [pytest.param(KERNEL, marks=needs_kernel), None])
def test_who_waits_may_end_the_work(kernel: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "KERNEL", kernel)
    calls = iter((None, None, OverflowError("enough")))

    def ask() -> None:
        if (error := next(calls)) is not None:
            raise error

    size = (2000, 64) if kernel else (4, 9)  # the kernel asks after some 16,384 samples
    with pytest.raises(OverflowError, match="enough"):
        adaptive.decode_strip(bytes(99), True, size, None, 2, RGB8, ask)
    assert next(calls, "over") == "over"


# --- constants of the sources -------------------------------------------------------------------

NUMBER = r"-?\d+(?:\.\d+)?f?"
OF_C = {"MOST_TABLES", "MOST_SETS", "MOST_FITS", "MOST_CHANNELS", "ASK"}  # room, and a pace


def constants(source: str) -> dict[str, list[float]]:
    """Numbers and arrays of numbers that a header defines, flat."""
    found = re.findall(rf"^#define (\w+) ({NUMBER})(?=\s|$)", source, re.MULTILINE)
    found += re.findall(r"^static const \w+ ([A-Z_]+)\[[^=]*= (\{[^;]*\});", source, re.MULTILINE)
    for level in re.findall(r"^static const Level (\w+) = (\{[^;]*\});", source, re.MULTILINE):
        found.append(level)
    without = {name: re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL) for name, text in found}
    return {
        name: [float(number.rstrip("f")) for number in re.findall(NUMBER, text)]
        for name, text in without.items()
        if name not in OF_C
    }


@pytest.mark.parametrize("name", HEADERS)
def test_constants_of_headers(name: str) -> None:
    module = import_module(f"diffcodec.bitstream.adaptive.{name}")
    names = vars(import_module("diffcodec.bitstream.adaptive.level")) | vars(module)
    names["SET_SIZE"] = names["SET_SIZES"]
    for level, numbers in zip(("FAST", "DEFAULT", "BEST"), LEVELS, strict=True):
        names[level] = list(vars(numbers).values())
    for constant, numbers in constants((SOURCES / f"{name}.h").read_text()).items():
        here = np.asarray(names[constant], np.float32).reshape(-1)
        assert np.array_equal(here, np.array(numbers, np.float32)), constant


def test_constants_are_found() -> None:
    found = constants((SOURCES / "fits.h").read_text())
    assert len(found["SPREAD"]) == 4 and len(found["CLASS_EVERY"]) == 1
    assert len(constants((SOURCES / "level.h").read_text())["GRIDS"]) == 36
    assert len(constants((SOURCES / "strip.h").read_text())["BEFORE"]) == 48


# --- whole files --------------------------------------------------------------------------------

SCRIPT = """
import hashlib
import numpy as np
from diffcodec.bitstream import adaptive
from tests.test_adaptive import GREY, encode
from tests.gaussian import gaussian_codec
assert adaptive.KERNEL is None
data = encode()
assert np.array_equal(gaussian_codec().decode(data).pixels, GREY)
print(hashlib.sha256(data).hexdigest())
"""

GREY = gaussian_image()[:, :, :1]


def encode() -> bytes:
    """A file of 32x32 grey pixels with the adaptive coder."""
    options = {"chain": "25", "code": "trellis:8", "residual": "adaptive", "effort": "fast"}
    return gaussian_codec().encode(GREY, **options)


@pytest.mark.slow
@needs_kernel
def test_a_file_is_the_same_without_kernels() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DIFFCODEC_PURE": "1"}
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == hashlib.sha256(encode()).hexdigest()
