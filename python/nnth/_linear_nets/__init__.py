"""Deep linear networks and random matrices: spectra, products, Bayesian interpolation."""

from nnth._linear_nets.bayes import bayes
from nnth._linear_nets.given_spectra import mp_spectra
from nnth._linear_nets.marchenko_pastur import MarchenkoPastur, mp
from nnth._linear_nets.predictive import bayes_predictive
from nnth._linear_nets.product import product

__all__ = ["MarchenkoPastur", "bayes", "bayes_predictive", "mp", "mp_spectra", "product"]
