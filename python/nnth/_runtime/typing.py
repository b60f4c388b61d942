"""Types that all modules speak of."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# Told of the items done and of all that there are, a few times a second.
Progress: TypeAlias = Callable[[int, int], object]
