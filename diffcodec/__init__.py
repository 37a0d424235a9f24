"""diffcodec: progressive lossy-to-lossless image compression with diffusion models."""

__version__ = "0.1.0"
