"""Makes the files of diffcodec/golden. They are made once: `python -m tests.golden`.

Who makes them again takes the promise back that old files decode to the same pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.codec import Codec
from diffcodec.files import write_atomic
from diffcodec.golden import FOLDER, INDEX, NETWORK, decode, digest
from tests.conftest import synthetic_image
from tests.exact_network import build, calibrated


def files(codec: Codec, folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Name, description and content of each."""
    colour, grey = synthetic_image(14, 18, 3, seed=11), synthetic_image(19, 13, 1, seed=12)
    whole = codec.encode(colour, chain="12")
    yield "colour.dfc", "RGB, 12 levels, to the exact pixels", whole
    yield "step.dfc", "the same, cut inside a step", whole[: _inside_a_step(codec, whole)]
    yield "pixels.dfc", "the same, cut inside the exact pixels", whole[:-180]
    yield "grey.dfc", "grey, nu = 8, seed 7", codec.encode(grey, code="trellis:8", seed=7)
    yield "ddpm.dfc", "10 levels of DDPM's T = 1000", codec.encode(colour[:9, :11], chain="ddpm:10")
    yield (
        "cosine.dfc",
        "10 levels of the cosine schedule",
        codec.encode(grey[:9, :11], chain="cosine:10", code="trellis:10"),
    )
    sources = [Source(f"{i}.png", synthetic_image(8, 8, 3, seed=20 + i)) for i in range(7)]
    sources.append(Source("grey.png", synthetic_image(8, 8, 1, seed=30)))
    target = folder / "archive.dfa"
    write_archive(codec, sources, target, make_header(codec, "12"))
    yield target.name, "7 RGB images and a grey one, bits-back", target.read_bytes()


def _inside_a_step(codec: Codec, data: bytes) -> int:
    """Bytes up to the middle of the step before the last."""
    file = codec.open(data)
    steps = file.payload.steps
    return file.start + (steps[-3].bytes_end + steps[-2].bytes_end) // 2


def main() -> None:
    """Write network, files and index."""
    images = [synthetic_image(16, 16, 3, seed) for seed in range(100, 116)]
    graph = calibrated(build("golden", patch=2, seed=1), images)
    graph.save(NETWORK)
    codec = Codec.from_pretrained(NETWORK, threads=1)
    index = {}
    for name, about, data in files(codec, FOLDER):
        write_atomic(FOLDER / name, data)
        found = digest(decode(codec, data))
        index[name] = {"about": about, "sha256": found}
        print(f"{name}: {len(data)} bytes, {about}")
    write_atomic(INDEX, (json.dumps(index, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
