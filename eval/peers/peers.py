"""The codecs people use: what a diffusion codec is compared with.

Every rate counts the whole file, as ours do. A peer has files at given sizes ("lossy"), or one that
is exact ("lossless"), or both. JPEG XL needs the programs cjxl and djxl; what is not here is left
out by name. Peers are data: functions of modules, which other processes can import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import File, PeerError, Point
from diffcodec.eval.peers import jpeg2000, jpegxl, pillow_codecs
from diffcodec.eval.peers.command_codec import CommandCodec


@dataclass(frozen=True)
class Peer:
    """label: as plots call it; about: how its files are made.

    lossy: files of (H, W, C) uint8 pixels at rising budgets in bytes, None where there is none;
    lossless: an exact file; qualities: instead of budgets, what the lossy files stand for.
    """

    label: str
    about: str
    lossy: Callable[[Pixels, Sequence[int]], Sequence[File | None]] | None = None
    lossless: Callable[[Pixels], File] | None = None
    missing: Callable[[], list[str]] = list
    qualities: tuple[str, ...] = ()


def _of_pillow(format: str) -> Callable[[], list[str]]:
    return partial(_not_written, format)


def _not_written(format: str) -> list[str]:
    return [] if pillow_codecs.writes(format) else [f"a Pillow that writes {format}"]


def _lossless(name: str) -> Callable[[Pixels], File]:
    return partial(pillow_codecs.lossless, name=name)


_J2K, _J2K_CUT = _of_pillow("JPEG2000"), jpeg2000.layered
_JXL, _JXL_CUT = jpegxl.missing, jpegxl.progressive
PEERS: dict[str, Peer] = {
    "jpeg": Peer(
        "JPEG",
        "smaller of baseline and progressive, better of 4:4:4 and 4:2:0",
        pillow_codecs.jpeg,
        missing=_of_pillow("JPEG"),
    ),
    "jpeg2000": Peer(
        "JPEG 2000",
        "one file for each rate, better of 9/7 and 5/3; lossless 5/3",
        jpeg2000.aimed,
        jpeg2000.lossless,
        missing=_J2K,
    ),
    "jpeg2000-cut": Peer(
        "JPEG 2000, one file cut",
        "one layered 9/7 file, cut",
        partial(_J2K_CUT, irreversible=True),
        missing=_J2K,
    ),
    "jpeg2000-lossless-cut": Peer(
        "JPEG 2000 lossless, one file cut",
        "one layered 5/3 file, cut",
        partial(_J2K_CUT, irreversible=False),
        jpeg2000.layered_lossless,
        missing=_J2K,
    ),
    "webp": Peer(
        "WebP",
        "method 6",
        pillow_codecs.webp,
        _lossless("webp"),
        missing=_of_pillow("WEBP"),
    ),
    "avif": Peer(
        "AVIF",
        "better of 4:4:4 and 4:2:0, speed 6",
        pillow_codecs.avif,
        missing=_of_pillow("AVIF"),
    ),
    "png": Peer("PNG", "optimised", lossless=_lossless("png"), missing=_of_pillow("PNG")),
    "qoi": Peer("QOI", "", lossless=_lossless("qoi"), missing=_of_pillow("QOI")),
    "jpegxl": Peer(
        "JPEG XL",
        "effort 7 (lossless 9 for small images)",
        jpegxl.lossy,
        jpegxl.lossless,
        missing=_JXL,
    ),
    "jpegxl-cut": Peer(
        "JPEG XL, one file cut",
        f"cjxl {' '.join(jpegxl.CUT)}, cut",
        partial(_JXL_CUT, options=jpegxl.CUT),
        missing=_JXL,
    ),
    "jpegxl-lossless-cut": Peer(
        "JPEG XL lossless, one file cut",
        f"cjxl {' '.join(jpegxl.CUT_LOSSLESS)}, cut",
        partial(_JXL_CUT, options=jpegxl.CUT_LOSSLESS),
        partial(jpegxl.whole, options=jpegxl.CUT_LOSSLESS),
        missing=_JXL,
    ),
}


def choose(names: Sequence[str] | None) -> dict[str, Peer]:
    """The peers of these names, all if None; PeerError for one that does not exist."""
    for name in names or ():
        if name not in PEERS:
            raise PeerError(
                f"there is no codec {name!r} to compare with; choose of {', '.join(PEERS)}"
            )
    return {name: peer for name, peer in PEERS.items() if names is None or name in names}


def of_command(codec: CommandCodec) -> Peer:
    """A codec given by a template; its files at given qualities count as they are."""
    about = " ".join((*codec.encoder, ";", *codec.decoder))
    return Peer(codec.name, about, codec.files, None, codec.missing, codec.qualities)


def at_hand(peers: Mapping[str, Peer], warn: Callable[[str], None]) -> dict[str, Peer]:
    """Those that can run here; `warn` hears of the others, and what they need."""
    found = {}
    for name, peer in peers.items():
        if missing := peer.missing():
            warn(f"{name} is left out: it needs {' and '.join(missing)}")
        else:
            found[name] = peer
    return found


def lossless(
    pixels: Pixels, chosen: Sequence[str] = ("png", "webp", "jpeg2000", "jpegxl")
) -> dict[str, Point]:
    """The image's lossless file of each codec at hand; PeerError for one that is not exact."""
    points = {}
    for name in chosen:
        encode = PEERS[name].lossless
        if encode is not None and not PEERS[name].missing():
            points[name] = exact(name, encode(pixels))
    return points


def exact(name: str, file: File) -> Point:
    """The point of a file that must be lossless; PeerError if it is not."""
    if file.point.mse:
        raise PeerError(f"{name} did not return the exact pixels")
    return file.point
