"""diffcodec: progressive lossy-to-lossless image compression with diffusion models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffcodec.api import decode, encode, info, list_models, truncate
    from diffcodec.bitstream.errors import BitstreamError
    from diffcodec.codec import Codec, Decoded
    from diffcodec.errors import CheckpointError, ImageError, OptionError

__version__ = "0.1.0"
__all__ = [
    "BitstreamError",
    "CheckpointError",
    "Codec",
    "Decoded",
    "ImageError",
    "OptionError",
    "__version__",
    "decode",
    "encode",
    "info",
    "list_models",
    "truncate",
]

_HOME = {name: "diffcodec.api" for name in __all__} | {
    "BitstreamError": "diffcodec.bitstream.errors",
    "CheckpointError": "diffcodec.errors",
    "Codec": "diffcodec.codec",
    "Decoded": "diffcodec.codec",
    "ImageError": "diffcodec.errors",
    "OptionError": "diffcodec.errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that help loads nothing heavy."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
