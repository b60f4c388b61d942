"""Stochastic gradient descent at rest: what its fluctuations keep, and where they lead."""

from nnth._sgd.net import net_relations
from nnth._sgd.regression import regression_relations, sgd_covariance
from nnth._sgd.walks import circle_relations, valley_relations

__all__ = [
    "circle_relations",
    "net_relations",
    "regression_relations",
    "sgd_covariance",
    "valley_relations",
]
