"""The C kernels: optional, and bit for bit the same as the numpy code beside their callers."""

import os
from importlib import import_module
from types import ModuleType


def load_kernel(name: str) -> ModuleType | None:
    """The extension module of that full name; None if it is not built, or DIFFCODEC_PURE=1."""
    if os.environ.get("DIFFCODEC_PURE") == "1":
        return None
    try:
        return import_module(name)
    except ImportError:
        return None
