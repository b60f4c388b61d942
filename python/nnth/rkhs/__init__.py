"""Kernels and their Hilbert spaces: spectra on the sphere, regression, determinantal samples."""

from nnth.rkhs.spectrum import rkhs_spectrum

__all__ = ["rkhs_spectrum"]
