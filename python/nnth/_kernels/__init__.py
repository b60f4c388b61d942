"""Kernels of infinitely wide networks and of data sets."""
