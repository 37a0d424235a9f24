"""Proof that nothing breaks: hostile bytes, failing machines, every prefix, load."""
