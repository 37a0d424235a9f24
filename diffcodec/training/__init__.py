"""Training: Algorithm 1 on one device or many."""
