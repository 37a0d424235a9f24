"""Folders that the real library writes: tiny networks, every weight of them random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

diffusers = pytest.importorskip("diffusers")

PLAIN = ("DownBlock2D", "UpBlock2D")
ATTENDING = ("AttnDownBlock2D", "AttnUpBlock2D")
SMALL: dict[str, Any] = {
    "sample_size": 16,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 8,
}
AS_DDPM: dict[str, Any] = {  # what google/ddpm-cifar10-32 says, in small
    **SMALL,
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}


def blocks(*attends: bool) -> dict[str, tuple[str, ...]]:
    """The types of the levels' blocks, from the highest resolution on."""
    chosen = [ATTENDING if attend else PLAIN for attend in attends]
    down, up = zip(*chosen, strict=True)
    return {"down_block_types": down, "up_block_types": up[::-1]}


def model(seed: int = 0, **fields: Any) -> Any:
    """A UNet2DModel of the real library; layers that start at zero are random, too."""
    torch.manual_seed(seed)
    network = diffusers.UNet2DModel(**{**SMALL, **blocks(False, True), **fields})
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network.eval().requires_grad_(False)


def pipeline(folder: Path, network: Any, **scheduler: Any) -> Path:
    """The folder of a DDPMPipeline with such a network."""
    made = diffusers.DDPMPipeline(network, diffusers.DDPMScheduler(**scheduler))
    made.save_pretrained(folder)
    return folder
