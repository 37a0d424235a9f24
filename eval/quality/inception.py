"""FID and the Inception Score themselves, by torch-fidelity, in the network they are defined by.

No package ships that network, so its file is the user's. Numbers of another network are not FID,
and no other file is taken.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from diffcodec.bitstream.types import Pixels
from diffcodec.errors import CheckpointError, OptionError

NAME = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity publishes it
SHA256 = "6726825d"  # how that of the file begins
SPLITS = 10  # of the samples, for the Inception Score


def check(file: Path) -> str:
    """SHA-256 of the file, which is the network, in hex; raises CheckpointError or OptionError."""
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    if not found.startswith(SHA256):
        raise CheckpointError(
            f"{file} is not {NAME}, the network of FID and IS: other networks give other numbers"
        )
    try:  # the library reads any pickle: let it be weights alone
        torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{file} holds more than weights: it is not {NAME}") from error
    _library()
    return found


def measure(samples: Pixels, reference: Pixels, file: Path, device: str = "cpu") -> dict[str, Any]:
    """FID to the reference and IS of (N, H, W, 3) uint8 images, as torch-fidelity has them."""
    splits = min(SPLITS, len(samples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about how many processes the library starts
        found = _library().calculate_metrics(
            input1=_Images(samples),
            input2=_Images(reference),
            isc=True,
            fid=True,
            isc_splits=splits,
            feature_extractor="inception-v3-compat",
            feature_extractor_weights_path=str(file),
            cuda=device != "cpu",
            cache=False,
            verbose=False,
        )
    return {
        "images": len(samples),
        "fid": max(0.0, round(found["frechet_inception_distance"], 6)),
        "inception_score": round(found["inception_score_mean"], 6),
        "inception_score_std": round(found["inception_score_std"], 6),
        "inception_score_splits": splits,
    }


def _library() -> Any:
    try:
        import torch_fidelity
    except (ImportError, RuntimeError) as error:  # torchvision of another torch raises the latter
        raise OptionError(
            "FID and IS need torch-fidelity, with a torchvision that fits torch: "
            f"pip install 'diffcodec[fid]' ({error})"
        ) from error
    return torch_fidelity


class _Images(Dataset[Tensor]):
    """Tensors (3, H, W) uint8, as torch-fidelity reads them."""

    def __init__(self, images: Pixels) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(self.images[i].transpose(2, 0, 1).copy())
