"""FID and the Inception Score themselves, by torch-fidelity, in the network they are defined by.

No package ships that network, so its file is the user's. Numbers of another network are not FID,
and no other file is taken.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

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
    _library()
    return found


def measure(samples: Pixels, reference: Pixels, file: Path, device: str = "cpu") -> dict[str, Any]:
    """FID to the reference and IS of (N, H, W, 3) uint8 images, as torch-fidelity has them."""
    splits = min(SPLITS, len(samples))
    found = _library().calculate_metrics(
        input1=_dataset(samples),
        input2=_dataset(reference),
        isc=True,
        fid=True,
        isc_splits=splits,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(file),
        cuda=device == "cuda",
        cache=False,
        verbose=False,
    )
    return {
        "images": len(samples),
        "fid": round(found["frechet_inception_distance"], 6),
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


def _dataset(images: Pixels) -> Any:
    """Tensors (3, H, W) uint8, as torch-fidelity reads them."""
    import torch

    class Images(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, i: int) -> torch.Tensor:
            return torch.from_numpy(images[i].transpose(2, 0, 1).copy())

    return Images()
