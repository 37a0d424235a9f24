"""Networks: recipes, architectures, checkpoints of trained ones, and their tables."""
