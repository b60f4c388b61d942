"""The classifier of largest margin, and gradient flow towards it in the logarithm of time."""

from nnth._margin.classifier import Classifier
from nnth._margin.margin import MarginFlow, margin, max_margin

__all__ = ["Classifier", "MarginFlow", "margin", "max_margin"]
