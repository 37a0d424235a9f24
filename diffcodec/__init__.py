"""diffcodec: progressive lossy-to-lossless image compression with diffusion models.

read_picture reads an image with all that belongs to it, encode makes a file of it, decode an image
of a file or of its beginning, save writes that. Codec does the same with one network, held open.
codec_of makes a Codec of any function that denoises; score is what any denoiser says of log q, for
samplers. `import diffcodec.pillow` lets Pillow read and write files.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffcodec.api import decode, encode, info, list_models, truncate
    from diffcodec.bitstream.errors import BitstreamError
    from diffcodec.codec import Codec
    from diffcodec.decoded import Decoded
    from diffcodec.errors import CheckpointError, ImageError, OptionError
    from diffcodec.image import Choices, Picture, load, read_picture, save
    from diffcodec.limits import Limits, OverLimit
    from diffcodec.own_denoiser import codec_of
    from diffcodec.sampling.walk import score

__version__ = "0.1.0"
__all__ = [
    "BitstreamError",
    "CheckpointError",
    "Choices",
    "Codec",
    "Decoded",
    "ImageError",
    "Limits",
    "OptionError",
    "OverLimit",
    "Picture",
    "__version__",
    "codec_of",
    "decode",
    "encode",
    "info",
    "list_models",
    "load",
    "read_picture",
    "save",
    "score",
    "truncate",
]

_HOME = {name: "diffcodec.api" for name in __all__} | {
    "BitstreamError": "diffcodec.bitstream.errors",
    "CheckpointError": "diffcodec.errors",
    "Codec": "diffcodec.codec",
    "Decoded": "diffcodec.decoded",
    "ImageError": "diffcodec.errors",
    "OptionError": "diffcodec.errors",
    "Choices": "diffcodec.image",
    "Limits": "diffcodec.limits",
    "OverLimit": "diffcodec.limits",
    "Picture": "diffcodec.image",
    "codec_of": "diffcodec.own_denoiser",
    "load": "diffcodec.image",
    "read_picture": "diffcodec.image",
    "save": "diffcodec.image",
    "score": "diffcodec.sampling.walk",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that help loads nothing heavy."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
