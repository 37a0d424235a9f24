"""One measurement each; their results are in eval/results."""
