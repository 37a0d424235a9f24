"""Bits and integers: the shared randomness, the coders and the file format; no networks."""
