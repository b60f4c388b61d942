"""Kernels and their Hilbert spaces: spectra on the sphere, regression, determinantal samples."""

from nnth.rkhs.fit import KernelFit, rkhs_fit, rkhs_learning_curve
from nnth.rkhs.sample import Determinantal, rkhs_sample
from nnth.rkhs.spectrum import rkhs_spectrum

__all__ = [
    "Determinantal",
    "KernelFit",
    "rkhs_fit",
    "rkhs_learning_curve",
    "rkhs_sample",
    "rkhs_spectrum",
]
