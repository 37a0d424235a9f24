"""Algorithms 3 and 4 of DDPM with real bits: the sender, the receiver and what both know."""
