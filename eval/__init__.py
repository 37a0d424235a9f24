"""Measurements: likelihood, rate-distortion, other codecs; each writes JSON."""
