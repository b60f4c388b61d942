"""Deep linear networks and random matrices: spectra, products, Bayesian interpolation."""

from nnth.linear_nets.bayes import bayes
from nnth.linear_nets.marchenko_pastur import MarchenkoPastur, mp
from nnth.linear_nets.predictive import bayes_predictive
from nnth.linear_nets.product import product

__all__ = ["MarchenkoPastur", "bayes", "bayes_predictive", "mp", "product"]
