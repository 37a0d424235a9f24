"""Bit rot: every single bit of the golden files is flipped, and `verify` asked what it says.

A flip counts as noticed if the verdict on the file becomes another one. Bytes are guarded that
match a checksum: all of whole files, and of files that were cut those up to the last complete
layer. Of flips in guarded bytes that are not noticed, the file is decoded: are pixels and metadata
the same as before, others, or refused?

    python -m diffcodec.eval.experiments.bit_rot --json bit-rot.json
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from diffcodec.archive.reading import extract_pictures
from diffcodec.bitstream.container import ARCHIVE_MAGIC
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.codec import Codec
from diffcodec.eval.common import options
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.golden import FOLDER, NETWORK, digest, golden_files
from diffcodec.verify import Verdict, verify

SAME, OTHER, REFUSED = "same", "other", "refused"


def flipped(data: bytes, bit: int) -> bytes:
    """With this bit, counted from the lowest of the first byte, the other way round."""
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def verdict_on(data: bytes) -> Verdict:
    """With the golden network's tables at hand."""
    return verify(io.BytesIO(data), NETWORK)


def noticed(before: Verdict, after: Verdict) -> bool:
    """Whether a verdict is another one, but for the number of bytes that are guarded."""
    return (before.state, before.damage) != (after.state, after.damage)


def contents_of(codec: Codec, data: bytes) -> list[str] | None:
    """A digest of each image and its metadata; None where that is refused."""
    try:
        if data[:4] != ARCHIVE_MAGIC:
            decoded = codec.decode(data)
            return [digest([decoded.pixels], decoded.metadata), *decoded.damage]
        found = []
        for image in extract_pictures(codec, io.BytesIO(data)):
            if isinstance(image.found, BitstreamError) or isinstance(image.metadata, ValueError):
                return None
            found.append(repr(image.image) + digest([image.found], image.metadata))
        return found
    except BitstreamError:
        return None


def effect(codec: Codec, before: bytes, after: bytes) -> str:
    """What a flip does to what is decoded."""
    known, found = contents_of(codec, before), contents_of(codec, after)
    return REFUSED if found is None else SAME if found == known else OTHER


def row(codec: Codec, name: str, stride: int) -> dict[str, Any]:
    """What flips of every `stride`-th bit of a golden file do."""
    data = (FOLDER / name).read_bytes()
    before = verdict_on(data)
    guarded = 8 * (len(data) if before.guarded is None else before.guarded)
    found, missed = Counter[str](), list[dict[str, Any]]()
    for bit in range(0, 8 * len(data), stride):
        where = "guarded" if bit < guarded else "unguarded"
        seen = noticed(before, verdict_on(flipped(data, bit)))
        found[f"{where}_flips"] += 1
        found[f"{where}_noticed"] += seen
        if bit < guarded and not seen:
            what = effect(codec, data, flipped(data, bit))
            missed.append({"byte": bit // 8, "bit": bit % 8, "effect": what})
    counts = [f"{a}_{b}" for a in ("guarded", "unguarded") for b in ("flips", "noticed")]
    return {
        "name": name,
        "state": before.state,
        "bytes": len(data),
        **{count: found[count] for count in counts},
        "missed": missed,
    }


def rows_of(codec: Codec, stride: int = 1) -> Iterator[dict[str, Any]]:
    """Of all golden files."""
    for golden in golden_files():
        yield row(codec, golden.name, stride)


def to_text(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    from tabulate import tabulate

    keys = ("guarded_flips", "guarded_noticed", "unguarded_flips", "unguarded_noticed")
    lines = [[one["name"], one["state"], *(one[key] for key in keys)] for one in rows]
    lines.append(["all", "", *(sum(one[key] for one in rows) for key in keys)])
    effects = Counter(miss["effect"] for one in rows for miss in one["missed"])
    said = ", ".join(f"{count} {what}" for what, count in sorted(effects.items())) or "none"
    table = tabulate(lines, ["file", "is", "guarded", "noticed", "others", "noticed"], intfmt=",")
    return f"{table}\nnot noticed though guarded, by what is decoded then: {said}"


@options.measurement
@click.option("--stride", type=click.IntRange(1), default=1, show_default=True, help="Of bits.")
@options.json_option
def main(stride: int, json_path: Path | None) -> None:
    """Flip bits of the golden files, one at a time: does verify notice?"""
    codec = Codec.from_pretrained(NETWORK, 1)
    rows = list(rows_of(codec, stride))
    result = {"files": rows, "stride": stride, **provenance(__name__, threads=1, processes=1)}
    write_result(json_path, result)
    click.echo(to_text(rows))


if __name__ == "__main__":
    main()
