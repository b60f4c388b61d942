"""Learning rates: by layer, on a data set, and in lazy and mean-field training."""

from nnth._rates.descent import descent_rates, noisy_descent
from nnth._rates.rates import rates
from nnth._rates.scalings import training_scalings

__all__ = ["descent_rates", "noisy_descent", "rates", "training_scalings"]
