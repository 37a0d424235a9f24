"""Makes the files of diffcodec/golden that are not there yet: `python -m tests.golden`.

Each is made once: who makes one again takes the promise back that old files decode alike.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from diffcodec.archive.archive import Network, make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.profiles import profile_of
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.files import write_atomic
from diffcodec.golden import FOLDER, INDEX, NETWORK, carried, decode, digest
from diffcodec.image import Picture
from diffcodec.progressive.residual import Residual
from tests.exact_network import build, calibrated
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps


def files(codec: Codec, folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Name, description and content of each."""
    yield from _version_1(codec, folder)
    colour, grey = synthetic_image(14, 18, 3, seed=11), synthetic_image(19, 13, 1, seed=12)
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        hashed = partial(codec.encode, code="trellis:14")
        whole = hashed(colour, chain="12", switch=40.0)
        yield "adaptive.dfc", "RGB, 12 levels down to 40 grey levels, adaptive", whole
        yield "adaptive-cut.dfc", "the same, cut inside the exact pixels", whole[:-180]
        fast = hashed(grey, chain="12", switch=40.0, effort="fast")
        yield "adaptive-grey.dfc", "grey, adaptive", fast
        whole = codec.encode(colour, chain="12", code="butterfly:16", switch=6.0)
        yield "butterfly.dfc", "RGB, 12 levels by the butterfly trellis", whole
        step = whole[: _inside_a_step(codec, whole)]
        yield "butterfly-step.dfc", "the same, cut inside a step", step
        small = codec.encode(grey, chain="6", code="butterfly:8", switch=40.0)
        yield "butterfly-grey.dfc", "grey, 6 levels, Gaussian labels too", small
        large = synthetic_image(200, 220, 3, seed=13)
        whole = codec.encode(large, chain="ddpm:20", code="polar:32", max_steps=13)
        yield "polar.dfc", "RGB, 13 levels of 20, the last one by the polar code", whole
        yield "polar-step.dfc", "the same, cut inside that step", whole[:-700]
    alone = codec.encode(colour, switch="none")
    yield "alone.dfc", "RGB, adaptive without steps", alone
    yield from _version_3(codec)
    plain = [colour, grey]
    yield (
        "plain.dfa",
        "2 images without the network",
        _archive(codec, folder, plain, "6", 16, "never"),
    )
    small = [synthetic_image(8, 8, 3, seed=40 + i) for i in range(7)]
    yield (
        "adaptive.dfa",
        "8 RGB images of two sizes and a grey one, bits-back ending with the adaptive coder",
        _archive(
            codec,
            folder,
            [*small, synthetic_image(8, 8, 1, seed=48), synthetic_image(11, 7, 3, seed=49)],
            "12",
            128,
            residual="adaptive",
        ),
    )
    yield "rich.dfa", "8 images of all formats, with metadata, times and permissions", _rich(codec)
    about = "4 images of 16 bits that come from 8, 10, 12 and 16, guarded"
    yield "guarded.dfa", about, _guarded()


def _rich(codec: Codec) -> bytes:
    """An archive of version 4: grey and RGB, with and without alpha, 8 and 16 bits."""
    some = []
    for channels in (1, 2, 3, 4):
        pixels = synthetic_image(10, 9, 3, seed=50 + channels)
        pixels = np.concatenate([pixels, pixels[::-1]], axis=2)[..., :channels]
        deep = pixels * np.uint16(251) + np.uint16(channels)
        for depth, samples in ((8, pixels), (16, deep)):
            items = (Item(Kind.ORIENTATION, bytes([channels])), Item(Kind.EXIF, b"MM\0*golden"))
            picture = Picture(samples, items[: channels - 1])
            name = f"{channels} channels\n{depth} bits"
            some.append(Source(name, picture, channels * 10**18 + depth, 0o600 + channels))
    stream = io.BytesIO()
    write_archive(codec, some, stream, make_header(codec, "6", 16, network="always"))
    return stream.getvalue()


def _guarded() -> bytes:
    """An archive whose header has the flag 4: 16 bits by each rule, with and without alpha."""
    deep, mask = deep_image(12, 10, 3, seed=60), soft_mask(12, 10)
    samples = {
        "8": mask * np.uint16(257),
        "10": deep >> 6 << 6,
        "12": np.concatenate(
            [deep[..., :1] >> 4 << 4 | deep[..., :1] >> 12, mask.astype("<u2") << 8], 2
        ),
        "16": deep,
    }
    some = [Source(f"{bits} bits", Picture(pixels)) for bits, pixels in samples.items()]
    stream = io.BytesIO()
    write_archive(None, some, stream, make_header(None, network="never"))
    return stream.getvalue()


