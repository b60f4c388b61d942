"""Gradient descent at large learning rates on one data point: lazy, catapult, divergent."""

from nnth._catapult.phases import catapult_phases
from nnth._catapult.trajectories import catapult

__all__ = ["catapult", "catapult_phases"]
