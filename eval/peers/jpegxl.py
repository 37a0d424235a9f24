"""JPEG XL through the programs cjxl and djxl (Debian's libjxl-tools)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import File, PeerError, measure
from diffcodec.eval.peers.budgets import DIAL, cuts, within_budgets
from diffcodec.eval.peers.pillow_codecs import read as read_image
from diffcodec.image import to_bytes

TOOLS = ("cjxl", "djxl")
SMALL = 1 << 16  # pixels of an image for which cjxl takes its slowest search
WORST, BEST = 25.0, 0.05  # distances at the ends of the dial
CUT = ("-d", "0.5", "-p")  # a lossy file to cut: DC first, AC in passes
CUT_LOSSLESS = ("-d", "0", "-p")  # a lossless one: squeezed, coarse to fine


def missing() -> list[str]:
    """The programs that are not here."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def version() -> str | None:
    """What cjxl says of itself."""
    if missing():
        return None
    said = subprocess.run(["cjxl", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0].partition(" [")[0] or None


def lossless(pixels: Pixels) -> File:
    """Exact; the slowest search for small images only, since it gains nothing on large ones."""
    effort = "9" if pixels.shape[0] * pixels.shape[1] <= SMALL else "7"
    return whole(pixels, options=("-d", "0", "-e", effort))


def lossy(pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """The best file within each budget (bytes), by distance; None where even 25 is larger."""

    def at(k: int) -> File:
        distance = WORST * (BEST / WORST) ** (k / DIAL)
        return whole(pixels, options=("-d", f"{distance:.4f}"))

    return within_budgets(at, budgets)


def progressive(
    pixels: Pixels, budgets: Sequence[int], *, options: Sequence[str]
) -> list[File | None]:
    """One file that is made for it, cut at every budget (bytes)."""
    start = time.perf_counter()
    data = encode(pixels, options=options)
    seconds = time.perf_counter() - start
    decode = partial(read, channels=pixels.shape[2], partially=True)
    return cuts(pixels, data, decode, budgets, encode_seconds=seconds)


def whole(pixels: Pixels, *, options: Sequence[str]) -> File:
    """All of the file that `progressive` cuts."""
    return measure(
        pixels, partial(encode, options=options), partial(read, channels=pixels.shape[2])
    )


def encode(pixels: Pixels, *, options: Sequence[str]) -> bytes:
    """The file that cjxl makes of (H, W, C) uint8 with these options, on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        original, target = Path(folder) / "a.ppm", Path(folder) / "a.jxl"
        original.write_bytes(to_bytes(pixels, "ppm"))
        _run("cjxl", str(original), str(target), "--num_threads=0", *options)
        return target.read_bytes()


def read(data: bytes, channels: int, partially: bool = False) -> Pixels:
    """(H, W, channels) uint8 from djxl; PeerError if it refuses. partially: the file may be cut."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.jxl", Path(folder) / "b.ppm"
        source.write_bytes(data)
        options = ["--allow_partial_files"] if partially else []
        _run("djxl", str(source), str(target), "--num_threads=0", *options)
        return read_image(target.read_bytes(), channels)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise PeerError(f"{command[0]} failed: {said[-1] if said else done.returncode}")
