"""The stationary state of stochastic gradient descent, and the drift that its noise causes."""

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
