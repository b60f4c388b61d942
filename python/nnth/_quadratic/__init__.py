"""Quadratic models: gradient flow to first order in closed form, compared with integration."""

from nnth._quadratic.model import QuadraticModel, load_model, random_model
from nnth._quadratic.quadratic import QuadraticSolution, quadratic

__all__ = ["QuadraticModel", "QuadraticSolution", "load_model", "quadratic", "random_model"]
