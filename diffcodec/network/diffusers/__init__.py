"""Folders that the library diffusers writes: read without it, and written for it.

A pipeline (model_index.json, unet/, scheduler/) or a network alone (config.json beside its
safetensors). Names of the library's fields and classes are quoted as they are.
"""

from diffcodec.network.diffusers.reading import load_folder
from diffcodec.network.diffusers.writing import save_folder

__all__ = ["load_folder", "save_folder"]
