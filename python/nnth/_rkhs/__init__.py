"""Kernels and their Hilbert spaces: spectra on the sphere, regression, determinantal samples."""

from nnth._rkhs.feature_fit import FeatureFit, rkhs_feature_fit
from nnth._rkhs.fit import KernelFit, rkhs_fit, rkhs_learning_curve
from nnth._rkhs.sample import Determinantal, rkhs_sample
from nnth._rkhs.spectrum import rkhs_spectrum
from nnth._rkhs.sphere_curve import rkhs_sphere_curve

__all__ = [
    "Determinantal",
    "FeatureFit",
    "KernelFit",
    "rkhs_feature_fit",
    "rkhs_fit",
    "rkhs_learning_curve",
    "rkhs_sample",
    "rkhs_spectrum",
    "rkhs_sphere_curve",
]
