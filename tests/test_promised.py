"""Files that floats made: exact where the numbers are the same, never noise where they are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec import BitstreamError, Codec, api
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.decoded import ASTRAY
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps

STATE_CRC = 4  # bytes


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """A denoiser on another machine: each number is off by a relative error."""

    denoiser: Callable[[Float32, float], Float32]
    error: float

    def __call__(self, y: Float32, v: float) -> Float32:
        x0_hat = self.denoiser(y, v)
        off = np.random.default_rng(1).standard_normal(x0_hat.shape)
        return np.asarray(x0_hat * (1 + self.error * off), np.float32)


def promising(codec: Codec, error: float = 0.0) -> Codec:
    """The codec as one of floats, here or on another machine."""
    denoiser = Elsewhere(codec.denoiser, error) if error else codec.denoiser
    facts = {"name": codec.name, "fingerprint": codec.fingerprint}
    return Codec(denoiser, codec.tables, promised=True, **facts)  # type: ignore[arg-type]


def psnr(a: Pixels, b: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2).clip(1e-9)))


@pytest.fixture
def large() -> Pixels:
    """Of two strips."""
    return synthetic_image(40, 700, 3, seed=4)


WAYS: dict[str, dict[str, Any]] = {
    "adaptive": {"switch": 6.0},
    "gaussian": {"residual": "gaussian"},
    "best": {"switch": 6.0, "effort": "best", "chain": "12"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_promised_file_is_exact_where_the_numbers_are(
    tiny_codec: Codec, steps_pay: None, way: str, channels: int
) -> None:
    image = synthetic_image(20, 30, channels, seed=3)
    codec = promising(tiny_codec)
    data = codec.encode(image, **WAYS[way])
    plain = tiny_codec.encode(image, **WAYS[way])
    assert parse_header(data)[0].promised and not parse_header(plain)[0].promised
    assert len(data) == len(plain) + 2 + STATE_CRC  # two bytes of flags
    decoded = codec.decode(data)
    assert decoded.lossless and decoded.steps > 0 and not decoded.damage
    assert np.array_equal(decoded.pixels, image)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [1e-6, 1e-4])
def test_where_they_are_not_the_steps_are_shown_and_a_sentence_says_so(
    tiny_codec: Codec, steps_pay: None, way: str, error: float
) -> None:
    image = synthetic_image(40, 60, 3, seed=3)
    data = promising(tiny_codec).encode(image, **WAYS[way])
    decoded = promising(tiny_codec, error).decode(data)
    assert not decoded.lossless and decoded.damage == (ASTRAY,)
    file = tiny_codec.open(data)
    lossy = tiny_codec.decode(data[: file.step_ends[-1]])
    assert decoded.steps == lossy.steps > 0
    assert psnr(decoded.pixels, lossy.pixels) > 60


def test_what_the_steps_say_can_be_reconstructed(tiny_codec: Codec, steps_pay: None) -> None:
    image = synthetic_image(20, 30, 3, seed=3)
    data = promising(tiny_codec).encode(image, switch=6.0)
    decoded = promising(tiny_codec, 1e-4).decode(data, reconstruct=lambda _, state, x0_hat: -x0_hat)
    mean = promising(tiny_codec, 1e-4).decode(data).pixels
    assert decoded.damage == (ASTRAY,) and not decoded.lossless
    assert np.abs(decoded.pixels.astype(int) + mean - 255).max() <= 1
    here = promising(tiny_codec).decode(data, reconstruct=lambda _, state, x0_hat: -x0_hat)
    assert here.lossless and np.array_equal(here.pixels, image)


def test_no_cut_shows_noise(tiny_codec: Codec, large: Pixels, monkeypatch: Any) -> None:
    trust_steps(monkeypatch)
    here, there = promising(tiny_codec), promising(tiny_codec, 1e-6)
    data = here.encode(large, switch=6.0)
    pixels_at = here.open(data).step_ends[-1]
    lossy = here.decode(data[:pixels_at]).pixels
    sizes = np.linspace(pixels_at, len(data), 9).astype(int).tolist()
    shown = list(zip(here.decode_cuts(data, sizes), there.decode_cuts(data, sizes), strict=True))
    assert shown[0][1].damage == ()  # its numbers are as good there as here
    for mine, other in shown[2:]:
        exact = (mine.pixels == large).all(axis=2)
        assert exact[:, :100].mean() > 0.4
        assert other.damage == (ASTRAY,) and psnr(other.pixels, lossy) > 60
    assert shown[-1][0].lossless and np.array_equal(shown[-1][0].pixels, large)


def test_a_damaged_strip_does_not_hide_that_the_others_are_noise(
    tiny_codec: Codec, large: Pixels, monkeypatch: Any
) -> None:
    trust_steps(monkeypatch)
    data = bytearray(promising(tiny_codec).encode(large, switch=6.0))
    data[-20] ^= 1
    mine = promising(tiny_codec).decode(bytes(data))
    assert len(mine.damage) == 1 and np.array_equal(mine.pixels[:, :350], large[:, :350])
    other = promising(tiny_codec, 1e-6).decode(bytes(data))
    assert len(other.damage) == 2 and other.damage[1] == ASTRAY
    assert psnr(other.pixels, large) > 20  # noise would be below 10


@pytest.mark.parametrize("options", [{"switch": "none"}, {"residual": "gaussian"}, {}])
def test_pixels_without_a_state_are_exact_everywhere(
    tiny_codec: Codec, options: dict[str, Any]
) -> None:
    """The tiny network is no help, so that its files end with plain pixels."""
    image = np.full((24, 24, 3), 77, np.uint8)
    data = promising(tiny_codec).encode(image, **options)
    assert promising(tiny_codec).open(data).payload.plain
    decoded = promising(tiny_codec, 0.1).decode(data)
    assert decoded.lossless and np.array_equal(decoded.pixels, image)


def test_a_cut_inside_the_states_checksum_ends_with_the_steps(
    tiny_codec: Codec, small_rgb: Pixels, steps_pay: None
) -> None:
    codec = promising(tiny_codec)
    data = codec.encode(small_rgb, switch=6.0)
    file = codec.open(data)
    assert file.payload.state_crc is not None
    (start,) = (
        i
        for i in range(file.step_ends[-1], len(data))
        if data[i : i + 4] == file.payload.state_crc.to_bytes(4, "little")
    )
    lossy = codec.decode(data[: file.step_ends[-1]])
    for cut in range(start - 2, start + 5):
        shown = codec.decode(data[:cut])
        assert not shown.damage and np.array_equal(shown.pixels, lossy.pixels)
        begun = codec.open(data[:cut]).payload.sigma_index is not None
        assert begun == (cut == start + 4)


def test_wrong_pixels_of_the_right_state_are_still_a_fault(
    tiny_codec: Codec, small_rgb: Pixels, steps_pay: None, monkeypatch: Any
) -> None:
    codec = promising(tiny_codec)
    data = codec.encode(small_rgb, switch=6.0)
    monkeypatch.setattr("diffcodec.progressive.residual.decode_adaptive", lambda *_: None)
    with pytest.raises(BitstreamError, match="computes something wrong"):
        codec.decode(data)


def test_the_ledger_counts_the_states_checksum(
    tiny_network: Path, tiny_codec: Codec, small_rgb: Pixels, steps_pay: None
) -> None:
    both = [c.encode(small_rgb, switch=6.0) for c in (tiny_codec, promising(tiny_codec))]
    plain, promised = (api.ledger(data, tiny_network).kinds() for data in both)
    assert promised["checksum"][0] - plain["checksum"][0] == 8 * STATE_CRC
    assert promised["pixels"] == plain["pixels"]
