"""--device, --batch-size: where networks are evaluated, and how many images at a time."""

from __future__ import annotations

import os

import click

device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="Where to evaluate (default: cpu).",
)
batch_option = click.option(
    "--batch-size",
    "batch_images",
    type=click.IntRange(1),
    metavar="N",
    help="Images in a batch (default: as many as hold 2^16 pixels, 2^19 on CUDA).",
)


def own_device(device: str) -> str:
    """This process's: under torchrun each has its own GPU, if there are enough."""
    if device != "cuda":
        return device
    import torch

    check_device(device)
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def check_device(device: str) -> None:
    """Raises ClickException for a GPU where there is none."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise click.ClickException("this machine has no CUDA device; use --device cpu")
