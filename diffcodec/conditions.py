"""What a network asks of an image besides its pixels: channels that it takes, and a class.

Denoisers that say nothing of it take grey and RGB images, and know no classes.
"""

from __future__ import annotations

from diffcodec.theory.denoiser import Denoiser


def misfit(denoiser: Denoiser, name: str, channels: int, label: object) -> str | None:
    """A sentence on why a network, by its name, cannot denoise an image; None if it can.

    channels: of the colours; label: the number of the image's class, None for none.
    """
    takes: tuple[int, ...] = getattr(denoiser, "channels", (1, 3))
    if channels not in takes:
        kinds = {1: "grey", 3: "RGB"}
        return (
            f"{name} is a network of {kinds[takes[0]]} images, not of {kinds[channels]}: convert "
            "the image, or use another network"
        )
    classes: int = getattr(denoiser, "classes", 0)
    if label is None:
        if classes:
            return f"{name} has to know the image's class: name one of 0 to {classes - 1}"
        return None
    if not classes:
        return f"{name} knows no classes: leave the class out"
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < classes:
        return f"{name} knows classes 0 to {classes - 1}, and {label} is none of them"
    return None


def conditioned(denoiser: Denoiser, label: int | None) -> Denoiser:
    """The denoiser of a class that it knows."""
    if label is None:
        return denoiser
    told: Denoiser = denoiser.of_class(label)  # type: ignore[attr-defined]
    return told