def _version_3(codec: Codec) -> Iterator[tuple[str, str, bytes]]:
    """What takes its header: 16 bits, alpha, metadata."""
    deep, mask = deep_image(14, 18, 3, seed=14), soft_mask(14, 18)
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        whole = codec.encode(deep, chain="12", code="butterfly:8", switch=40.0)
        yield "deep.dfc", "RGB of 16 bits, 12 levels down to 40 grey levels, adaptive", whole
        yield "deep-cut.dfc", "the same, cut inside the exact pixels", whole[:-180]
        clear = np.concatenate([synthetic_image(14, 18, 3, seed=15), mask], axis=2)
        whole = codec.encode(clear, chain="12", code="butterfly:8", switch=40.0)
        yield "alpha.dfc", "RGBA, 12 levels down to 40 grey levels, adaptive", whole
        yield "alpha-cut.dfc", "the same, cut inside alpha", whole[:60]
    narrow = np.concatenate([deep[..., :1] >> 4 << 4, mask.astype("<u2") * 257], axis=2)
    about = "grey and alpha of 16 bits that come from 12 and 8, adaptive without steps"
    yield "narrow.dfc", about, codec.encode(narrow, switch="none")
    items = (
        Item(Kind.ICC, profile_of(bytes([0])) or b""),
        Item(Kind.ORIENTATION, bytes([6])),
        Item(Kind.EXIF, b"MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        Item(Kind.TEXT, "Title\0\0\0Übung".encode()),
        Item(Kind.TEXT, b"Comment\0\0\0" + 40 * b"made up "),
    )
    grey = synthetic_image(9, 11, 1, seed=16)
    whole = codec.encode(grey, metadata=items, switch="none")
    yield "metadata.dfc", "grey, a known profile and metadata on both sides of the pixels", whole
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        facts = {"name": codec.name, "fingerprint": codec.fingerprint, "promised": True}
        floats = Codec(codec.denoiser, codec.tables, **facts)  # type: ignore[arg-type]
        colour = synthetic_image(14, 18, 3, seed=17)
        about = (
            "RGB, adaptive after 12 levels, as from a network of floats: with a state's checksum"
        )
        yield "promised.dfc", about, floats.encode(colour, chain="12", switch=40.0)
        about = "the same by the Gaussian"
        whole = floats.encode(colour, chain="12", switch=40.0, residual="gaussian")
        yield "promised-gaussian.dfc", about, whole


def deep_image(height: int, width: int, channels: int, seed: int) -> Pixels:
    """(H, W, C) uint16 that needs all 16 bits."""
    upper = synthetic_image(height, width, channels, seed).astype(np.uint16)
    lower = np.random.default_rng(seed).integers(0, 256, upper.shape, dtype=np.uint16)
    return np.asarray(upper << 8 | lower, "<u2")


def soft_mask(height: int, width: int) -> Pixels:
    """(H, W, 1) uint8: a disc with a soft edge, hidden without and full within."""
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot(y - height / 2, x - width / 2)
    return np.asarray((60 * (min(height, width) / 2 - away)).clip(0, 255), np.uint8)[..., None]


def _version_1(codec: Codec, folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Those of version 1, or of what it has: they were made when it was the newest."""
    encode = partial(codec.encode, residual="gaussian", code="trellis:14")
    colour, grey = synthetic_image(14, 18, 3, seed=11), synthetic_image(19, 13, 1, seed=12)
    whole = encode(colour, chain="12")
    yield "colour.dfc", "RGB, 12 levels, to the exact pixels", whole
    yield "step.dfc", "the same, cut inside a step", whole[: _inside_a_step(codec, whole)]
    yield "pixels.dfc", "the same, cut inside the exact pixels", whole[:-180]
    yield "grey.dfc", "grey, nu = 8, seed 7", encode(grey, code="trellis:8", seed=7)
    yield "ddpm.dfc", "10 levels of DDPM's T = 1000", encode(colour[:9, :11], chain="ddpm:10")
    yield (
        "cosine.dfc",
        "10 levels of the cosine schedule",
        encode(grey[:9, :11], chain="cosine:10", code="trellis:10"),
    )
    small = [synthetic_image(8, 8, 3, seed=20 + i) for i in range(7)]
    yield (
        "archive.dfa",
        "7 RGB images and a grey one, bits-back",
        _archive(codec, folder, [*small, synthetic_image(8, 8, 1, seed=30)], "12", 128),
    )
    large = [colour[:, :16], colour[:, 2:18], synthetic_image(12, 17, 1, seed=31)]
    yield (
        "tiles.dfa",
        "2 RGB images and a grey one in tiles of 16, the first ones progressive in 12 levels",
        _archive(codec, folder, [*large, np.full((16, 20, 3), 90, np.uint8)], "6", 16),
    )


def _archive(
    codec: Codec,
    folder: Path,
    images: Sequence[Pixels],
    chain: str,
    tile: int,
    network: Network = "always",
    residual: Residual = "gaussian",
) -> bytes:
    """Of images that are called by their numbers, the grey ones with another name."""
    sources = [
        Source("grey.png" if i == 7 else f"{i}.png", pixels) for i, pixels in enumerate(images)
    ]
    target = folder / "made.dfa"
    header = make_header(codec, chain, tile, network=network, residual=residual)
    write_archive(codec, sources, target, header)
    data = target.read_bytes()
    target.unlink()
    return data


def _inside_a_step(codec: Codec, data: bytes) -> int:
    """Bytes up to the middle of the step before the last."""
    file = codec.open(data)
    steps = file.payload.steps
    return file.start + (steps[-3].bytes_end + steps[-2].bytes_end) // 2


def main() -> None:
    """Write what is missing of network, files and index."""
    if not NETWORK.exists():
        images = [synthetic_image(16, 16, 3, seed) for seed in range(100, 116)]
        calibrated(build("golden", patch=2, seed=1), images).save(NETWORK)
    codec = Codec.from_pretrained(NETWORK, threads=1)
    index = json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.exists() else {}
    for name, about, data in files(codec, FOLDER):
        if name in index:
            continue
        write_atomic(FOLDER / name, data)
        sha256 = digest(decode(codec, data), carried(data))
        index[name] = {"about": about, "sha256": sha256}
        print(f"{name}: {len(data)} bytes, {about}")
    write_atomic(INDEX, (json.dumps(index, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
