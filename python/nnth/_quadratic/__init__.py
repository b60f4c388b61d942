"""Quadratic models: the first step beyond the linear one, in closed form and beside their flow."""

from nnth._quadratic.model import QuadraticModel, load_model, random_model
from nnth._quadratic.quadratic import QuadraticSolution, quadratic

__all__ = ["QuadraticModel", "QuadraticSolution", "load_model", "quadratic", "random_model"]
