"""Types that all modules use."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# progress(done, total), called a few times per second with numbers of items.
Progress: TypeAlias = Callable[[int, int], object]
