"""Curvature of trained networks: the loss Hessian, its classes, and how sharp descent makes it."""

from nnth.curvature.classes import ClassStructure, classes
from nnth.curvature.collapse import CollapsePath, collapse
from nnth.curvature.hessian import HessianSpectra, hessian
from nnth.curvature.scan import SCAN, sharpness_scan
from nnth.curvature.sharpness import SharpnessPath, sharpness
from nnth.curvature.training import TrainingSetup

__all__ = [
    "SCAN",
    "ClassStructure",
    "CollapsePath",
    "HessianSpectra",
    "SharpnessPath",
    "TrainingSetup",
    "classes",
    "collapse",
    "hessian",
    "sharpness",
    "sharpness_scan",
]
