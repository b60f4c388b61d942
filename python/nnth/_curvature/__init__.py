"""Curvature of trained networks: the loss Hessian, its classes, and how sharp descent makes it."""

from nnth._curvature.classes import ClassStructure, class_layers, class_outliers, classes
from nnth._curvature.collapse import CollapsePath, collapse
from nnth._curvature.hessian import HessianSpectra, hessian
from nnth._curvature.scan import SCAN, sharpness_scan
from nnth._curvature.sharpness import SharpnessPath, sharpness
from nnth._lab.setup import TrainingSetup

__all__ = [
    "SCAN",
    "ClassStructure",
    "CollapsePath",
    "HessianSpectra",
    "SharpnessPath",
    "TrainingSetup",
    "class_layers",
    "class_outliers",
    "classes",
    "collapse",
    "hessian",
    "sharpness",
    "sharpness_scan",
]
