"""Measures of samples: how far a set of images is from real ones, in features of a classifier."""
