"""What the encoder may tune has no say in decoding: files depend on the format alone."""

from __future__ import annotations

from importlib import import_module

import pytest

from diffcodec.bitstream.tiles import FIRST_CHAINS, FIRST_CODE, first_chain
from diffcodec.bitstream.trellis import Trellis
from diffcodec.codec import Codec
from diffcodec.golden import NETWORK, golden_files
from diffcodec.progressive.effort import Effort

# Everything that was chosen by measurement and may be chosen anew, with an absurd value.
TUNING = {
    "diffcodec.progressive.effort": {
        "STEP_BITS": 250,
        "RATE_BPD": 0.1,
        "SHORT_BITS": 10**6,
        "SHORT": Trellis(8),
        "DEFAULT": Effort(6, Trellis(8), 0.5, 0),
        "EFFORTS": {"default": Effort(100, Trellis(10), 99.0, 0)},
        "CHAIN_LENGTHS": (100,),
    },
    "diffcodec.theory.chain": {"CHAIN_LENGTHS": (100,)},
    "diffcodec.progressive.fallback": {
        "PREVIEW": 2,
        "GRAPHICS_PREVIEW": 2,
        "SPARE": 0,
        "GRAPHICS_MOST": 9,
        "DOUBT": 0.1,
        "WORTH": 0.1,
        "NARROW": 99,
    },
    "diffcodec.progressive.plain": {"FLAT": 9.0},
    "diffcodec.archive.archive": {
        "GROUP_VALUES": 9,
        "TILE": 8,
        "SHORT": 1,
        "CHAINS": {"adaptive": "6", "gaussian": "6"},
    },
    "diffcodec.archive.ending": {"LEVEL": 0, "TINY_SWITCH": 9.0, "SWITCH": 1.0},
    "diffcodec.archive.adaptive_pixels": {"WORTH": 1.0},
    "diffcodec.archive.group": {"GRAPHICS_BPD": 99.0, "BATCH": 1},
    "diffcodec.archive.model": {"BINS": 9},
    "diffcodec.bitstream.adaptive.stacked": {"ROOM": 1},
    "diffcodec.bitstream.pixels": {"SMALL": 0},
    "diffcodec.bitstream.hashed": {"EXHAUSTIVE": 1, "CHUNK": 999},
    "diffcodec.bitstream.trellis": {"CHUNK": 999},
    "diffcodec.bitstream.butterfly": {"EXHAUSTIVE": 1, "_MOST_TRIALS": 1, "_TRIED": 1},
    "diffcodec.bitstream.butterfly_search": {
        "SPREAD": 9,
        "TARGET": 60,
        "FIRST_GAIN": 0,
        "DEPTH": 64,
        "_BEST": 0,
        "_FOLDED": 9,
    },
    "diffcodec.bitstream.polar": {"_STEEP": 1},
    "diffcodec.bitstream.polar_search": {"_TOGETHER": 1 << 13},
    "diffcodec.bitstream.rotation": {"_GROUP": 1 << 14},
    "diffcodec.bitstream.rotated": {"_PIECE": 99},
    "diffcodec.exact.compiled": {"SMALL": 1, "WORTHWHILE": 1, "WHOLE": 1, "STRIPE": 1},
    "diffcodec.exact.denoiser": {"AT_ONCE": 1},
}


@pytest.mark.parametrize("module", TUNING)
def test_tuning_constants_change_no_decoding(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TUNING[module].items():
        assert getattr(import_module(module), name) != value
        monkeypatch.setattr(f"{module}.{name}", value)
    codec = Codec.from_pretrained(NETWORK, threads=1)
    for golden in golden_files():
        assert golden.decodes(codec), golden.name


def test_the_rule_for_first_tiles() -> None:
    """Section 4 of FORMAT-archive.md: 100 bits of 2.5 bits/dim to a step."""
    assert Trellis(14) == FIRST_CODE and FIRST_CHAINS == (6, 12, 25, 50)
    for dims, chain in ((1, "6"), (479, "6"), (480, "12"), (999, "12"), (1000, "25"), (1999, "25")):
        assert first_chain(dims) == chain
    assert first_chain(2000) == first_chain(10**9) == "50"
