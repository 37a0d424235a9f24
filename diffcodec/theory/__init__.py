"""The mathematics: noise levels, the Gaussian algebra of q and p_theta, the bound, denoisers."""
