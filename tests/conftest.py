"""Networks too small to be good, but with everything a network has, and two small images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffcodec.bitstream.types import Pixels
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps

if TYPE_CHECKING:
    from diffcodec import Codec


@pytest.fixture(scope="session")
def small_rgb() -> Pixels:
    """(16, 16, 3)."""
    return synthetic_image(16, 16, 3, seed=1)


@pytest.fixture(scope="session")
def small_grey() -> Pixels:
    """(16, 16, 1)."""
    return synthetic_image(16, 16, 1, seed=2)


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an integer network with random weights, calibrated on synthetic images."""
    from tests.exact_network import build, calibrated

    images = [synthetic_image(16, 16, 3, seed) for seed in range(100, 116)]
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    calibrated(build("tiny"), images).save(path)
    return path


@pytest.fixture(scope="session")
def tiny_float(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a float network: a small U-Net with random weights, calibrated likewise."""
    import torch

    from diffcodec.network.checkpoint import Checkpoint
    from diffcodec.network.config import NetworkConfig, Recipe, TrainConfig
    from diffcodec.network.denoiser import NetworkDenoiser
    from diffcodec.network.tables import measure_tables
    from diffcodec.network.unet import UNet

    torch.set_num_threads(1)
    network = NetworkConfig(8, (1, 2), blocks=1, attention=(), norm="none", window=8)
    train = TrainConfig("edm", batch=4, steps=10, lr=1e-3, warmup=1, cooldown=0.5, ema=0.9, crop=16)
    torch.manual_seed(0)
    unet = UNet(network)
    with torch.no_grad():
        for parameter in unet.parameters():  # the last layers start at zero: give them something
            parameter.add_(0.01 * torch.randn_like(parameter))
    weights = {name: tensor.half().numpy() for name, tensor in unet.state_dict().items()}
    checkpoint = Checkpoint(Recipe("tiny", network, train), weights, {}, {"steps": 0})
    images = [synthetic_image(16, 16, 3, seed) for seed in range(100, 116)]
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    tables = measure_tables(NetworkDenoiser(checkpoint), images)
    checkpoint.with_tables(tables).save(path)
    return path


@pytest.fixture(scope="session")
def tiny_codec(tiny_network: Path) -> Codec:
    """The codec of `tiny_network`."""
    from diffcodec.codec import Codec

    return Codec.from_pretrained(tiny_network, threads=1)


@pytest.fixture
def steps_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are not given up for plain pixels, tiny as the network may be."""
    trust_steps(monkeypatch)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of 24x20, one that is too small, and one that is none."""
    import torch

    from diffcodec.image import save

    path = tmp_path_factory.mktemp("images")
    for seed in range(12):
        save(synthetic_image(24, 20, 3, seed), path / f"{seed:02}.png")
    save(synthetic_image(8, 8, 3, 0), path / "small.png")
    (path / "broken.png").write_bytes(b"\x89PNG not really")
    torch.set_num_threads(1)
    return path
