"""Curvature of trained networks: the loss Hessian, and how sharp descent makes it."""

from nnth.curvature.hessian import HessianSpectra, hessian
from nnth.curvature.sharpness import SCAN, SharpnessPath, sharpness, sharpness_scan
from nnth.curvature.training import Setup

__all__ = [
    "SCAN",
    "HessianSpectra",
    "Setup",
    "SharpnessPath",
    "hessian",
    "sharpness",
    "sharpness_scan",
]
