"""Kernels and their Hilbert spaces: spectra on the sphere, regression, determinantal samples."""

from nnth.rkhs.fit import KernelFit, rkhs_fit, rkhs_learning_curve
from nnth.rkhs.spectrum import rkhs_spectrum

__all__ = ["KernelFit", "rkhs_fit", "rkhs_learning_curve", "rkhs_spectrum"]
