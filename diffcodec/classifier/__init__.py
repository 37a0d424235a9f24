"""Classifiers of images: noise-aware ones that guide samplers, and clean ones that judge samples.

A guide is told y = x0 + n and the variance of n, as denoisers are (Dhariwal and Nichol 2021). What
judges is another network that has never seen noise, so that no sample is judged by its own guide.
"""
