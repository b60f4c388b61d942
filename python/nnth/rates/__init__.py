"""Learning rates: by layer, on a data set, and in lazy and mean-field training."""

from nnth.rates.descent import descent_rates, noisy_descent
from nnth.rates.rates import rates
from nnth.rates.scalings import training_scalings

__all__ = ["descent_rates", "noisy_descent", "rates", "training_scalings"]
