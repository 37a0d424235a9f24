"""Trained networks: recipes, the U-Net, checkpoints and their tables."""
