"""Latents as files: x_T of images, as .npz (numpy's, without pickles)."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float32, Float64
from diffcodec.errors import OptionError


@dataclass(frozen=True, eq=False)
class Latents:
    """x_T: (N, C, H, W) float32, nearly N(0, I); v: of its noise in x0 units, where alpha_bar_T is
    1 / (1 + v); network: the fingerprint, hex, of the one that they were made with."""

    x_T: Float32
    v: float
    network: str

    @staticmethod
    def of(y: Float64, v: float, network: str) -> Latents:
        """Of states y_T = x_T / sqrt(alpha_bar_T)."""
        return Latents((y / np.sqrt(1 + v)).astype(np.float32), v, network)

    @property
    def y(self) -> Float64:
        """The states, (N, C, H, W)."""
        return np.asarray(self.x_T * np.sqrt(1 + self.v))

    def to_bytes(self) -> bytes:
        """The file."""
        stream = io.BytesIO()
        np.savez(stream, x_T=self.x_T, v=np.float64(self.v), network=np.array(self.network))
        return stream.getvalue()

    @staticmethod
    def read(data: bytes) -> Latents:
        """Raises OptionError for what is none."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                latents = Latents(found["x_T"], float(found["v"]), str(found["network"]))
        except MemoryError:
            raise
        except Exception as error:  # zipfile and numpy raise almost anything on damaged data
            raise OptionError("this is no file of latents, as diffcodec invert writes") from error
        x_T, v = latents.x_T, latents.v
        if x_T.ndim != 4 or x_T.dtype != np.float32 or x_T.shape[1] not in (1, 3) or not x_T.size:
            raise OptionError(f"its x_T is {x_T.dtype} {x_T.shape}, not float32 (N, C, H, W)")
        if not (np.isfinite(x_T).all() and 0 < v < np.inf):
            raise OptionError("its x_T or v is no finite number")
        return latents
