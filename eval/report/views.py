"""What the slider of a report shows: the cuts of one file, and other codecs at the same bytes.

Images are embedded as lossless WebP, each once however often it is shown. Large ones are cropped
for the page; every error is that of the whole image.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.types import Float32, Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.decoded import Decoded
from diffcodec.eval.common import metrics
from diffcodec.eval.common.coded import File, PeerError
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.peers.peers import PEERS, Peer
from diffcodec.progressive.shared import Shared, State
from diffcodec.sampling import SAMPLERS, reconstruction

Cell = dict[str, Any]  # of a codec at one cut: bytes, PSNR (None: exact), number of its image

CUTS = 8  # and the whole file
SIDE = 384  # pixels of an image in the page, at most
LOWEST_BPP, SMALLEST = 0.05, 48  # of a cut; bytes, since a file of fewer holds little but a header
HIGHEST = 0.75  # of the whole file: the last cut
BESIDE = ("jpeg2000", "jpegxl")  # other codecs that the slider shows


@dataclass(frozen=True, eq=False)
class View:
    """One image of the page. facts: for its script; data, trace: the file that is cut."""

    name: str
    facts: dict[str, Any]
    data: bytes
    trace: Trace


@dataclass
class _Album:
    """The images of a page, each embedded once."""

    crop: tuple[slice, slice]
    sources: list[str] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)

    def add(self, pixels: Pixels) -> int:
        """The number of this image's crop."""
        part = np.ascontiguousarray(pixels[self.crop])
        key = part.tobytes()
        if key not in self.known:
            self.known[key] = len(self.sources)
            self.sources.append(embedded(part))
        return self.known[key]


def embedded(pixels: Pixels) -> str:
    """(H, W, C) uint8 as a data: address, lossless."""
    stream = io.BytesIO()
    rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "WEBP", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def crop_of(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The middle of an (H, W, C) image, at most SIDE on a side."""
    rows, columns = (slice((n - min(n, SIDE)) // 2, (n + min(n, SIDE)) // 2) for n in shape[:2])
    return rows, columns


def sizes(pixels: Pixels, whole: int, rates_bpp: Sequence[float] | None) -> list[int]:
    """Bytes of the cuts, rising: at these rates, or CUTS of them a factor apart; the whole last."""
    area = pixels.shape[0] * pixels.shape[1]
    if rates_bpp is not None:
        wanted = [int(rate * area / 8) for rate in rates_bpp]
    else:
        low, high = max(SMALLEST, LOWEST_BPP * area / 8), HIGHEST * whole
        wanted = [int(size) for size in np.geomspace(low, max(low, high), CUTS)]
    return [*sorted({size for size in wanted if SMALLEST <= size < whole}), whole]


def view(
    codec: Codec,
    image: NamedImage,
    *,
    chain: str | None = None,
    label: int | None = None,
    rates_bpp: Sequence[float] | None = None,
    samples: bool = True,
    progress: Progress | None = None,
) -> View:
    """Encode an image, decode its cuts in every way, and what other codecs at hand make of it.

    samples: show cuts by every way of SAMPLERS, which takes some tens of calls of the network; else
    by their mean only.
    """
    pixels, trace = image.pixels, Trace()
    data = codec.encode(pixels, chain=chain, label=label, trace=trace)
    cuts = sizes(pixels, len(data), rates_bpp)
    beside = [(key, PEERS[key]) for key in BESIDE if not PEERS[key].missing()]
    total = len(cuts) + len(beside)
    album = _Album(crop_of(pixels.shape))
    original = album.add(pixels)
    ways = list(SAMPLERS) if samples else ["mean"]
    found: dict[str, list[Cell | None]] = {key: [] for key in ways}
    for i, (decoded, others) in enumerate(_decoded(codec, data, cuts, samples)):
        shown = {"mean": decoded.pixels, **others}
        for key, column in found.items():
            column.append(_cut(album, pixels, shown.get(key, decoded.pixels), decoded.bytes_used))
        if progress is not None:
            progress(i + 1, total)
    layers = [{"key": k, "label": SAMPLERS[k].label, "cuts": c} for k, c in found.items()]
    for i, (key, peer) in enumerate(beside):
        files = _files(peer, pixels, cuts)
        cells = [
            None if f is None else _cut(album, pixels, f.decode(f.data), len(f.data)) for f in files
        ]
        layers.append({"key": key, "label": peer.label, "cuts": cells})
        if progress is not None:
            progress(len(cuts) + i + 1, total)
    rows, columns = album.crop
    facts = {
        "name": image.name,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "shown": [columns.stop - columns.start, rows.stop - rows.start],
        "bytes": cuts,
        "bpp": [metrics.bpp(size, pixels.shape) for size in cuts],
        "original": original,
        "layers": layers,
        "sources": album.sources,
    }
    return View(image.name, facts, data, trace)


def _decoded(
    codec: Codec, data: bytes, cuts: Sequence[int], samples: bool
) -> Iterator[tuple[Decoded, dict[str, Pixels]]]:
    """Every cut by its mean, and what else its state may stand for."""
    from diffcodec.theory.units import from_unit

    kept: dict[str, Pixels] = {}
    others = {name: way for name in SAMPLERS if (way := reconstruction(name)) is not None}

    def look(shared: Shared, state: State, x0_hat: Float32) -> Float32:
        kept.update({name: from_unit(way(shared, state, x0_hat)) for name, way in others.items()})
        return x0_hat

    for decoded in codec.decode_cuts(data, cuts, look if samples else None):
        yield decoded, dict(kept)
        kept.clear()


def _cut(album: _Album, original: Pixels, pixels: Pixels, size: int) -> Cell:
    return {
        "bytes": size,
        "psnr": metrics.psnr(metrics.mse(original, pixels)),
        "source": album.add(pixels),
    }


def _files(peer: Peer, pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """Its best file within each budget; the exact one where that fits."""
    assert peer.lossy is not None
    try:
        files = list(peer.lossy(pixels, budgets))
        whole = peer.lossless(pixels) if peer.lossless else None
    except PeerError as error:
        raise PeerError(f"{peer.label}: {error}") from error
    return [
        whole if whole is not None and len(whole.data) <= budget else file
        for file, budget in zip(files, budgets, strict=True)
    ]
